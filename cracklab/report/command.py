"""`cracklab report DIR [DIR ...]`: write tables, figures and one page from run folders."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cracklab import plugins
from cracklab.command_parser import CommandParser
from cracklab.errors import ConfigError, RunError
from cracklab.files import atomic_write, output_folder, write_text

if TYPE_CHECKING:
    from cracklab.report.analysis import Analysis
    from cracklab.report.content import Content
    from cracklab.report.metric import Metric

FOLDER = "report"
"""Folder of the report inside the folder that it reports on."""


def parser(command: str = "report") -> CommandParser:
    """Return the parser of the command's arguments.

    Example:
        >>> parser().parse(["runs", "--metric", "test/dice", "--metric", "test/hd95_px"]).metric
        ['test/dice', 'test/hd95_px']
    """
    arguments = CommandParser(
        command, "Write tables, figures and one self-contained page from run folders, or folders of `kfold` or `study`."
    )
    arguments.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="run folder, folder of kfold or study, or a folder that contains some",
    )
    arguments.add_argument(
        "--metric",
        action="append",
        metavar="KEY",
        help="metric that ranks the methods (default: test/iou); repeat to compare them in further metrics",
    )
    arguments.add_argument(
        "--compare",
        nargs="+",
        default=[],
        metavar="AXIS",
        help="axes that make methods; the others become part of the block (default: all axes make methods)",
    )
    arguments.add_argument(
        "--pairs",
        nargs="+",
        type=_pair,
        default=[],
        metavar="A:B",
        help="compare only these methods, chosen before the runs: fewer comparisons show smaller differences "
        "(default: those of the study, study.pairs; else all)",
    )
    arguments.add_argument(
        "--target",
        type=float,
        metavar="VALUE",
        help="validation score for `epochs to target` (default: 95 %% of the best method's)",
    )
    arguments.add_argument(
        "--no_photos",
        action="store_true",
        help="leave out the pictures of test images, for a report that is published without its data",
    )
    arguments.add_argument(f"--{plugins.KEY}", metavar="FILE", help=plugins.HELP)
    arguments.add_argument("--title", help="title of the page (default: names of the folders and of the metric)")
    arguments.add_argument(
        "--out",
        type=output_folder,
        metavar="DIR",
        help=f"output folder (default: DIR/{FOLDER}; required for several DIR)",
    )
    return arguments


def run(command: str, arguments: Sequence[str]) -> int:
    """Write a report.

    Args:
        command: `report`.
        arguments: the rest of the command line.

    Returns:
        The exit code: 0, also for an unfinished study.

    Raises:
        ConfigError: for invalid arguments, or a file of --import that cannot be imported.
        RunError: for a folder without a tested run, a file that cannot be read, or several folders without --out.
    """
    imported, others = plugins.take(arguments)
    options = parser(command).parse(others)
    if options.out is None and len(options.folders) > 1:
        raise RunError("several folders make one report: give its folder with --out DIR")
    from cracklab.report.content import PHOTOS, build  # imports pandas and Matplotlib, for which --help does not wait
    from cracklab.report.metric import parse_metric

    out = options.out or options.folders[0] / FOLDER
    plugins.search_start_folder()
    plugins.import_all(imported)
    keys = options.metric or ["test/iou"]
    if len(set(keys)) < len(keys):
        raise ConfigError(f"--metric names {max(keys, key=keys.count)} twice: give each metric once")
    metrics = [parse_metric(key) for key in keys]
    title = (
        options.title or f"{', '.join(folder.resolve().name for folder in options.folders)}: {metrics[0].quantity.name}"
    )
    content = build([_analysis(options, metric) for metric in metrics], title)
    write(content.without_photos() if options.no_photos else content, out)
    for name in PHOTOS if options.no_photos else ():  # of an earlier report in this folder
        (out / "figures" / f"{name}.png").unlink(missing_ok=True)
    print("\n".join([*content.summary, f"report: {out / 'report.html'}"]))
    if content.unfinished:
        print(f"{content.unfinished} The report lists them.", file=sys.stderr)
    return 0


def _analysis(options: Namespace, metric: "Metric") -> "Analysis":
    """Return the analysis of one metric, with the pairs that were asked for or that the study planned."""
    from cracklab.report.analysis import Analysis
    from cracklab.report.collection import collect

    collection = collect(options.folders, metric, options.compare)
    if options.pairs:
        asked = [pair_of(text, collection.methods) for text in options.pairs]
        return Analysis(collection, metric, options.target, asked)
    pairs = {text: pair_of(text, collection.methods) for text in collection.planned}
    present = [text for text, pair in pairs.items() if set(pair) <= set(collection.methods)]
    absent = [text for text in pairs if text not in present]  # methods of a study may have no run yet
    return Analysis(collection, metric, options.target, [pairs[text] for text in present], absent)


def _pair(text: str) -> str:
    first, colon, second = text.partition(":")
    if not (first and colon and second):
        raise ConfigError(f"--pairs is {text!r}: give two methods with a colon between them, such as dice:bce")
    return text


def pair_of(text: str, methods: Sequence[str]) -> tuple[str, str]:
    """Return the two methods of `A:B`; a method may have a colon itself.

    Example:
        >>> pair_of("cracklab:cracks:random", ["cracklab:cracks", "random"])
        ('cracklab:cracks', 'random')
        >>> pair_of("dice:bec", ["dice", "bce"])  # reported by `Analysis`
        ('dice', 'bec')
    """
    parts = text.split(":")
    pairs = [(":".join(parts[:i]), ":".join(parts[i:])) for i in range(1, len(parts))]
    return next((pair for pair in pairs if set(pair) <= set(methods)), pairs[0])


def write(content: "Content", out: Path) -> None:
    """Write report.html, report.md, tables/ and figures/, each file atomically."""
    from cracklab.report.page import html, markdown
    from cracklab.report.table import Table

    for section in content.sections:
        for item in section.items:
            if isinstance(item, Table):
                write_text(out / "tables" / f"{item.name}.csv", item.csv())
                write_text(out / "tables" / f"{item.name}.tex", item.latex())
                continue
            with atomic_write(out / "figures" / f"{item.name}.png") as path:
                path.write_bytes(item.png)
            if item.svg is not None:
                write_text(out / "figures" / f"{item.name}.svg", item.svg)
    write_text(out / "report.md", markdown(content))
    write_text(out / "report.html", html(content))
