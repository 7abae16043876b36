"""Metrics of a whole evaluation from its rows: pooled ratios from added-up counts, and means over images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cracklab.metrics.bands import BANDS, pooled_by_width
from cracklab.metrics.curves import average_precision
from cracklab.metrics.key import MetricKey
from cracklab.metrics.overlap import BINARY, COUNTS, RATIOS
from cracklab.metrics.rows import Row, has_counted_pixels, mean
from cracklab.metrics.scores import NULLABLE, SCORES

SUMS = ("hd95_px_empty", "empty_truth", "empty_pred")
"""Columns that say whether an image is of a kind: their sum is the number of such images."""


def aggregate(rows: Sequence[Row]) -> dict[str, float | None]:
    """Aggregate rows of the evaluator in float64.

    With several classes, the pooled ratio of a class that neither truth nor prediction contains in any image is None, and
    excluded from the means. If that holds for all classes, the mean is 1, as for one class.

    Args:
        rows: one per image.

    Returns:
        By name: `images`, the number of rows; `iou`, `dice`, `precision`, `recall` pooled over all pixels, at the
        checkpoint's threshold, at stated ones (`iou@0.5`) and per class (`iou/CLASS`); `iou_image` ..., their means over
        images; means over images of all other numbers; `hd95_px_empty`, the number of images with exactly one empty mask.
        Values are finite, or None: if there is nothing to measure, or if a column of the caller has a value that is not
        finite for an image with a counted pixel.

    Example:
        >>> rows = [{"id": "a", "iou": 0.5, "tp": 1, "fp": 1, "fn": 0, "tn": 8}, {"id": "b", "iou": 0.0, "tp": 0, "fp": 0, "fn": 8, "tn": 2}]
        >>> result = aggregate(rows)
        >>> result["iou"], result["iou_image"]  # TP, FP, FN = 1, 1, 8
        (0.1, 0.25)
    """
    names = dict.fromkeys(name for row in rows for name in row if name not in ("id", "histogram"))
    keys = [MetricKey.parse(name) for name in names]
    result: dict[str, float | None] = {"images": float(len(rows)), **_pooled(rows, keys)}
    for key in keys:
        column, name = str(key), key.variant
        values = [row[column] for row in rows if column in row]
        counted = name in COUNTS or name.startswith("n_") or (name in RATIOS and key.label is not None)
        if counted or any(isinstance(value, str) for value in values):
            continue
        if name in SUMS:
            result[column] = float(sum(values))
        elif name in BINARY:
            result[str(replace(key, image=True))] = mean(values)
        elif name in SCORES or name in NULLABLE:
            result[column] = mean(values)
        else:
            broken = any(row.get(column, 0) is None and has_counted_pixels(row) for row in rows)
            result[column] = None if broken else mean(values)
    return result


def _pooled(rows: Sequence[Row], keys: Sequence[MetricKey]) -> dict[str, float | None]:
    """Return the values that follow from sums over all images."""
    result: dict[str, float | None] = {}
    names = {str(key) for key in keys}
    cells = [key for key in keys if key.variant == "tp"]
    for key in cells:
        counts = [np.array(sum(row[str(key.named(count))] for row in rows)) for count in COUNTS]
        absent = key.label is not None and not any(counts[:3])
        for name, ratio in (BINARY if key.label is None else RATIOS).items():
            result[str(key.named(name))] = None if absent else ratio(*counts).item()
    if "n_correct" in names:
        for name in RATIOS:
            result[name] = mean([result[str(key.named(name))] for key in cells if key.label is not None], empty=1.0)
        result["accuracy"] = sum(row["n_correct"] for row in rows) / max(sum(row["n_pixels"] for row in rows), 1)
    if f"n_{next(iter(BANDS))}_tp" in names:
        result |= pooled_by_width([row for row in rows if "width_px" in row])
    if rows and "histogram" in rows[0]:
        result["average_precision"] = average_precision(rows)
    return result
