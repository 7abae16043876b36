"""Ratios of pixel counts, pooled over all images."""

from cracklab.metrics.torchmetrics.base import PooledRatio


class IoU(PooledRatio):
    """Intersection over union of pixels, TP / (TP + FP + FN), pooled over all images.

    Args: those of `PooledRatio`.

    Example:
        >>> import torch
        >>> IoU()(torch.tensor([[[[0.9, 0.8, 0.7, 0.1]]]]), torch.tensor([[[[1, 1, 0, 1]]]]))  # TP, FP, FN = 2, 1, 1
        tensor(0.5000)
    """

    ratio = "iou"


class Dice(PooledRatio):
    """Dice, the F1 of pixels, 2 TP / (2 TP + FP + FN), pooled over all images.

    Args: those of `PooledRatio`.

    Example:
        >>> import torch
        >>> Dice()(torch.tensor([[[[0.9, 0.8, 0.7, 0.1]]]]), torch.tensor([[[[1, 1, 0, 1]]]]))  # TP, FP, FN = 2, 1, 1
        tensor(0.6667)
    """

    ratio = "dice"


class Precision(PooledRatio):
    """Share of the predicted pixels that are crack, TP / (TP + FP), pooled over all images.

    Args: those of `PooledRatio`.

    Example:
        >>> import torch
        >>> Precision()(torch.tensor([[[[0.9, 0.8, 0.7, 0.1]]]]), torch.tensor([[[[1, 1, 0, 1]]]]))  # TP, FP = 2, 1
        tensor(0.6667)
    """

    ratio = "precision"


class Recall(PooledRatio):
    """Share of the crack pixels that are predicted, TP / (TP + FN), pooled over all images.

    Args: those of `PooledRatio`.

    Example:
        >>> import torch
        >>> Recall()(torch.tensor([[[[0.9, 0.8, 0.7, 0.1]]]]), torch.tensor([[[[1, 1, 0, 1]]]]))  # TP, FN = 2, 1
        tensor(0.6667)
    """

    ratio = "recall"
