"""Measurements as CSV, workbook, JSON and text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cracklab.files import write_json
from cracklab.measure.lines import Points
from cracklab.measure.measurement import CRACK_COLUMNS, PHOTO_COLUMNS, Crack, Measurement, Row
from cracklab.measure.workbook import write_workbook
from cracklab.tables import write_csv

DIGITS = 4
"""Decimal places in files."""
SHOWN = (
    *("id", "crack", "cracks", "length_{}", "width_p50_{}", "width_p95_{}", "width_max_{}"),
    *("orientation_deg", "tips", "branch_points", "gaps"),
)
"""Columns of the table on the screen; lengths are in mm if the scale of all photos is known."""


def photo_row(id: str, measurement: Measurement) -> Row:
    """Return the row of a photo in photos.csv.

    Example:
        >>> row = photo_row("wall", Measurement((), height=40, width=60, mm_per_px=0.5))
        >>> row["id"], row["cracks"], row["length_mm"], row["width_p50_mm"]
        ('wall', 0, 0.0, None)
    """
    return {
        "id": id,
        "mm_per_px": measurement.mm_per_px,
        **measurement.summary(),
        **measurement.ignored_cracks(),
    }


def crack_rows(id: str, measurement: Measurement) -> list[Row]:
    """Return the rows of a photo's cracks in cracks.csv.

    Example:
        >>> import numpy as np
        >>> from cracklab.measure import measure_mask
        >>> mask = np.zeros((20, 80), bool)
        >>> mask[4, 10:70] = mask[14, 30:40] = True
        >>> [(row["id"], row["crack"], round(row["length_px"])) for row in crack_rows("wall", measure_mask(mask))]
        [('wall', 1, 60), ('wall', 2, 10)]
    """
    return [{"id": id, **row} for row in measurement.crack_rows()]


def as_json(measurement: Measurement) -> dict[str, Any]:
    """Return a photo's entry in measurements.json, with the coordinates of tips, branch points and gaps, px.

    Example:
        >>> import numpy as np
        >>> from cracklab.measure import measure_mask
        >>> mask = np.zeros((20, 80), bool)
        >>> mask[8:12, 10:70] = True
        >>> entry = as_json(measure_mask(mask))
        >>> first, last = np.array(entry["of_cracks"][0]["tips_xy"])
        >>> round(float(np.hypot(*(last - first))))
        60
    """
    rows = zip(measurement.crack_rows(), measurement.cracks, strict=True)
    cracks = [row | _coordinates(crack) for row, crack in rows]
    photo = {"height": measurement.height, "width": measurement.width, "mm_per_px": measurement.mm_per_px}
    ignored = {"min_length_px": measurement.min_length_px, **measurement.ignored_cracks()}
    values: dict[str, Any] = rounded({**photo, **measurement.summary(), **ignored, "of_cracks": cracks})
    return values


def _coordinates(crack: Crack) -> dict[str, Any]:
    def as_list(points: Points) -> list[list[float]]:
        return [[float(x), float(y)] for x, y in points]

    return {
        "tips_xy": as_list(crack.tips),
        "branch_points_xy": as_list(crack.branch_points),
        "gaps_xy": [as_list(gap) for gap in crack.gaps],
    }


def rounded(value: Any) -> Any:
    """Return a value, or all values in mappings and lists, with floats rounded to `DIGITS`.

    Example:
        >>> rounded({"length_px": 2 / 3, "tips": 2, "tips_xy": [[1.23456, 0.0]]})
        {'length_px': 0.6667, 'tips': 2, 'tips_xy': [[1.2346, 0.0]]}
    """
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def write_tables(folder: Path, measurements: Mapping[str, Measurement]) -> None:
    """Write `photos.csv`, `cracks.csv`, both as `measurements.xlsx`, and `measurements.json`.

    Args:
        folder: to write to.
        measurements: by id.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_tables(Path(folder), {"wall": Measurement((), height=40, width=60)})
        ...     (Path(folder) / "photos.csv").read_text().splitlines()[1].split(",")[:4]
        ['wall', '', '0', '0.0']
    """
    photos = [photo_row(id, measurement) for id, measurement in measurements.items()]
    cracks = [row for id, measurement in measurements.items() for row in crack_rows(id, measurement)]
    photos, cracks = rounded(photos), rounded(cracks)
    write_csv(folder / "photos.csv", PHOTO_COLUMNS, photos)
    write_csv(folder / "cracks.csv", CRACK_COLUMNS, cracks)
    write_json(folder / "measurements.json", {id: as_json(measurement) for id, measurement in measurements.items()})
    write_workbook(folder, photos, cracks)  # last, since it may be open in a spreadsheet that locks it


def as_text(rows: Sequence[Row]) -> str:
    """Return rows of photos or of cracks as a table for the screen.

    Example:
        >>> print(as_text([photo_row("wall", Measurement((), height=40, width=60))])[:40])
          id  cracks  length_px  width_p50_px  w
    """
    unit = "px" if any(row["length_mm"] is None for row in rows) else "mm"
    columns = [column for name in SHOWN if rows and (column := name.format(unit)) in rows[0]]
    cells = [columns, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.rjust, row, widths)) for row in cells)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
