"""Measurements as CSV, JSON and text."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cracklab.files import write_json, write_text
from cracklab.measure.graph import Points
from cracklab.measure.measurement import Crack, Measurement, figures

Row = Mapping[str, Any]

DIGITS = 4
"""Decimal places that are written."""
CRACK_COLUMNS = ("id", "crack", *figures([], None), "widest_x", "widest_y")
PHOTO_COLUMNS = ("id", "mm_per_px", "cracks", *figures([], None), "area_share")
SHOWN = (
    *("id", "crack", "cracks", "length_{}", "width_p50_{}", "width_p95_{}", "width_max_{}"),
    *("orientation_deg", "tips", "branch_points", "gaps"),
)
"""Columns of the table on the screen, in mm where the scale of all is known."""


def photo_row(name: str, measured: Measurement) -> Row:
    """The row of a photo."""
    return {"id": name, "mm_per_px": measured.mm_per_px, **measured.figures()}


def crack_rows(name: str, measured: Measurement) -> list[Row]:
    """The rows of its cracks."""
    return [{"id": name, **row} for row in measured.rows()]


def as_json(measured: Measurement) -> dict[str, Any]:
    """The same with the coordinates of tips, branch points and gaps, px."""
    cracks = [row | _places(crack) for row, crack in zip(measured.rows(), measured.cracks, strict=True)]
    sizes = {"height": measured.height, "width": measured.width, "mm_per_px": measured.mm_per_px}
    values: dict[str, Any] = _rounded({**sizes, **measured.figures(), "of_cracks": cracks})
    return values


def _places(crack: Crack) -> dict[str, Any]:
    def listed(points: Points) -> list[list[float]]:
        return [[float(x), float(y)] for x, y in points]

    return {
        "tips_xy": listed(crack.tips),
        "branch_points_xy": listed(crack.branch_points),
        "gaps_xy": [listed(gap) for gap in crack.gaps],
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def write_csv(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Write rows whole or not at all; what is not known stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rounded(dict(row)) for row in rows)
    write_text(path, text.getvalue())


def write(folder: Path, measured: Mapping[str, Measurement]) -> None:
    """Write `photos.csv`, `cracks.csv` and `measurements.json`."""
    write_csv(folder / "photos.csv", [photo_row(name, one) for name, one in measured.items()], PHOTO_COLUMNS)
    cracks = [row for name, one in measured.items() for row in crack_rows(name, one)]
    write_csv(folder / "cracks.csv", cracks, CRACK_COLUMNS)
    write_json(folder / "measurements.json", {name: as_json(one) for name, one in measured.items()})


def as_text(rows: Sequence[Row]) -> str:
    """Rows of photos or of cracks as a table for the screen."""
    unit = "px" if any(row["length_mm"] is None for row in rows) else "mm"
    columns = [column for name in SHOWN if rows and (column := name.format(unit)) in rows[0]]
    cells = [columns, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.rjust, row, widths)) for row in cells)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
