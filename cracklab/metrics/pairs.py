"""Pairs of a predicted and a true mask: checked, without ignored pixels, one image and class at a time."""

from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cracklab.errors import ConfigError
from cracklab.geometry.masks import Mask, skeletonize


class Pair:
    """Prediction and truth of one class of one image, (H, W) bool; each centre line is computed at most once.

    Example:
        >>> pair = Pair(np.zeros((1, 5), bool), np.ones((1, 5), bool))
        >>> pair.empty
        (True, False)
        >>> int(pair.line.sum())  # the centre line of a line one pixel wide is the line itself
        5
    """

    def __init__(self, pred: Mask, target: Mask) -> None:
        self.pred, self.target = np.ascontiguousarray(pred), np.ascontiguousarray(target)
        self.empty = not self.pred.any(), not self.target.any()
        """Whether the prediction is empty, and whether the truth is."""

    @cached_property
    def line(self) -> Mask:
        """Centre lines of the truth, one pixel wide."""
        return skeletonize(self.target)

    @cached_property
    def pred_line(self) -> Mask:
        """Centre lines of the prediction, one pixel wide."""
        return skeletonize(self.pred)


def inner_boundary(mask: Mask, element: NDArray[np.uint8], times: int = 1) -> Mask:
    """Return the pixels of a mask that erosions remove; pixels outside of the image count as background.

    Args:
        mask: (H, W).
        element: structuring element of the erosion.
        times: number of erosions.

    Example:
        >>> int(inner_boundary(np.ones((4, 5), bool), np.ones((3, 3), np.uint8)).sum())  # 4 x 5 less 2 x 3 px
        14
    """
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    inner = cv2.erode(pixels, element, iterations=times, borderType=cv2.BORDER_CONSTANT, borderValue=[0])
    return mask & np.equal(inner, 0)


def per_image(
    score: Callable[[Mask, Mask], float], pred: Tensor, target: Tensor, valid: Tensor | None = None
) -> Tensor:
    """Apply a function of two masks (H, W) to every image and class.

    Args:
        score: from prediction and truth, bool arrays (H, W), to a number.
        pred: (B, C, H, W) bool, on any device.
        target: (B, C, H, W) bool.
        valid: (B, 1, H, W), 0 / 1; pixels with 0 belong to no class, in the prediction and in the truth alike. None: every
            pixel counts.

    Returns:
        (B, C) float64 on the CPU.

    Raises:
        ConfigError: for tensors that are not bool, or of different shapes.

    Example:
        >>> pred, target = torch.ones(2, 1, 1, 4, 5, dtype=torch.bool)
        >>> per_image(lambda p, t: (p & t).sum(), pred, target)
        tensor([[20.]], dtype=torch.float64)
    """
    check_masks(pred, target, valid)
    if valid is not None:
        pred, target = pred & (valid > 0), target & (valid > 0)
    pairs = zip(pred.cpu().numpy(), target.cpu().numpy(), strict=True)
    values = [[score(*classes) for classes in zip(*pair, strict=True)] for pair in pairs]
    return torch.tensor(values, dtype=torch.float64).reshape(pred.shape[:2])


def check_masks(pred: Tensor, target: Tensor, valid: Tensor | None) -> None:
    """Raise ConfigError unless both masks are bool (B, C, H, W) of one shape, and `valid` is (B, 1, H, W) or None.

    Example:
        >>> check_masks(torch.rand(1, 1, 4, 4), torch.ones(1, 1, 4, 4, dtype=torch.bool), None)
        Traceback (most recent call last):
        cracklab.errors.ConfigError: pred is torch.float32 (1, 1, 4, 4): expected bool (B, C, H, W), such as probability > 0.5
    """
    for name, mask in (("pred", pred), ("target", target)):
        if mask.ndim != 4 or mask.dtype != torch.bool:
            raise ConfigError(
                f"{name} is {mask.dtype} {tuple(mask.shape)}: expected bool (B, C, H, W), such as probability > 0.5"
            )
    if pred.shape != target.shape:
        raise ConfigError(f"pred is {tuple(pred.shape)} but target is {tuple(target.shape)}: give both the same shape")
    if valid is not None and valid.shape != (pred.shape[0], 1, *pred.shape[2:]):
        raise ConfigError(f"valid is {tuple(valid.shape)}: expected (B, 1, H, W) for masks {tuple(pred.shape)}")
