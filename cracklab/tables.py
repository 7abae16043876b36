"""Tables as CSV and Markdown: texts that a spreadsheet would execute, or a page would format, stay plain text.

A spreadsheet executes a cell that starts with `=`, `+`, `-`, `@`, a tab or a carriage return. Such a text is written with a
leading apostrophe; plain numbers are not. Read a table with `read_csv`, or single texts with `from_cell`, to get them back.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cracklab.errors import DataError
from cracklab.files import write_text

RUNS = re.compile(r"'*[=+\-@\t\r].", re.DOTALL)
"""Start of a cell that a spreadsheet executes, or that was written with an apostrophe; a sign alone is neither."""
NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|nan)", re.IGNORECASE)
FORMATS = re.compile(r"[\\`*|~$]|(?<![^\W_])_|_(?![^\W_])")
"""Characters that Markdown reads; an underscore between letters or digits is itself."""
STARTS = re.compile(r"(#{1,6}|[-+=]+|\d+[.)])(?=[ \t]|$)")
"""Start of a line that Markdown reads as a heading or a list."""
BREAKS = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")


def as_cell(value: Any) -> Any:
    """Return a value of a table; a text that a spreadsheet would execute gets a leading apostrophe.

    Example:
        >>> [as_cell(value) for value in ("=1+1", "-0.5", "-", "wall", -0.5, "'=1")]
        ["'=1+1", '-0.5', '-', 'wall', -0.5, "''=1"]
    """
    runs = isinstance(value, str) and RUNS.match(value) and not NUMBER.fullmatch(value)
    return f"'{value}" if runs else value


def from_cell(text: str) -> str:
    """Return the text from which `as_cell` made a cell.

    Example:
        >>> [from_cell(cell) for cell in ("'=1+1", "-0.5", "'tis", "''=1")]
        ['=1+1', '-0.5', "'tis", "'=1"]
    """
    return text[1:] if text.startswith("'") and RUNS.match(text) else text


def check_utf8(id: str, path: str | Path) -> None:
    r"""Check that the id of a file can be written to a table; file systems allow names that are not text.

    Raises:
        DataError: names the file.

    Example:
        >>> check_utf8("wall\udcff", "photos/wall\udcff.jpg")
        Traceback (most recent call last):
        cracklab.errors.DataError: the name of 'photos/wall\udcff.jpg' is not UTF-8, and no table can hold it: rename the file
    """
    try:
        id.encode()
    except UnicodeEncodeError:
        raise DataError(f"the name of {str(path)!r} is not UTF-8, and no table can hold it: rename the file") from None


def as_csv(rows: Iterable[Mapping[Any, Any]]) -> str:
    r"""Return rows as CSV, with numbers as pandas writes them; columns in the order of the first row.

    Example:
        >>> as_csv([{"id": "=1", "iou": 0.5}, {"id": "a\rb", "iou": None}])
        'id,iou\n\'=1,0.5\n"a\rb",\n'
    """
    import pandas as pd

    table = pd.DataFrame(list(rows)).to_csv(index=False, lineterminator="\r\n")  # so that carriage returns are quoted
    return "".join(_line(row) for row in csv.reader(io.StringIO(table, newline="")))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV whole or not at all; a value that a row lacks stays empty.

    Raises:
        OSError: if the file cannot be written.
    """
    names = list(columns)
    lines = [_line(names), *(_line([row.get(name, "") for name in names]) for row in rows)]
    write_text(path, "".join(lines))


def _line(values: Sequence[Any]) -> str:
    """Return a row of CSV; the default end of lines makes the writer quote carriage returns too."""
    text = io.StringIO()
    csv.writer(text).writerow([as_cell(value) for value in values])
    return text.getvalue().removesuffix("\r\n") + "\n"


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read the rows of a table; values stay text, a row lacks cells that it does not have, and more cells are ignored.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not UTF-8.
        csv.Error: if it is not CSV.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {from_cell(k): from_cell(text) for k, text in row.items() if k is not None and text is not None} for row in rows
    ]


def escaped(text: str) -> str:
    r"""Return a text as Markdown that shows it, for a part of a line or a cell of a table.

    Example:
        >>> print(escaped("<img src=x>|`a`|hd95_px|[a](b)"))
        &lt;img src=x&gt;\|\`a\`\|hd95_px\|[a]\(b)
    """
    line = BREAKS.sub(" ", text)
    line = re.sub(r"&(?=#?\w+;)", "&amp;", line).replace("<", "&lt;").replace(">", "&gt;")
    return FORMATS.sub(r"\\\g<0>", line).replace("](", r"]\(").replace("]:", r"]\:")


def escaped_line(text: str) -> str:
    r"""Return a text as Markdown that shows it, for a whole line; spaces and tabs before it are removed.

    Example:
        >>> print(escaped_line("# 1"), escaped_line("1. a"), escaped_line("-0.5"))
        \# 1 1\. a -0.5
    """
    line = escaped(text).lstrip(" \t")  # else they could make it code
    start = STARTS.match(line)
    if start is None:
        return line
    end = start.end() - 1 if start[0][0].isdigit() else 0
    return f"{line[:end]}\\{line[end:]}"
