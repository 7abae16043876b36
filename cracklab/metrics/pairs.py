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


def sizes_of(masks: Tensor, sizes: Tensor | None) -> list[list[int]]:
    """Return height and width, px, of each image of a batch before it was padded below and to the right.

    Args:
        masks: (B, C, H, W), of any type.
        sizes: (B, 2); None: H, W.

    Raises:
        ConfigError: for sizes of another shape.

    Example:
        >>> sizes_of(torch.zeros(2, 1, 4, 5), None)
        [[4, 5], [4, 5]]
    """
    if sizes is None:
        return [list(masks.shape[2:])] * len(masks)
    if sizes.shape != (len(masks), 2):
        raise ConfigError(f"size is {tuple(sizes.shape)}: expected {(len(masks), 2)}, height and width of each image")
    found: list[list[int]] = sizes.tolist()
    return found


def counted_pixels(masks: Tensor, valid: Tensor | None, sizes: list[list[int]]) -> Tensor | None:
    """Return whether each pixel counts, (B, 1, H, W) bool: valid, and inside of its image; None if all do.

    Args:
        masks: (B, C, H, W), of any type.
        valid: (B, 1, H, W), 0 / 1; pixels with 0 are ignored. None: every pixel counts.
        sizes: of `sizes_of`.

    Example:
        >>> counted_pixels(torch.zeros(1, 1, 2, 3), None, [[1, 2]])[0, 0].int().tolist()
        [[1, 1, 0], [0, 0, 0]]
    """
    height, width = masks.shape[2:]
    inside = None if valid is None else valid > 0
    if all(size == [height, width] for size in sizes):
        return inside
    extent = torch.tensor(sizes, device=masks.device)[:, :, None, None, None]
    rows = torch.arange(height, device=masks.device)[:, None] < extent[:, 0]
    image = rows & (torch.arange(width, device=masks.device) < extent[:, 1])
    return image if inside is None else image & inside


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
