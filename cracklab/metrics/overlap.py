"""Counts of right and wrong pixels, and the ratios made from them.

One policy for every ratio: truth and prediction both empty 1, only one of them empty 0.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Counts = NDArray[np.int64]
"""Numbers of pixels, any shape."""
Values = NDArray[np.float64]
"""Ratios, of the counts' shape."""


def confusion(pred: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """True positives, false positives, false negatives and true negatives, px, per image and class.

    Args:
        pred: (B, C, H, W) bool.
        target: (B, C, H, W) bool.
        valid: (B, 1, H, W) bool; None: every pixel counts.

    Returns:
        (4, B, C) int64, on the device of the masks.
    """
    if valid is not None:
        pred, target = pred & valid, target & valid
    hits = (pred & target).sum((2, 3))
    false, missed = pred.sum((2, 3)) - hits, target.sum((2, 3)) - hits
    total = pred[0, 0].numel() if valid is None else valid.sum((2, 3))
    return torch.stack([hits, false, missed, total - hits - false - missed])


def iou(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Values:
    """Intersection over union, TP / (TP + FP + FN)."""
    return _ratio(tp, tp + fp + fn, tp + fp + fn)


def dice(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Values:
    """Dice, which is the F1 of pixels: 2 TP / (2 TP + FP + FN)."""
    return _ratio(2 * tp, 2 * tp + fp + fn, tp + fp + fn)


def precision(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Values:
    """Share of the predicted pixels that are right, TP / (TP + FP)."""
    return _ratio(tp, tp + fp, tp + fp + fn)


def recall(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Values:
    """Share of the true pixels that are found, TP / (TP + FN)."""
    return _ratio(tp, tp + fn, tp + fp + fn)


def accuracy(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Values:
    """Share of all pixels that are right, (TP + TN) / (TP + FP + FN + TN)."""
    return _ratio(tp + tn, tp + fp + fn + tn, tp + fp + fn)


def mean_iou(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Values:
    """Mean of the IoU of crack and of background."""
    return (iou(tp, fp, fn, tn) + iou(tn, fn, fp, tp)) / 2


def mean_accuracy(tp: Counts, fp: Counts, fn: Counts, tn: Counts) -> Values:
    """Mean pixel accuracy: the mean of the recall of crack and of background."""
    return (recall(tp, fp, fn, tn) + recall(tn, fn, fp, tp)) / 2


def _ratio(hits: Counts, of: Counts, union: Counts) -> Values:
    return np.where(union == 0, 1.0, hits / np.maximum(of, 1))


COUNTS = ("tp", "fp", "fn", "tn")
"""Names of the counts: true and false positives, false and true negatives."""
RATIOS = {"iou": iou, "dice": dice, "precision": precision, "recall": recall}
"""Ratios of one class by name, each a function of (tp, fp, fn, tn)."""
BINARY = RATIOS | {"accuracy": accuracy, "mean_iou": mean_iou, "mean_accuracy": mean_accuracy}
"""The same, and those that count the background of a single class."""
