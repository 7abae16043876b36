"""What every metric does with masks before it measures: check, drop pixels that do not count, hand out per image."""

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
    """Prediction and truth of one class of one image, (H, W) bool, and their centre lines, computed once."""

    def __init__(self, pred: Mask, target: Mask) -> None:
        self.pred, self.target = np.ascontiguousarray(pred), np.ascontiguousarray(target)
        self.empty = not self.pred.any(), not self.target.any()

    @cached_property
    def line(self) -> Mask:
        """Centre lines of the truth, one pixel wide."""
        return skeletonize(self.target)

    @cached_property
    def pred_line(self) -> Mask:
        """Centre lines of the prediction."""
        return skeletonize(self.pred)


def inner_boundary(mask: Mask, element: NDArray[np.uint8], times: int = 1) -> Mask:
    """Pixels of a mask that erosions by a structuring element remove; beyond the image nothing is mask."""
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    inner = cv2.erode(pixels, element, iterations=times, borderType=cv2.BORDER_CONSTANT, borderValue=[0])
    return mask & np.equal(inner, 0)


def per_image(
    measure: Callable[[Mask, Mask], float], pred: Tensor, target: Tensor, valid: Tensor | None = None
) -> Tensor:
    """Apply a function of two masks (H, W) to every image and class.

    Pixels that do not count belong to no class, in the prediction and in the truth alike.

    Args:
        measure: from prediction and truth, bool arrays (H, W), to a number.
        pred: (B, C, H, W) bool, on any device.
        target: (B, C, H, W) bool.
        valid: (B, 1, H, W), 0 / 1; None: every pixel counts.

    Returns:
        (B, C) float64 on the CPU.

    Raises:
        ConfigError: for tensors that are not bool, or of different shapes.
    """
    check_masks(pred, target, valid)
    if valid is not None:
        pred, target = pred & (valid > 0), target & (valid > 0)
    pairs = zip(pred.cpu().numpy(), target.cpu().numpy(), strict=True)
    values = [[measure(*classes) for classes in zip(*pair, strict=True)] for pair in pairs]
    return torch.tensor(values, dtype=torch.float64).reshape(pred.shape[:2])


def check_masks(pred: Tensor, target: Tensor, valid: Tensor | None) -> None:
    """Raise ConfigError unless both are bool (B, C, H, W) of one shape, and valid is (B, 1, H, W)."""
    for name, mask in (("pred", pred), ("target", target)):
        if mask.ndim != 4 or mask.dtype != torch.bool:
            raise ConfigError(
                f"{name} is {mask.dtype} {tuple(mask.shape)}: expected bool (B, C, H, W), such as probability > 0.5"
            )
    if pred.shape != target.shape:
        raise ConfigError(f"pred is {tuple(pred.shape)} but target is {tuple(target.shape)}: give both the same shape")
    if valid is not None and valid.shape != (pred.shape[0], 1, *pred.shape[2:]):
        raise ConfigError(f"valid is {tuple(valid.shape)}: expected (B, 1, H, W) for masks {tuple(pred.shape)}")
