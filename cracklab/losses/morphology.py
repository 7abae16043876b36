"""Erosion, dilation and skeletons of soft masks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROW, COLUMN = ((0, -1), (0, 1)), ((-1, 0), (1, 0))
"""Offsets (down, right) of the two neighbours in a pixel's row and column; both together are the 3 x 3 cross."""


class _Extreme(torch.autograd.Function):
    """Minimum or maximum over a pixel and its neighbours; for backward it keeps one byte a pixel: which it was."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, offsets: Sequence[tuple[int, int]], largest: bool) -> Tensor:
        result = values.clone()
        which = torch.zeros_like(values, dtype=torch.uint8)
        for number, offset in enumerate(offsets, start=1):
            here, there = _overlap(values.shape, offset)
            if ctx.needs_input_grad[0]:
                better = values[there] > result[here] if largest else values[there] < result[here]
                which[here].clamp_(min=better.view(torch.uint8).mul_(number))  # numbers rise: the last stays
            result[here].clamp_(min=values[there]) if largest else result[here].clamp_(max=values[there])
        ctx.save_for_backward(which)
        ctx.offsets = offsets
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (which,) = ctx.saved_tensors
        result = gradient * (which == 0).to(gradient.dtype)
        part = torch.empty_like(gradient)
        for number, offset in enumerate(ctx.offsets, start=1):
            here, there = _overlap(which.shape, offset)
            torch.eq(which, number, out=part)
            result[there].add_(part.mul_(gradient)[here])
        return result, None, None


def _overlap(shape: torch.Size, offset: tuple[int, int]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Index of the pixels that have a neighbour at the offset, and of these neighbours."""
    here, there = [], []
    for size, step in zip(shape[-2:], offset, strict=True):
        here.append(slice(max(0, -step), size - max(0, step)))
        there.append(slice(max(0, step), size - max(0, -step)))
    return (..., *here), (..., *there)


def erode(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """Minimum of (B, C, H, W) values of at most 1 over the 3 x 3 cross; outside of image and `valid` there is nothing."""
    if valid is not None:
        values = values.masked_fill(valid == 0, 1)
    result: Tensor = _Extreme.apply(values, (*ROW, *COLUMN), False)
    return result


def dilate(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """Maximum of (B, C, H, W) values of at least 0 over the 3 x 3 square; outside of image and `valid` there is nothing."""
    if valid is not None:
        values = values.masked_fill(valid == 0, 0)
    result: Tensor = _Extreme.apply(_Extreme.apply(values, ROW, True), COLUMN, True)
    return result


def soft_skeleton(values: Tensor, iterations: int, valid: Tensor | None = None) -> Tensor:
    """What is left of a soft mask after each erosion, but lost on opening it; Shit 2021, algorithm 1.

    E_0 = the mask, E_(k+1) = erode(E_k), d_k = relu(E_k - dilate(E_(k+1))); the skeleton, built up there as
    s <- s + relu(d_k - s d_k), is 1 - prod over k <= iterations of (1 - d_k). A crack w px wide needs (w-1) / 2
    iterations; with fewer its skeleton is empty.

    Args:
        values: (B, C, H, W), 0 to 1.
        iterations: number of erosions.
        valid: (B, 1, H, W), 0 / 1; pixels with 0 neither erode nor dilate others.
    """
    rest = torch.ones_like(values)
    for _ in range(iterations + 1):
        eroded = erode(values, valid)
        rest = rest * (1 - (values - dilate(eroded, valid)).relu())
        values = eroded
    skeleton = 1 - rest
    return skeleton if valid is None else skeleton * valid
