"""`cracklab report DIR [DIR ...]`: tables, figures and one page from run folders."""

import sys
from collections.abc import Sequence
from pathlib import Path

from cracklab.command_parser import CommandParser
from cracklab.errors import RunError
from cracklab.files import atomic_write, write_text
from cracklab.report.analysis import Analysis
from cracklab.report.content import Content, build
from cracklab.report.metric import parse_metric
from cracklab.report.page import html, markdown
from cracklab.report.read import collect
from cracklab.report.table import Table

FOLDER = "report"
"""Where a report lies in the folder that it is of."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Write a report.

    Args:
        command: `report`.
        arguments: what follows it on the command line.

    Returns:
        The exit code: 0, also for a study that is unfinished.

    Raises:
        ConfigError: for a wrong call.
        RunError: for a folder without a tested run, or with files that cannot be read.
    """
    parser = CommandParser(
        command, "Tables, figures and one self-contained page from runs, `kfold` and `study` folders."
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="run folder, folder of kfold or study, or of such"
    )
    parser.add_argument(
        "--metric", default="test/iou", metavar="KEY", help="what methods are ranked by (default: test/iou)"
    )
    parser.add_argument(
        "--compare", nargs="+", default=[], metavar="AXIS", help="axes that make methods (default: all)"
    )
    parser.add_argument("--target", type=float, metavar="VALUE", help="validation score of `epochs to target`")
    parser.add_argument("--title", help="of the page (default: the folder's name)")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where to (default: DIR/{FOLDER}; needed for several)")
    options = parser.parse(arguments)
    if options.out is None and len(options.folders) > 1:
        raise RunError("several folders make one report: say where to, by --out DIR")
    out = options.out or options.folders[0] / FOLDER
    if out.exists() and not out.is_dir():
        raise RunError(f"--out {out} is a file: give a folder")
    what = parse_metric(options.metric)
    found = collect(options.folders, what, options.compare)
    title = options.title or f"{', '.join(folder.resolve().name for folder in options.folders)}: {what.quantity.name}"
    content = build(Analysis(found, what, options.target), title)
    write(content, out)
    print("\n".join([*content.summary, f"report: {out / 'report.html'}"]))
    if content.unfinished:
        print(f"{content.unfinished} The report names them.", file=sys.stderr)
    return 0


def write(content: Content, out: Path) -> None:
    """Write report.html, report.md, tables/ and figures/, each file whole."""
    for section in content.sections:
        for item in section.items:
            if isinstance(item, Table):
                write_text(out / "tables" / f"{item.name}.csv", item.csv())
                write_text(out / "tables" / f"{item.name}.tex", item.latex())
                continue
            with atomic_write(out / "figures" / f"{item.name}.png") as beside:
                beside.write_bytes(item.png)
            if item.svg is not None:
                write_text(out / "figures" / f"{item.name}.svg", item.svg)
    write_text(out / "report.md", markdown(content))
    write_text(out / "report.html", html(content))
