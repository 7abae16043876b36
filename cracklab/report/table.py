"""A table that writes itself as CSV, Markdown and LaTeX; the page writes it as HTML."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cracklab.tables import BREAKS, as_csv, escaped, escaped_line

Row = Mapping[str, Any]
"""Raw values by key, as in the CSV."""
ARGUMENT = re.compile(r"^(?=[ \t]*[\[*])", re.MULTILINE)
"""Start of a line that LaTeX reads as an argument of the `\\\\` or the rule before it."""


@dataclass(frozen=True)
class Column:
    """A column as readers see it: shows `text` of a row, sorts by the raw value `key`."""

    heading: str
    key: str
    text: Callable[[Row], str]
    numeric: bool = True

    def order(self, row: Row) -> str:
        """Return the sort key of the page: the raw value as text, empty if it is missing."""
        value: Any = row.get(self.key)
        return "" if _is_missing(value) else repr(float(value)) if self.numeric else str(value)


def words(heading: str, key: str) -> Column:
    """Return a column of words."""
    return Column(heading, key, lambda row: "-" if _is_missing(row.get(key)) else str(row[key]), numeric=False)


def number(heading: str, key: str, form: str = ".4f") -> Column:
    """Return a column of numbers in a format."""
    return Column(heading, key, lambda row: "-" if _is_missing(row.get(key)) else format(row[key], form))


def spread(
    heading: str, low: str, high: str, form: str = ".4f", ends: tuple[float, float] = (-math.inf, math.inf)
) -> Column:
    """Return a column of intervals, cut at the ends of their quantity, sorted by their lower ends."""

    def text(row: Row) -> str:
        if _is_missing(row.get(low)) or _is_missing(row.get(high)):
            return "-"
        return f"{format(max(row[low], ends[0]), form)} to {format(min(row[high], ends[1]), form)}"

    return Column(heading, low, text)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


@dataclass(frozen=True)
class Table:
    """Rows of raw values, and the columns that readers see."""

    name: str
    """Stem of its files."""
    title: str
    note: str
    """Explains the numbers: metric key, protocol, n."""
    columns: Sequence[Column]
    rows: Sequence[Row]
    folded: bool = False
    """Whether the page shows it only on request."""

    def csv(self) -> str:
        """Return the raw values of all keys, unrounded."""
        return as_csv(self.rows)

    def texts(self) -> list[list[str]]:
        """Return the cells as readers see them."""
        return [[column.text(row) for column in self.columns] for row in self.rows]

    def markdown(self) -> str:
        """Return title, note and table."""
        headings = [escaped(column.heading) for column in self.columns]
        rule = ["---:" if column.numeric else "---" for column in self.columns]
        lines = [headings, rule, *([escaped(cell) for cell in row] for row in self.texts())]
        return f"### {escaped(self.title)}\n\n{escaped_line(self.note)}\n\n" + "\n".join(
            f"| {' | '.join(line)} |" for line in lines
        )

    def latex(self) -> str:
        """Return a booktabs tabular with the note as a comment."""
        lines = [[BREAKS.sub(" ", cell) for cell in row] for row in self.texts()]
        frame = pd.DataFrame(lines, columns=[BREAKS.sub(" ", column.heading) for column in self.columns])
        alignment = "".join("r" if column.numeric else "l" for column in self.columns)
        note = " ".join(f"{self.title}: {self.note}".split())
        text = frame.to_latex(index=False, escape=True, column_format=alignment)
        return f"% {note}\n" + ARGUMENT.sub("{}", text)
