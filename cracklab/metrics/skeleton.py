"""Agreement of centre lines: the length of crack that is found, whatever its width."""

import numpy as np

from cracklab.metrics.pairs import Pair
from cracklab.metrics.surface import nearest_points, pixel_coordinates


def line_counts(pair: Pair, buffer_px: float) -> dict[str, int]:
    """Return the lengths of the centre lines of truth and prediction, and of their parts in or near the other, in pixels.

    Args:
        pair: prediction and truth.
        buffer_px: distance, px, up to which a pixel of one centre line is near the other.

    Returns:
        Of the true centre line: `n_line`, its length; `n_line_inside`, in the predicted mask; `n_line_near`, near the
        predicted centre line. The same of the predicted one: `n_pred_line`, `n_pred_line_inside`, `n_pred_line_near`.

    Example:
        >>> pred, target = np.zeros((2, 9, 9), bool)
        >>> target[4], pred[5, :6] = True, True  # 6 px, one row off
        >>> line_counts(Pair(pred, target), buffer_px=1)  # doctest: +NORMALIZE_WHITESPACE
        {'n_line': 9, 'n_line_inside': 0, 'n_line_near': 6,
         'n_pred_line': 6, 'n_pred_line_inside': 0, 'n_pred_line_near': 6}
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
    """Return clDice: the harmonic mean of the shares of each centre line that are in the other mask.

    Both lines empty: 1. One empty: 0.

    Args:
        line: length of the true centre line, px.
        line_inside: length of its part in the predicted mask.
        pred_line: length of the predicted centre line, px.
        pred_line_inside: length of its part in the true mask.

    Example:
        >>> round(cl_dice(line=9, line_inside=6, pred_line=6, pred_line_inside=6), 3)  # of 2 / 3 and 1
        0.8

    Source: Shit 2021, eq. 1 and 2.
    """
    if not line or not pred_line:
        return 1.0 if line == pred_line else 0.0
    sensitivity, precision = line_inside / line, pred_line_inside / pred_line
    return 2 * sensitivity * precision / (sensitivity + precision) if line_inside and pred_line_inside else 0.0


def cl_iou(line: int, line_near: int, pred_line: int, pred_line_near: int) -> float:
    """Return centre-line IoU with a tolerance, TP / (TP + FP + FN).

    TP are the pixels of the true line that are near the predicted line, FN all others of it. FP are the pixels of the
    predicted line that are not near the true line. Both lines empty: 1.

    Args:
        line: length of the true centre line, px.
        line_near: length of its part that is near the predicted centre line.
        pred_line: length of the predicted centre line, px.
        pred_line_near: length of its part that is near the true centre line.

    Example:
        >>> cl_iou(line=9, line_near=6, pred_line=8, pred_line_near=5)  # TP, FP, FN = 6, 3, 3
        0.5

    Source: Benz 2024 (OmniCrack30k), with a tolerance of 4 px.
    """
    union = line + pred_line - pred_line_near
    return line_near / union if union else 1.0


def skeleton_scores(counts: dict[str, int]) -> dict[str, float]:
    """Return `cl_dice`, `cl_iou`, `skeleton_precision` and `skeleton_recall` of two non-empty centre lines.

    Args:
        counts: of `line_counts`.

    Example:
        >>> counts = {"n_line": 9, "n_line_inside": 3, "n_line_near": 6}
        >>> counts |= {"n_pred_line": 8, "n_pred_line_inside": 4, "n_pred_line_near": 5}
        >>> skeleton_scores(counts)["cl_iou"], skeleton_scores(counts)["skeleton_precision"]
        (0.5, 0.625)
    """
    line, pred_line = counts["n_line"], counts["n_pred_line"]
    return {
        "cl_dice": cl_dice(line, counts["n_line_inside"], pred_line, counts["n_pred_line_inside"]),
        "cl_iou": cl_iou(line, counts["n_line_near"], pred_line, counts["n_pred_line_near"]),
        "skeleton_precision": counts["n_pred_line_near"] / pred_line,
        "skeleton_recall": counts["n_line_near"] / line,
    }
