"""Scores by bands of crack width."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cracklab.geometry.masks import widths
from cracklab.metrics.pairs import Pair
from cracklab.metrics.skeleton import cl_dice
from cracklab.metrics.surface import nearest_points, pixel_coordinates

BANDS = {"w1_2": 2.5, "w3_5": 5.5, "w6_10": 10.5, "w11": np.inf}
"""Upper end of each band, px; a width of 2.5 px, which slanting cracks have, is between the first two."""


def by_width(pair: Pair) -> dict[str, float | None]:
    """Return the counts of each band of crack width, which can be added up over images.

    The width of a pixel, also of a false one, is that of the true crack at the nearest pixel of its centre line. Without
    truth there is no width, and all counts are 0.

    Args:
        pair: prediction and truth.

    Returns:
        For each band: `n_BAND_tp`, `n_BAND_fp`, `n_BAND_fn`, and the lengths of centre lines `n_BAND_line`,
        `n_BAND_line_inside`, `n_BAND_pred_line`, `n_BAND_pred_line_inside`, px; and `width_px`, the mean width.

    Example:
        >>> pred, target = np.zeros((2, 9, 9), bool)
        >>> target[4], pred[4, :6] = True, True  # a crack 1 px wide, 6 of its 9 px found
        >>> counts = by_width(Pair(pred, target))
        >>> counts["width_px"], counts["n_w1_2_tp"], counts["n_w1_2_fn"], counts["n_w3_5_tp"]
        (1.0, 6, 3, 0)
    """
    kinds = ("tp", "fp", "fn", "line", "line_inside", "pred_line", "pred_line_inside")
    counts: dict[str, float | None] = {"width_px": None} | {f"n_{band}_{kind}": 0 for band in BANDS for kind in kinds}
    if pair.empty[1]:
        return counts
    pred, target, line, pred_line = pair.pred, pair.target, pair.line, pair.pred_line
    width = widths(target, line)
    either = pred | target
    nearest = nearest_points(pixel_coordinates(either), pixel_coordinates(line))[1]
    band = np.zeros(pred.shape, np.int64)
    band[either] = np.searchsorted(list(BANDS.values()), width)[nearest]
    parts = (pred & target, pred & ~target, target & ~pred, line, line & pred, pred_line, pred_line & target)
    for kind, part in zip(kinds, parts, strict=True):
        numbers = np.bincount(band[part], minlength=len(BANDS)).tolist()
        counts |= {f"n_{name}_{kind}": number for name, number in zip(BANDS, numbers, strict=True)}
    return counts | {"width_px": float(width.mean())}


def pooled_by_width(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return `iou_BAND`, `recall_BAND` and `cl_dice_BAND` of added-up counts; None if no crack has that width.

    Args:
        rows: with the counts of `by_width`.

    Example:
        >>> pred, target = np.zeros((2, 9, 9), bool)
        >>> target[4], pred[4, :6] = True, True
        >>> scores = pooled_by_width([by_width(Pair(pred, target))])
        >>> scores["recall_w1_2"] == 6 / 9, scores["recall_w3_5"]
        (True, None)
    """
    result: dict[str, float | None] = {}
    for band in BANDS:

        def total(kind: str, band: str = band) -> int:
            return sum(row[f"n_{band}_{kind}"] for row in rows)

        tp, fp, fn = total("tp"), total("fp"), total("fn")
        has_truth = tp + fn > 0
        line = [total(kind) for kind in ("line", "line_inside", "pred_line", "pred_line_inside")]
        result[f"iou_{band}"] = tp / (tp + fp + fn) if has_truth else None
        result[f"recall_{band}"] = tp / (tp + fn) if has_truth else None
        result[f"cl_dice_{band}"] = cl_dice(*line) if has_truth else None
    return result
