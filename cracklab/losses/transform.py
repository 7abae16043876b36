"""Exact Euclidean distance transforms of predictions, at each step: OpenCV on a CPU, torch elsewhere."""

import math

import cv2
import numpy as np
import torch
from torch import Tensor

PIECE = 2**24
"""How many candidates the torch transform compares at once: 64 MiB of float32."""


def outline_distance(inside: Tensor, valid: Tensor | None = None) -> Tensor:
    """Distance, px, from each pixel to the nearest valid pixel on the other side of the outline.

    Args:
        inside: (B, C, H, W) bool.
        valid: (B, 1, H, W) bool; other pixels are on neither side.

    Returns:
        (B, C, H, W) float32; the diagonal where there is no other side.
    """
    to_inside, to_outside = inside, ~inside
    if valid is not None:
        to_inside, to_outside = to_inside & valid, to_outside & valid
    transform = _distance_opencv if inside.device.type == "cpu" else distance_torch
    return transform(to_inside).add_(transform(to_outside))  # each is 0 where the other is not


def _distance_opencv(where: Tensor) -> Tensor:
    """As `distance_torch`, on a CPU."""
    height, width = where.shape[-2:]
    result = np.empty((where.numel() // (height * width), height, width), np.float32)
    for here, distance in zip(where.reshape(result.shape).numpy(), result, strict=True):
        if here.any():
            cv2.distanceTransform((~here).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dst=distance)
        else:  # OpenCV's answer to an empty mask is garbage
            distance[:] = math.hypot(height, width)
    return torch.from_numpy(result).reshape(where.shape)


def distance_torch(where: Tensor) -> Tensor:
    """Distance, px, from each pixel to the nearest True of the last two axes; the diagonal where there is none.

    Separable and exact: first along columns, then for each pixel the smallest of square distances over its row.
    """
    height, width = where.shape[-2:]
    columns = _squared_along_columns(where).reshape(-1, width)
    across = torch.arange(width, device=where.device, dtype=torch.float32)
    square = (across[:, None] - across).square()
    pieces = columns.chunk(math.ceil(columns.numel() * width / PIECE))
    nearest = torch.cat([(piece[:, None, :] + square).amin(-1) for piece in pieces])
    diagonal = math.hypot(height, width)
    return nearest.sqrt().nan_to_num(posinf=diagonal).reshape(where.shape)


def _squared_along_columns(where: Tensor) -> Tensor:
    """Square of the distance to the nearest True in the same column, infinite where there is none."""
    height = where.shape[-2]
    row = torch.arange(height, device=where.device, dtype=torch.float32)[:, None]
    above = torch.where(where, row, -torch.inf).cummax(-2).values
    below = torch.where(where, row, torch.inf).flip(-2).cummin(-2).values.flip(-2)
    return torch.minimum(row - above, below - row).square()
