"""Measurements made on predictions against those made on the truth: the error that an inspector asks for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cracklab.measure.measurement import Measurement

Row = Mapping[str, Any]

WIDTHS = ("width_p50", "width_p95", "width_max")
COLUMNS = (
    *("id", "length_px", "true_length_px", "length_error"),
    *(f"{name}{end}" for name in WIDTHS for end in ("_px", "_error_px")),
    *("cracks", "true_cracks"),
)


def row(name: str, measured: Measurement, truth: Measurement) -> Row:
    """Figures of one photo and their errors; None where one side has none."""
    found, true = measured.figures(), truth.figures()
    values: dict[str, Any] = {
        "id": name,
        "length_px": found["length_px"],
        "true_length_px": true["length_px"],
        "length_error": found["length_px"] / true["length_px"] - 1 if true["length_px"] else None,
        "cracks": found["cracks"],
        "true_cracks": true["cracks"],
    }
    for width in (f"{name}_px" for name in WIDTHS):
        known = found[width] is not None and true[width] is not None
        values[width] = found[width]
        values[width.replace("_px", "_error_px")] = found[width] - true[width] if known else None
    return values


def summary(rows: Sequence[Row]) -> dict[str, float | int | None]:
    """Errors over photos.

    `length_error_total`: of all length together, relative: what is found too much in one photo and too little in the
    next cancels. `length_error_abs_mean`, `_median`: the size of the relative error of a photo with cracks, 1 where none
    of its length is found. `width_*_error_px_mean`: bias; `_abs_mean`: size, both over photos where cracks are on either
    side. `photos_missed`: cracks, but none found; `photos_false`: none, but some found.
    """

    def mean(values: Sequence[float], of: Any = np.mean) -> float | None:
        return float(of(values)) if len(values) else None

    length, true = (sum(row[key] for row in rows) for key in ("length_px", "true_length_px"))
    relative = [abs(row["length_error"]) for row in rows if row["length_error"] is not None]
    result: dict[str, float | int | None] = {
        "photos": len(rows),
        "photos_missed": sum(row["true_length_px"] > 0 and not row["length_px"] for row in rows),
        "photos_false": sum(row["length_px"] > 0 and not row["true_length_px"] for row in rows),
        "length_error_total": length / true - 1 if true else None,
        "length_error_abs_mean": mean(relative),
        "length_error_abs_median": mean(relative, np.median),
    }
    for width in WIDTHS:
        errors = [row[f"{width}_error_px"] for row in rows if row[f"{width}_error_px"] is not None]
        result[f"{width}_error_px_mean"] = mean(errors)
        result[f"{width}_error_px_abs_mean"] = mean(np.abs(errors).tolist())
    return result


def as_text(result: Mapping[str, float | int | None]) -> str:
    """The summary, one line a figure."""
    return "\n".join(f"{name:28}{_cell(name, value)}" for name, value in result.items())


def _cell(name: str, value: float | int | None) -> str:
    if value is None:
        return "-"
    sign = "" if "abs" in name or isinstance(value, int) else "+"
    if name.startswith("photos"):
        return str(value)
    return f"{value:{sign}.1%}" if name.startswith("length") else f"{value:{sign}.2f} px"
