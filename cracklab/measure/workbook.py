"""The tables as a workbook, measurements.xlsx: ids are text, units are in the headers, and a sheet explains the columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from cracklab.files import atomic_write
from cracklab.measure.measurement import COUNTS, CRACK_COLUMNS, PHOTO_COLUMNS, Row

NAME = "measurements.xlsx"
MAX_ROWS = 1_048_575
"""Number of rows that a sheet holds below its header."""

UNITS = {"_px": "px", "_mm": "mm", "_mm2": "mm²", "_deg": "°", "_per_px": "mm per px"}
"""End of the name of a column -> its unit; the longest end that fits counts."""
NO_SUFFIX = {"widest_x": "px", "widest_y": "px", "area_share": "0 to 1"}
"""Columns whose names do not end in their unit."""

MEANINGS = {
    "id": "name of the mask without its ending, after its folders below the one that was given",
    "crack": "number of the crack in its photo, 1 is the longest; the number on the labels in the picture",
    "mm_per_px": "scale of the photo that was given; empty if none was",
    "cracks": "number of cracks: connected parts of the mask, joined over bridged gaps",
    "length": "length of the centre lines, along all bends and branches, and of bridged gaps",
    "gaps": "number of gaps that were bridged",
    "gap_length": "length of the gaps that were bridged; a part of the length",
    "width_p50": "median width along the centre lines, away from branch points and tips",
    "width_p95": "95 % of the centre lines, away from branch points and tips, are at most as wide",
    "width_max": "largest width along the centre lines, away from branch points and tips",
    "area": "area of the cracks in the mask",
    "orientation": "mean direction of the centre lines: 0 is horizontal, 90 vertical, anticlockwise",
    "alignment": "1 if all centre lines have the mean direction, 0 if no direction prevails",
    "tips": "number of ends of centre lines; a crack that leaves the photo has an end at its border",
    "branch_points": "number of points where centre lines meet",
    "widest_x": "column of the largest width in the photo; 0 is the middle of the leftmost pixels",
    "widest_y": "row of the largest width in the photo; 0 is the middle of the uppermost pixels",
    "area_share": "share of the photo's area that is crack",
    "ignored": "number of cracks that were left out since they are shorter than the minimum length",
    "ignored_length": "length of the cracks that were left out",
}
"""Name of a column without its unit -> its meaning."""


def write_workbook(folder: Path, photos: Sequence[Row], cracks: Sequence[Row]) -> None:
    """Write the rows of photos.csv and cracks.csv as `NAME`; columns in mm are left out if no photo has a scale.

    A sheet holds 1,048,575 rows; of more cracks, those of the first photos are in it, and the CSV file has all.

    Raises:
        OSError: if the file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from zipfile import ZipFile
        >>> with TemporaryDirectory() as folder:
        ...     write_workbook(Path(folder), [{"id": "007", "cracks": 0}], [])
        ...     b"<si><t>007</t></si>" in ZipFile(Path(folder) / NAME).read("xl/sharedStrings.xml")
        True
    """
    in_mm = any(row.get("mm_per_px") is not None for row in photos)
    columns = {
        sheet: [name for name in names if in_mm or unit_of(name) not in ("mm", "mm²", "mm per px")]
        for sheet, names in (("photos", PHOTO_COLUMNS), ("cracks", CRACK_COLUMNS))
    }
    with _workbook(folder / NAME) as book:
        bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        text = book.add_format({"num_format": "@"})
        decimal, whole = book.add_format({"num_format": "0.00"}), book.add_format({"num_format": "0"})
        fine = book.add_format({"num_format": "0.0000"})
        for sheet, rows in (("photos", photos), ("cracks", cracks)):
            page = book.add_worksheet(sheet)
            page.freeze_panes(1, 1)
            page.set_row(0, 30)
            for place, name in enumerate(columns[sheet]):
                exact = fine if name in ("mm_per_px", "alignment", "area_share") else decimal
                form = whole if name in COUNTS else text if name == "id" else exact
                page.set_column(place, place, 24 if name == "id" else 11, form)
                page.write_string(0, place, header(name), bold)
                for line, row in enumerate(rows[:MAX_ROWS], 1):
                    _write(page, line, place, row.get(name), form)
            page.ignore_errors({"number_stored_as_text": f"A2:A{len(rows) + 2}"})
            page.autofilter(0, 0, max(min(len(rows), MAX_ROWS), 1), len(columns[sheet]) - 1)
        _explain(book.add_worksheet("columns"), columns, bold)


@contextmanager
def _workbook(path: Path) -> Iterator[Any]:
    """Yield a workbook, which is written whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    import xlsxwriter

    data = BytesIO()
    try:
        with xlsxwriter.Workbook(data) as book:
            yield book
    except xlsxwriter.exceptions.FileCreateError as error:  # of its temporary files; wraps an OSError, but is not one
        raise error.args[0] from None
    with atomic_write(path) as temporary:
        temporary.write_bytes(data.getbuffer())


def _write(page: Any, line: int, place: int, value: Any, form: Any) -> None:
    if isinstance(value, str):
        page.write_string(line, place, value, form)  # neither a number nor a formula nor a link, whatever it looks like
    elif value is not None:
        page.write_number(line, place, value, form)


def _explain(page: Any, columns: Mapping[str, Iterable[str]], bold: Any) -> None:
    """Write a row per column: its header, sheet, unit, meaning, and name in the CSV file."""
    page.freeze_panes(1, 0)
    for place, (title, width) in enumerate(
        (("sheet", 9), ("column", 24), ("unit", 11), ("meaning", 90), ("name in the CSV file", 22))
    ):
        page.set_column(place, place, width)
        page.write_string(0, place, title, bold)
    listed = [(sheet, name) for sheet, names in columns.items() for name in names]
    for line, (sheet, name) in enumerate(listed, 1):
        for place, words in enumerate((sheet, header(name), unit_of(name), MEANINGS[plain_name(name)], name)):
            page.write_string(line, place, words)


def unit_of(column: str) -> str:
    """Return the unit of a column, empty for text and counts.

    Example:
        >>> [unit_of(name) for name in ("length_mm", "area_mm2", "mm_per_px", "widest_x", "tips")]
        ['mm', 'mm²', 'mm per px', 'px', '']
    """
    ends = [end for end in UNITS if column.endswith(end)]
    return NO_SUFFIX.get(column) or (UNITS[max(ends, key=len)] if ends else "")


def plain_name(column: str) -> str:
    """Return the name of a column without its unit.

    Example:
        >>> [plain_name(name) for name in ("length_mm", "mm_per_px", "widest_x", "orientation_deg")]
        ['length', 'mm_per_px', 'widest_x', 'orientation']
    """
    ends = [end for end in UNITS if column.endswith(end) and column not in MEANINGS]
    return column.removesuffix(max(ends, key=len)) if ends else column


def header(column: str) -> str:
    """Return the header of a column.

    Example:
        >>> [header(name) for name in ("length_mm", "mm_per_px", "branch_points")]
        ['length (mm)', 'scale (mm per px)', 'branch points']
    """
    words = "scale" if column == "mm_per_px" else plain_name(column).replace("_", " ")
    return f"{words} ({unit_of(column)})" if unit_of(column) else words
