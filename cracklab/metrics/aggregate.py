"""From rows to numbers: pooled ratios from summed counts, means over images."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cracklab.metrics.overlap import RATIOS

Row = dict[str, Any]
"""One image: `id`, then numbers (int, float, or None where there is nothing to measure) and words by name."""

COUNTS = ("tp", "fp", "fn", "tn")
SUMS = ("hd95_px_empty",)
"""Columns that count images, and so are added up."""
MEASURES = (*RATIOS, "crack_share", "hd95_px", "boundary_iou", "boundary_share")
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
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "id"]
    result: dict[str, float | None] = {"images": float(len(rows))}
    for suffix in [name.removeprefix("tp") for name in names if name.partition("@")[0].partition("/")[0] == "tp"]:
        tp, fp, fn = (np.array(sum(row[count + suffix] for row in rows)) for count in COUNTS[:3])
        gone = suffix.startswith("/") and tp + fp + fn == 0
        result |= {name + suffix: None if gone else ratio(tp, fp, fn).item() for name, ratio in RATIOS.items()}
    for name in RATIOS:
        per_class = [value for key, value in result.items() if key.startswith(name + "/")]
        if per_class:
            result[name] = mean(per_class, empty=1.0)
    for name in names:
        base = name.partition("@")[0].partition("/")[0]
        values = [row[name] for row in rows if name in row]
        if base in COUNTS or (base in RATIOS and "/" in name) or any(isinstance(value, str) for value in values):
            continue
        if base in SUMS:
            result[name] = float(sum(values))
        elif base in RATIOS:
            result[name.replace(base, base + "_image", 1)] = mean(values)
        else:
            result[name] = mean(values) if base in MEASURES or None not in values else None
    return result


def mean(values: Iterable[float | None], empty: float | None = None) -> float | None:
    """Mean of the values that are not None, whatever their order; `empty` if there are none."""
    there = [value for value in values if value is not None]
    return math.fsum(there) / len(there) if there else empty
