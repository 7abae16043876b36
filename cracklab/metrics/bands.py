"""Scores by the width of the crack."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cracklab.geometry.masks import widths
from cracklab.metrics.pairs import Pair
from cracklab.metrics.skeleton import cl_dice
from cracklab.metrics.surface import nearest_points, pixel_coordinates

BANDS = {"w1_2": 2.5, "w3_5": 5.5, "w6_10": 10.5, "w11": np.inf}
"""Name of a band to where it ends, px; a width of 2.5 px, as slanting cracks have, is between the first two."""


def by_width(pair: Pair) -> dict[str, float | None]:
    """Pixels right and wrong by the width of the true crack that they are nearest to.

    The width is that at the nearest pixel of the true centre line, so that a false pixel is held against the nearest
    crack. Without truth there is no width.

    Args:
        pair: prediction and truth.

    Returns:
        For each band: `n_BAND_tp`, `n_BAND_fp`, `n_BAND_fn`, and pixels of centre lines `n_BAND_line`,
        `n_BAND_line_inside`, `n_BAND_pred_line`, `n_BAND_pred_line_inside`; and `width_px`, the mean width.
    """
    kinds = ("tp", "fp", "fn", "line", "line_inside", "pred_line", "pred_line_inside")
    counts: dict[str, float | None] = {"width_px": None} | {f"n_{band}_{kind}": 0 for band in BANDS for kind in kinds}
    if pair.empty[1]:
        return counts
    pred, target, line, pred_line = pair.pred, pair.target, pair.line, pair.pred_line
    width = widths(target, line)
    some = pred | target
    band = np.zeros(pred.shape, np.int64)
    band[some] = np.searchsorted(list(BANDS.values()), width)[
        nearest_points(pixel_coordinates(some), pixel_coordinates(line))[1]
    ]
    parts = (pred & target, pred & ~target, target & ~pred, line, line & pred, pred_line, pred_line & target)
    for kind, part in zip(kinds, parts, strict=True):
        numbers = np.bincount(band[part], minlength=len(BANDS)).tolist()
        counts |= {f"n_{name}_{kind}": number for name, number in zip(BANDS, numbers, strict=True)}
    return counts | {"width_px": float(width.mean())}


def pooled_by_width(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """`iou_BAND`, `recall_BAND` and `cl_dice_BAND` from summed counts; None where no crack has that width."""
    result: dict[str, float | None] = {}
    for band in BANDS:

        def total(kind: str, band: str = band) -> int:
            return sum(row[f"n_{band}_{kind}"] for row in rows)

        tp, fp, fn = total("tp"), total("fp"), total("fn")
        there = tp + fn > 0
        line = [total(kind) for kind in ("line", "line_inside", "pred_line", "pred_line_inside")]
        result[f"iou_{band}"] = tp / (tp + fp + fn) if there else None
        result[f"recall_{band}"] = tp / (tp + fn) if there else None
        result[f"cl_dice_{band}"] = cl_dice(*line) if there else None
    return result
