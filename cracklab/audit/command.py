"""`cracklab audit`: which masks are probably wrong, by the predictions of nets that never saw their image.

cracklab audit KFOLD [--out DIR]                             a finished `cracklab kfold ... --keep_probabilities`
cracklab audit --ckpt_path CKPT --config FILE --out DIR      data that a checkpoint was not trained on
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]  # not listed in its __all__

from cracklab import config_files
from cracklab.audit.evidence import Evidence, gather
from cracklab.audit.labelled import Labelled
from cracklab.audit.page import write_page
from cracklab.audit.ranking import rank
from cracklab.audit.suspect import COLUMNS, Suspect
from cracklab.bounds import PositiveFloat, PositiveInt, UnitInterval, bounded
from cracklab.checkpoint import checkpoint_file
from cracklab.command_parser import CommandParser
from cracklab.config_parser import ConfigParser
from cracklab.data.exclude import line_of
from cracklab.data.parallel import parallel_map
from cracklab.errors import ConfigError
from cracklab.files import output_folder, remove_leftovers, write_text
from cracklab.tables import write_csv
from cracklab.warning_filters import filter_warnings

TABLE, PAGE, EXCLUDE = "audit.csv", "audit.html", "exclude.txt"
DEFAULT_FOLDER = "audit"
"""Folder in that of a kfold."""


@bounded
@dataclass(frozen=True)
class AuditOptions:
    """Options of both forms of the command.

    Args:
        tolerance_px: distance up to which mask and prediction may differ along an edge, px.
        exclude_from: images with a suspect of at least this score are listed in exclude.txt.
        rows: number of suspects that the page shows.
    """

    tolerance_px: PositiveFloat = 4.0
    exclude_from: UnitInterval = 0.5
    rows: PositiveInt = 200

    @classmethod
    def add_to(cls, add: Callable[..., Any]) -> None:
        """Add the options to a parser, by its `add_argument`."""
        add(
            "--tolerance_px",
            type=float,
            default=cls.tolerance_px,
            help="largest distance along an edge that does not count, px (default: 4)",
        )
        add(
            "--exclude_from",
            type=float,
            default=cls.exclude_from,
            help=f"lowest score of the images in {EXCLUDE} (default: 0.5)",
        )
        add("--rows", type=int, default=cls.rows, help="number of suspects that the page shows (default: 200)")

    @classmethod
    def of(cls, parsed: Any) -> Self:
        """Return the options among the arguments that a parser returned."""
        return cls(**{field.name: getattr(parsed, field.name) for field in fields(cls)})


def run(command: str, args: Sequence[str]) -> int:
    """Audit the masks, write the table, the page and the list, and print the most suspicious ones."""
    filter_warnings()
    by_checkpoint = any(argument.partition("=")[0] == "--ckpt_path" for argument in args)
    labelled, out, options = _of_checkpoint(args) if by_checkpoint else _of_kfold(args)
    evidence = examine(labelled, options.tolerance_px)
    suspects = rank(evidence)
    remove_leftovers(out)
    write_csv(out / TABLE, COLUMNS, [suspect.to_row() for suspect in suspects])
    write_text(out / EXCLUDE, exclude_list(suspects, options.exclude_from))
    write_page(out / PAGE, labelled, suspects[: options.rows], len(suspects))
    print(as_text(suspects, len(evidence), out))
    return 0


def _of_kfold(args: Sequence[str]) -> tuple[Labelled, Path, AuditOptions]:
    """Read the data of a finished kfold."""
    parser = CommandParser("audit", __doc__)
    parser.add_argument("folder", metavar="KFOLD", help="folder of a finished kfold with --keep_probabilities")
    parser.add_argument("--out", type=output_folder, help=f"folder of the results (default: KFOLD/{DEFAULT_FOLDER})")
    parser.add_argument("--ckpt_path", metavar="CKPT", help="in place of KFOLD, with --config or --data.*: see above")
    AuditOptions.add_to(parser.add_argument)
    parsed = parser.parse(args)
    options = AuditOptions.of(parsed)
    from cracklab.audit.kfold import labelled_of_kfold

    labelled = labelled_of_kfold(parsed.folder)
    out = parsed.out or output_folder(f"{parsed.folder}/{DEFAULT_FOLDER}")
    _keep_list(out, labelled.exclude)
    return labelled, out, options


def _of_checkpoint(args: Sequence[str]) -> tuple[Labelled, Path, AuditOptions]:
    """Read the data of a configuration, and predict it."""
    from cracklab.audit.checkpoint import labelled_by_checkpoint
    from cracklab.data.datamodule import CrackDataModule
    from cracklab.predict.predictor import load

    parser = ConfigParser(prog="cracklab audit", description=__doc__, allow_abbrev=False)
    parser.add_argument("-c", "--config", action=ActionConfigFile, help="a configuration; its data section counts")
    parser.add_class_arguments(CrackDataModule, "data")
    parser.add_argument("--ckpt_path", nargs="+", type=str, required=True, help="checkpoints that are averaged")
    parser.add_argument("--out", type=str, required=True, help="folder of the results")
    parser.add_argument("--device", type=str | None, default=None, help="cpu, cuda, cuda:1, mps")
    parser.add_argument("--trust", nargs="+", type=str, default=[], help="class paths of nets of your own")
    AuditOptions.add_to(parser.add_argument)
    parser.arguments = args
    parsed = parser.parse_args(config_files.replace(args, config_files.data_section))
    options = AuditOptions.of(parsed)
    out = output_folder(parsed.out)
    data: CrackDataModule = parser.instantiate_classes(parsed).data
    _keep_list(out, data.exclude)
    predictor = load([checkpoint_file(path) for path in parsed.ckpt_path], parsed.device, trust=parsed.trust)
    return labelled_by_checkpoint(data, predictor, out), out, options


def _keep_list(out: Path, exclude: str | None) -> None:
    """Check that the list of images that are left out is not overwritten by one that lacks them.

    Raises:
        ConfigError: if it lies in the folder of the results.
    """
    if exclude is not None and Path(exclude).expanduser().resolve() == (out / EXCLUDE).resolve():
        raise ConfigError(f"the list data.exclude {exclude} would be overwritten: choose another --out")


def examine(labelled: Labelled, tolerance_px: float) -> list[Evidence]:
    """Compare every mask with the probabilities of its image, in parallel threads."""

    def one(index: int) -> Evidence:
        record = labelled.records[index]
        mask, valid, (x, y) = labelled.mask(record)
        probability = labelled.probability(record, mask.shape) * valid  # ignored pixels are background for both
        return gather(record.id, mask, probability, labelled.thresholds[record.id], tolerance_px).moved(x, y)

    return list(parallel_map(one, len(labelled.records), "Comparing masks"))


def exclude_list(suspects: Sequence[Suspect], lowest: float) -> str:
    """Return the list of images that `data.exclude` takes: one id a line, the most suspicious first, with the reason.

    Example:
        >>> print(exclude_list([Suspect("wall", "inverted", 0.98, 0, 0, 40, 60), Suspect("wall", "missed", 0.9, 0, 0, 4, 6)], 0.5))
        # images whose masks are probably wrong, by `cracklab audit`: check them, and remove lines; for --data.exclude
        wall  # inverted 0.98
        <BLANKLINE>
    """
    worst: dict[str, Suspect] = {}
    for suspect in suspects:
        if suspect.score >= lowest:
            worst.setdefault(suspect.id, suspect)
    head = (
        "# images whose masks are probably wrong, by `cracklab audit`: check them, and remove lines; for --data.exclude"
    )
    return "\n".join([head, *(f"{line_of(one.id)}  # {one.kind} {one.score:.2f}" for one in worst.values())]) + "\n"


def as_text(suspects: Sequence[Suspect], images: int, out: Path) -> str:
    """Return the summary that is printed."""
    likely = [suspect for suspect in suspects if suspect.score >= 0.5]
    counts = ", ".join(f"{number} {kind}" for kind, number in Counter(one.kind for one in likely).most_common())
    wrong = len({one.id for one in likely})
    lines = [f"{images} masks: {wrong} with a score of at least 0.5 ({counts or 'none'})"]
    if wrong > images / 2:
        lines.append(
            "  these are most masks: either all were made wrongly, or the net does not fit this data, and the scores tell nothing; "
            "then audit a kfold, or set --tolerance_px to the difference in width"
        )
    lines += [f"  {one.score:.2f}  {one.kind:9}  {one.id}  {one.note}".rstrip() for one in suspects[:10]]
    return "\n".join([*lines, f"look at {out / PAGE}; {TABLE} and {EXCLUDE} are beside it"])
