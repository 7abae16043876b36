"""Erosion, dilation and skeletons of soft masks, with gradients."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROW, COLUMN = ((0, -1), (0, 1)), ((-1, 0), (1, 0))
"""Offsets (down, right) of a pixel's two neighbours in its row and in its column; together they are the 3 x 3 cross."""


class _Extremum(torch.autograd.Function):
    """Minimum or maximum over a pixel and its neighbours; for backward it keeps one byte per pixel, the winner."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, offsets: Sequence[tuple[int, int]], largest: bool) -> Tensor:
        result = values.clone()
        winner = torch.zeros_like(values, dtype=torch.uint8)  # 0 is the pixel, k the neighbour at offset k
        for number, offset in enumerate(offsets, start=1):
            here, there = _overlap(values.shape, offset)
            if ctx.needs_input_grad[0]:
                better = values[there] > result[here] if largest else values[there] < result[here]
                winner[here].clamp_(min=better.view(torch.uint8).mul_(number))  # numbers rise: the last winner stays
            result[here].clamp_(min=values[there]) if largest else result[here].clamp_(max=values[there])
        ctx.save_for_backward(winner)
        ctx.offsets = offsets
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (winner,) = ctx.saved_tensors
        result = gradient * (winner == 0).to(gradient.dtype)
        part = torch.empty_like(gradient)
        for number, offset in enumerate(ctx.offsets, start=1):
            here, there = _overlap(winner.shape, offset)
            torch.eq(winner, number, out=part)
            result[there].add_(part.mul_(gradient)[here])
        return result, None, None


def _overlap(shape: torch.Size, offset: tuple[int, int]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the index of the pixels that have a neighbour at the offset, and the index of these neighbours."""
    here, there = [], []
    for size, step in zip(shape[-2:], offset, strict=True):
        here.append(slice(max(0, -step), size - max(0, step)))
        there.append(slice(max(0, step), size - max(0, -step)))
    return (..., *here), (..., *there)


def erode(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return the minimum over the 3 x 3 cross of values (B, C, H, W), which are at most 1.

    Neighbours outside of the image or of `valid` are ignored.

    Example:
        >>> erode(torch.tensor([[[[0.2, 0.8, 0.9, 0.9]]]]))
        tensor([[[[0.2000, 0.2000, 0.8000, 0.9000]]]])
    """
    if valid is not None:
        values = values.masked_fill(valid == 0, 1)
    result: Tensor = _Extremum.apply(values, (*ROW, *COLUMN), False)
    return result


def dilate(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return the maximum over the 3 x 3 square of values (B, C, H, W), which are at least 0.

    Neighbours outside of the image or of `valid` are ignored.

    Example:
        >>> dilate(torch.tensor([[[[0.2, 0.0, 0.0, 0.9]]]]))
        tensor([[[[0.2000, 0.2000, 0.9000, 0.9000]]]])
    """
    if valid is not None:
        values = values.masked_fill(valid == 0, 0)
    result: Tensor = _Extremum.apply(_Extremum.apply(values, ROW, True), COLUMN, True)
    return result


def soft_skeleton(values: Tensor, iterations: int, valid: Tensor | None = None) -> Tensor:
    """Return the soft skeleton of a soft mask: what opening removes after each erosion. Shit 2021, algorithm 1.

    E_0 = the mask, E_(k+1) = erode(E_k), d_k = relu(E_k - dilate(E_(k+1))). The skeleton, accumulated there as
    s <- s + relu(d_k - s d_k), is 1 - prod over k <= iterations of (1 - d_k). A crack w px wide needs (w-1) / 2
    iterations; with fewer its skeleton is empty.

    Args:
        values: (B, C, H, W), 0 to 1.
        iterations: number of erosions.
        valid: (B, 1, H, W), 0 / 1; pixels with 0 neither erode nor dilate others.

    Example:
        >>> crack = torch.zeros(1, 1, 7, 5)
        >>> crack[..., 1:6, 1:4] = 1  # 5 px long, 3 px wide
        >>> soft_skeleton(crack, iterations=1)[0, 0].sum(1)  # per row: the middle three, one px wide
        tensor([0., 0., 1., 1., 1., 0., 0.])
    """
    rest = torch.ones_like(values)
    for _ in range(iterations + 1):
        eroded = erode(values, valid)
        rest = rest * (1 - (values - dilate(eroded, valid)).relu())
        values = eroded
    skeleton = 1 - rest
    return skeleton if valid is None else skeleton * valid
