"""Pixel counts (true and false positives and negatives), and the ratios of them.

One policy for every ratio: 1 if truth and prediction are both empty, 0 if only one of them is.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Counts = NDArray[np.int64]
"""Numbers of pixels, of any shape."""
Ratios = NDArray[np.float64]
"""Ratios, of the shape of their counts."""


def confusion(pred: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return true positives, false positives, false negatives and true negatives, px, per image and class.

    Args:
        pred: (B, C, H, W) bool.
        target: (B, C, H, W) bool.
        valid: (B, 1, H, W) bool; False pixels are ignored. None: every pixel counts.

    Returns:
        (4, B, C) int64, on the device of the masks.

    Example:
        >>> pred, target = torch.tensor([[1, 1, 0, 0, 0], [1, 0, 1, 1, 0]]).bool().reshape(2, 1, 1, 1, 5)
        >>> confusion(pred, target).flatten().tolist()
        [1, 1, 2, 1]
    """
    if valid is not None:
        pred, target = pred & valid, target & valid
    tp = (pred & target).sum((2, 3))
    fp, fn = pred.sum((2, 3)) - tp, target.sum((2, 3)) - tp
    total = pred.shape[2:].numel() if valid is None else valid.sum((2, 3))
    return torch.stack([tp, fp, fn, total - tp - fp - fn])


def iou(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Ratios:
    """Return intersection over union, TP / (TP + FP + FN).

    Example:
        >>> iou(*np.array([2, 1, 1, 6])).item()
        0.5
    """
    return _ratio(tp, tp + fp + fn, tp + fp + fn)


def dice(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Ratios:
    """Return Dice, which is the F1 of pixels: 2 TP / (2 TP + FP + FN).

    Example:
        >>> dice(*np.array([2, 1, 3, 6])).item()
        0.5
    """
    return _ratio(2 * tp, 2 * tp + fp + fn, tp + fp + fn)


def precision(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Ratios:
    """Return the share of the predicted pixels that are crack, TP / (TP + FP).

    Example:
        >>> precision(*np.array([3, 1, 9, 6])).item()
        0.75
    """
    return _ratio(tp, tp + fp, tp + fp + fn)


def recall(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Ratios:
    """Return the share of the crack pixels that are predicted, TP / (TP + FN).

    Example:
        >>> recall(*np.array([3, 9, 1, 6])).item()
        0.75
    """
    return _ratio(tp, tp + fn, tp + fp + fn)


def accuracy(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Ratios:
    """Return the share of all pixels that are predicted correctly, (TP + TN) / (TP + FP + FN + TN).

    Example:
        >>> accuracy(*np.array([2, 1, 1, 6])).item()
        0.8
    """
    return _ratio(tp + tn, tp + fp + fn + tn, tp + fp + fn)


def mean_iou(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Ratios:
    """Return the mean of the IoU of crack and of background.

    Example:
        >>> mean_iou(*np.array([2, 1, 1, 6])).item()  # 2 / 4 and 6 / 8
        0.625
    """
    return (iou(tp, fp, fn, tn) + iou(tn, fn, fp, tp)) / 2


def mean_accuracy(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Ratios:
    """Return mean pixel accuracy: the mean of the recall of crack and of background.

    Example:
        >>> mean_accuracy(*np.array([1, 2, 1, 6])).item()  # 1 / 2 and 6 / 8
        0.625
    """
    return (recall(tp, fp, fn, tn) + recall(tn, fn, fp, tp)) / 2


def _ratio(part: Counts, whole: Counts, union: Counts) -> Ratios:
    return np.where(union == 0, 1.0, part / np.where(whole > 0, whole, 1))


COUNTS = ("tp", "fp", "fn", "tn")
"""Names of the counts: true and false positives, false and true negatives."""
RATIOS = {"iou": iou, "dice": dice, "precision": precision, "recall": recall}
"""Ratios of one class by name, each a function of (tp, fp, fn, tn)."""
BINARY = RATIOS | {"accuracy": accuracy, "mean_iou": mean_iou, "mean_accuracy": mean_accuracy}
"""`RATIOS`, and the ratios of a single class that count its background as well."""
