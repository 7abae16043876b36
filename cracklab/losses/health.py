"""How a loss behaves on small drawn cases that decide about thin cracks; a table for any registered loss."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cracklab.losses.base import Loss, build_loss

if TYPE_CHECKING:
    from cracklab.geometry.masks import Mask

SIDE, LENGTH = 64, 36
"""Side of the square drawings and length of their cracks, px."""

SIDES = (64, 512)
"""Sides of the crack-free images, px."""

WIDTHS = (1, 3, 5, 9)
"""Widths of the cracks, px."""

SURE = 8.0
"""Logit of a sure prediction: p = 0.9997."""


@dataclass(frozen=True)
class Health:
    """One loss on the drawings.

    Attributes:
        name: of the loss.
        gradient: side in px -> gradient on false positives in a crack-free image of that side, over that of `bce`.
        order: crack width in px -> three signs, `<`, `=` or `>`, between the values of a perfect prediction, one
            shifted by 1 px, one shifted by 5 px, and none; `<<<` is as it should be.
        thick: widths for which a prediction 1 px thicker on each side scores as well as the truth, or better.
        thin: widths for which a prediction 1 px thinner on each side does.
        far: what a false positive far from the crack costs, over the same one near to it; below 1 the loss forgives
            far ones, above 1 it punishes them.
    """

    name: str
    gradient: dict[int, float]
    order: dict[int, str]
    thick: tuple[int, ...]
    thin: tuple[int, ...]
    far: float

    def row(self) -> list[str]:
        """The cells of a table, under `COLUMNS`."""
        return [
            self.name,
            *(f"{ratio:.2g}" for ratio in self.gradient.values()),
            *self.order.values(),
            " ".join(map(str, self.thick)) or "-",
            " ".join(map(str, self.thin)) or "-",
            f"{self.far:.2g}",
        ]


COLUMNS = ("loss", *(f"FP {side}" for side in SIDES), *(f"{width} px" for width in WIDTHS), "thick", "thin", "far/near")

LEGEND = """\
FP 64, FP 512: gradient on false positives in a crack-free image of 64 and 512 px, over that of bce
1 px ... 9 px: for cracks so wide, how the values of perfect, shifted 1 px, shifted 5 px, empty compare; right is <<<
thick, thin: widths for which a prediction 1 px thicker, or thinner, on each side scores as well as the truth or better
far/near: cost of a false positive far from the crack over one near to it; below 1 forgives, above 1 punishes"""


def examine(loss: Loss, name: str = "") -> Health:
    """The health of one loss.

    Args:
        loss: any loss on the contract.
        name: what to call it; its registered name if empty.
    """
    order, thick, thin = {}, [], []
    for width in WIDTHS:
        truth = _crack(width)
        perfect = _value(loss, truth, truth)
        chain = [perfect, *(_value(loss, other, truth) for other in (_crack(width, 1), _crack(width, 5), _crack(0)))]
        order[width] = "".join(_sign(*pair) for pair in pairwise(chain))
        if _sign(perfect, _value(loss, _crack(width + 2), truth)) != "<":
            thick.append(width)
        if _sign(perfect, _value(loss, _crack(width - 2), truth)) != "<":
            thin.append(width)
    gradient = {side: _false_positive_gradient(loss, side) / _reference(side) for side in SIDES}
    return Health(name or type(loss).__qualname__, gradient, order, tuple(thick), tuple(thin), _far_over_near(loss))


@cache
def _reference(side: int) -> float:
    return _false_positive_gradient(build_loss("bce"), side)


def _sign(first: float, second: float) -> str:
    if math.isclose(first, second, rel_tol=1e-5, abs_tol=1e-7):
        return "="
    return "<" if first < second else ">"


def _crack(width: int, shift: int = 0) -> "Mask":
    """A straight crack that ends inside of the image; none for a width below 1."""
    mask = np.zeros((SIDE, SIDE), bool)
    left, top = SIDE // 2 - max(width, 0) // 2 + shift, (SIDE - LENGTH) // 2
    mask[top : top + LENGTH, left : left + max(width, 0)] = True
    return mask


def _inputs(truth: "Mask", names: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
    from cracklab.data.maps import compute_maps  # here, since scikit-image takes longer to import than every loss

    maps = {name: torch.from_numpy(m)[None] for name, m in compute_maps(truth, names).items()}
    return torch.from_numpy(truth)[None, None].float(), maps


def _logits(prediction: "Mask") -> Tensor:
    return (torch.from_numpy(prediction)[None, None].float() * 2 - 1) * SURE


def _value(loss: Loss, prediction: "Mask", truth: "Mask") -> float:
    mask, maps = _inputs(truth, loss.maps)
    with torch.no_grad():
        return float(loss(_logits(prediction), mask, maps))


def _false_positive_gradient(loss: Loss, side: int) -> float:
    """Sum of the gradient's size on a false crack, half sure, in an image without any."""
    false = np.zeros((side, side), bool)
    false[side // 2 : side // 2 + 3, side // 4 : side // 4 * 3] = True
    mask, maps = _inputs(np.zeros_like(false), loss.maps)
    logits = _logits(false)
    logits[0, 0][torch.from_numpy(false)] = 1.0
    loss(logits.requires_grad_(), mask, maps).backward()
    assert logits.grad is not None
    return float(logits.grad[0, 0][torch.from_numpy(false)].abs().sum())


def _far_over_near(loss: Loss) -> float:
    """What a false blob 24 px from the crack costs more than none, over one at 3 px."""
    truth = _crack(3)
    costs = []
    for distance in (24, 3):
        prediction = truth.copy()
        column = SIDE // 2 + 1 + distance
        prediction[SIDE // 2 - 2 : SIDE // 2 + 2, column : column + 4] = True
        costs.append(_value(loss, prediction, truth) - _value(loss, truth, truth))
    return costs[0] / costs[1] if costs[1] else float("nan")
