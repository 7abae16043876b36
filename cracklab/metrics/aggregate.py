"""From rows to numbers: pooled ratios from summed counts, means over images."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cracklab.metrics.bands import BANDS, pooled_by_width
from cracklab.metrics.curves import average_precision
from cracklab.metrics.overlap import BINARY, RATIOS
from cracklab.metrics.scores import SCORES

Row = dict[str, Any]
"""One image: `id`, then numbers (int, float, or None where there is nothing to measure) and words by name; `n_...` are
counts that only serve to be added up, `histogram` those of the probabilities."""

COUNTS = ("tp", "fp", "fn", "tn")
SUMS = ("hd95_px_empty", "empty_truth", "empty_pred")
"""Columns that count images, and so are added up."""
OWN = {*SCORES, "crack_share", "width_px", "boundary_share", "false_positive_px", "hd95_mm", "hd100_mm", "asd_mm"}
"""Columns whose None says that the image has nothing to measure, and is left out of the mean."""


def aggregate(rows: Sequence[Row]) -> dict[str, float | None]:
    """Aggregate rows of the evaluator in float64.

    Several classes: the pooled ratio of a class that neither truth nor prediction contains anywhere is None, and is in
    no mean; if that holds for all of them, the mean is 1, as for one class.

    Args:
        rows: one per image.

    Returns:
        By name: `images`; `iou`, `dice`, `precision`, `recall` pooled over all pixels, at the checkpoint's threshold, at
        stated ones (`iou@0.5`), per class (`iou/CLASS`); `iou_image` ... their means over images; the means over images
        of all other numbers; `hd95_px_empty`, the number of images in which the policy for an empty mask decided.
        Finite, or None where there is nothing to measure, or a column of the caller's is not finite throughout.
    """
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in ("id", "histogram")]
    result: dict[str, float | None] = {"images": float(len(rows)), **_pooled(rows, names)}
    for name in names:
        base = name.partition("@")[0].partition("/")[0]
        values = [row[name] for row in rows if name in row]
        counted = base in COUNTS or base.startswith("n_") or (base in RATIOS and "/" in name)
        if counted or any(isinstance(value, str) for value in values):
            continue
        if base in SUMS:
            result[name] = float(sum(values))
        elif base in BINARY:
            result[name.replace(base, base + "_image", 1)] = mean(values)
        else:
            result[name] = mean(values) if base in OWN or None not in values else None
    return result


def _pooled(rows: Sequence[Row], names: Sequence[str]) -> dict[str, float | None]:
    """What follows from sums over all images."""
    result: dict[str, float | None] = {}
    for suffix in [name.removeprefix("tp") for name in names if name == "tp" or name.startswith(("tp@", "tp/"))]:
        counts = [np.array(sum(row[count + suffix] for row in rows)) for count in COUNTS]
        ratios = RATIOS if suffix.startswith("/") else BINARY
        gone = suffix.startswith("/") and not any(counts[:3])
        result |= {name + suffix: None if gone else ratio(*counts).item() for name, ratio in ratios.items()}
    if "n_correct" in names:
        for name in RATIOS:
            result[name] = mean([value for key, value in result.items() if key.startswith(name + "/")], empty=1.0)
        result["accuracy"] = sum(row["n_correct"] for row in rows) / max(sum(row["n_pixels"] for row in rows), 1)
    if f"n_{next(iter(BANDS))}_tp" in names:
        result |= pooled_by_width([row for row in rows if "width_px" in row])
    if "histogram" in rows[0] if rows else False:
        result["average_precision"] = average_precision(rows)
    return result


def mean(values: Iterable[float | None], empty: float | None = None) -> float | None:
    """Mean of the values that are not None, whatever their order; `empty` if there are none."""
    there = [value for value in values if value is not None]
    return math.fsum(there) / len(there) if there else empty
