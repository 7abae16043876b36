"""Exact Euclidean distances to the outlines of predictions, for each training step: OpenCV on a CPU, torch elsewhere."""

import math

import cv2
import numpy as np
import torch
from torch import Tensor

CHUNK = 2**24
"""Number of candidates that `distance_torch` compares at once: 64 MiB of float32."""


def outline_distance(inside: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return the distance, px, from each pixel to the nearest valid pixel on the other side of the outline.

    Args:
        inside: (B, C, H, W) bool.
        valid: (B, 1, H, W) bool; pixels that are not valid are on neither side. None: every pixel is valid.

    Returns:
        (B, C, H, W) float32; the image's diagonal if the other side is empty.

    Example:
        >>> outline_distance(torch.tensor([[[[False, False, True, True]]]]))
        tensor([[[[2., 1., 1., 2.]]]])
    """
    to_inside, to_outside = inside, ~inside
    if valid is not None:
        to_inside, to_outside = to_inside & valid, to_outside & valid
    transform = _distance_opencv if inside.device.type == "cpu" else distance_torch
    return transform(to_inside).add_(transform(to_outside))  # one of the two is 0 at every valid pixel


def _distance_opencv(where: Tensor) -> Tensor:
    """Return what `distance_torch` returns, for tensors on a CPU."""
    height, width = where.shape[-2:]
    result = np.empty((where.numel() // (height * width), height, width), np.float32)
    for here, distance in zip(where.reshape(result.shape).numpy(), result, strict=True):
        if here.any():
            cv2.distanceTransform((~here).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dst=distance)
        else:  # OpenCV returns garbage for an empty mask
            distance[:] = math.hypot(height, width)
    return torch.from_numpy(result).reshape(where.shape)


def distance_torch(where: Tensor) -> Tensor:
    """Return the distance, px, from each pixel to the nearest True of the last two axes; the diagonal if there is none.

    Exact and separable: distances along the columns first, then for each pixel the minimum of the squares over its row.

    Example:
        >>> distance_torch(torch.tensor([[True, False, False], [False, False, False]]))[1]  # 1, sqrt(2), sqrt(5)
        tensor([1.0000, 1.4142, 2.2361])
    """
    height, width = where.shape[-2:]
    columns = _squared_along_columns(where).reshape(-1, width)
    across = torch.arange(width, device=where.device, dtype=torch.float32)
    square = (across[:, None] - across).square()
    chunks = columns.chunk(math.ceil(columns.numel() * width / CHUNK))
    nearest = torch.cat([(chunk[:, None, :] + square).amin(-1) for chunk in chunks])
    diagonal = math.hypot(height, width)
    return nearest.sqrt().nan_to_num(posinf=diagonal).reshape(where.shape)


def _squared_along_columns(where: Tensor) -> Tensor:
    """Return the squared distance to the nearest True in the same column, infinite if there is none."""
    height = where.shape[-2]
    row = torch.arange(height, device=where.device, dtype=torch.float32)[:, None]
    above = torch.where(where, row, -torch.inf).cummax(-2).values
    below = torch.where(where, row, torch.inf).flip(-2).cummin(-2).values.flip(-2)
    return torch.minimum(row - above, below - row).square()
