"""`cracklab audit`: list masks that are probably wrong, by the predictions of nets that never saw their image.

KFOLD is a finished `cracklab kfold ... --keep_probabilities`. In its place, `--ckpt_path CKPT --config FILE --out DIR` audits
data that a checkpoint was not trained on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cracklab.audit.options import DEFAULT_FOLDER, AuditOptions, keep_list
from cracklab.command_parser import CommandParser
from cracklab.files import output_folder
from cracklab.plugins import HELP, KEY, import_nets
from cracklab.warning_filters import filter_warnings

if TYPE_CHECKING:
    from cracklab.audit.labelled import Labelled


def parser(command: str = "audit") -> CommandParser:
    """Return the parser of the arguments for a finished kfold.

    Example:
        >>> parser().parse(["kfold", "--rows", "50"]).rows
        50
    """
    arguments = CommandParser(command, __doc__)
    arguments.add_argument("folder", metavar="KFOLD", help="folder of a finished kfold with --keep_probabilities")
    arguments.add_argument("--out", type=output_folder, help=f"folder of the results (default: KFOLD/{DEFAULT_FOLDER})")
    arguments.add_argument(
        "--ckpt_path", metavar="CKPT", help="in place of KFOLD, with --config or --data.*: see above"
    )
    arguments.add_argument(f"--{KEY}", action="append", default=[], metavar="FILE", dest="imported", help=HELP)
    AuditOptions.add_to(arguments.add_argument)
    return arguments


def run(command: str, args: Sequence[str]) -> int:
    """Audit the masks, write the table, the page and the list, and print the most suspicious ones."""
    filter_warnings()
    if any(argument.partition("=")[0] == "--ckpt_path" for argument in args):
        from cracklab.audit.checkpoint import parse  # imports Lightning, for which --help does not wait

        labelled, out, options = parse(args, __doc__ or "")
    else:
        labelled, out, options = _of_kfold(args)
    from cracklab.audit.results import write_results

    print(write_results(labelled, out, options))
    return 0


def _of_kfold(args: Sequence[str]) -> tuple["Labelled", Path, AuditOptions]:
    """Read the data of a finished kfold."""
    parsed = parser().parse(args)
    options = AuditOptions.of(parsed)
    from cracklab.audit.kfold import labelled_of_kfold

    import_nets(parsed.imported)
    labelled = labelled_of_kfold(parsed.folder)
    out = parsed.out or output_folder(f"{parsed.folder}/{DEFAULT_FOLDER}")
    keep_list(out, labelled.exclude)
    return labelled, out, options
