"""Agreement of centre lines: what length of crack is found, whatever its width."""

import numpy as np

from cracklab.metrics.pairs import Pair
from cracklab.metrics.surface import nearest_points, pixel_coordinates


def line_counts(pair: Pair, buffer_px: float) -> dict[str, int]:
    """Lengths of centre lines, in pixels: of truth and prediction, within the other's mask, and near the other's line.

    Args:
        pair: prediction and truth.
        buffer_px: distance, px, up to which a line is near another.

    Returns:
        `n_line`, `n_line_inside`, `n_line_near` of the truth, and the same with `n_pred_line` of the prediction.
    """
    counts = {
        "n_line": int(np.count_nonzero(pair.line)),
        "n_line_inside": int(np.count_nonzero(pair.line & pair.pred)),
        "n_line_near": 0,
        "n_pred_line": int(np.count_nonzero(pair.pred_line)),
        "n_pred_line_inside": int(np.count_nonzero(pair.pred_line & pair.target)),
        "n_pred_line_near": 0,
    }
    if counts["n_line"] and counts["n_pred_line"]:
        true_points, pred_points = pixel_coordinates(pair.line), pixel_coordinates(pair.pred_line)
        counts["n_line_near"] = int(np.sum(nearest_points(true_points, pred_points)[0] <= buffer_px))
        counts["n_pred_line_near"] = int(np.sum(nearest_points(pred_points, true_points)[0] <= buffer_px))
    return counts


def cl_dice(line: int, line_inside: int, pred_line: int, pred_line_inside: int) -> float:
    """Harmonic mean of the shares of the true line in the predicted mask and of the predicted line in the true mask.

    Both lines empty: 1. One empty: 0.

    Source: Shit 2021, eq. 1 and 2.
    """
    if not line or not pred_line:
        return 1.0 if line == pred_line else 0.0
    sensitivity, precision = line_inside / line, pred_line_inside / pred_line
    return 2 * sensitivity * precision / (sensitivity + precision) if line_inside and pred_line_inside else 0.0


def cl_iou(line: int, line_near: int, pred_line: int, pred_line_near: int) -> float:
    """Centre-line IoU with a tolerance: TP / (TP + FP + FN).

    TP and FN are the pixels of the true line that are near the predicted line, and that are not; FP those of the
    predicted line that are not near the true line. Both lines empty: 1.

    Source: Benz 2024 (OmniCrack30k), with a tolerance of 4 px.
    """
    union = line + pred_line - pred_line_near
    return line_near / union if union else 1.0


def skeleton_scores(counts: dict[str, int]) -> dict[str, float]:
    """`cl_dice`, `cl_iou`, `skeleton_precision` and `skeleton_recall` from the counts of `line_counts`, neither line empty."""
    line, pred_line = counts["n_line"], counts["n_pred_line"]
    return {
        "cl_dice": cl_dice(line, counts["n_line_inside"], pred_line, counts["n_pred_line_inside"]),
        "cl_iou": cl_iou(line, counts["n_line_near"], pred_line, counts["n_pred_line_near"]),
        "skeleton_precision": counts["n_pred_line_near"] / pred_line,
        "skeleton_recall": counts["n_line_near"] / line,
    }
