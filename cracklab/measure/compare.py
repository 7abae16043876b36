"""Errors of measurements on predicted masks, compared with measurements on the true masks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cracklab.measure.measurement import Measurement, Row

WIDTHS = ("width_p50", "width_p95", "width_max")
COLUMNS = (
    *("id", "length_px", "true_length_px", "length_error"),
    *(f"{name}{end}" for name in WIDTHS for end in ("_px", "_error_px")),
    *("cracks", "true_cracks"),
)
"""Columns of comparison.csv."""


def comparison_row(id: str, measurement: Measurement, truth: Measurement) -> Row:
    """Return the row of a photo in comparison.csv: predicted minus true; None if one of the masks has no crack.

    `length_error` is relative to the true length.

    Example:
        >>> from cracklab.measure import measure_mask
        >>> truth, prediction = np.zeros((20, 80), bool), np.zeros((20, 80), bool)
        >>> truth[8:12, 10:70] = prediction[8:14, 10:40] = True  # half the length, 2 px too wide
        >>> row = comparison_row("wall", measure_mask(prediction), measure_mask(truth))
        >>> round(row["length_error"], 2), round(row["width_p50_error_px"], 2)
        (-0.5, 2.0)
    """
    found, true = measurement.summary(), truth.summary()
    values: dict[str, Any] = {
        "id": id,
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


def summarize_errors(rows: Sequence[Row]) -> dict[str, float | int | None]:
    """Return the errors over all photos, for comparison.json.

    - `length_error_total`: relative error of the total length; excess in one photo cancels a deficit in another.
    - `length_error_abs_mean`, `_median`: magnitude of the relative error of a photo with cracks; 1 if none is found.
    - `width_*_error_px_mean`: bias; `_abs_mean`: magnitude. Both are over photos with cracks in both masks.
    - `photos_missed`: photos with cracks of which none is found; `photos_false`: photos without cracks where one is found.

    Example:
        >>> missed = {"length_px": 0.0, "true_length_px": 50.0, "length_error": -1.0}
        >>> excess = {"length_px": 80.0, "true_length_px": 50.0, "length_error": 0.6}
        >>> widths = {f"{name}_error_px": None for name in WIDTHS}
        >>> errors = summarize_errors([missed | widths, excess | widths])
        >>> errors["photos_missed"], round(errors["length_error_total"], 2), errors["length_error_abs_mean"]
        (1, -0.2, 0.8)
    """

    def mean(values: Sequence[float], average: Any = np.mean) -> float | None:
        return float(average(values)) if len(values) else None

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


def as_text(errors: Mapping[str, float | int | None]) -> str:
    """Return the result of `summarize_errors` with one value a line.

    Example:
        >>> print(as_text({"photos": 2, "length_error_total": -0.2, "width_p50_error_px_mean": None}))
        photos                      2
        length_error_total          -20.0%
        width_p50_error_px_mean     -
    """
    return "\n".join(f"{name:28}{_cell(name, value)}" for name, value in errors.items())


def _cell(name: str, value: float | int | None) -> str:
    if value is None:
        return "-"
    sign = "" if "abs" in name or isinstance(value, int) else "+"
    if name.startswith("photos"):
        return str(value)
    return f"{value:{sign}.1%}" if name.startswith("length") else f"{value:{sign}.2f} px"
