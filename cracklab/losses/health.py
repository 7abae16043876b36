"""How a loss behaves on small drawn cracks: its gradient on crack-free images, shifts, thickness, far false positives."""

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

CONFIDENT = 8.0
"""Logit of a confident prediction: p = 0.9997."""


@dataclass(frozen=True)
class Health:
    """The behaviour of one loss on the drawings.

    Attributes:
        name: the loss.
        gradient: side in px -> gradient on false positives in a crack-free image of that side, relative to `bce`.
        order: crack width in px -> three signs, `<`, `=` or `>`, that compare the losses of a perfect prediction, one
            shifted by 1 px, one shifted by 5 px, and an empty one; `<<<` is right.
        thick: crack widths for which a prediction 1 px thicker on each side scores as well as the truth or better.
        thin: crack widths for which a prediction 1 px thinner on each side scores as well as the truth or better.
        far: cost of a false positive far from the crack over one near to it; a loss below 1 forgives distance, a loss
            above 1 punishes it.

    Example:
        >>> Health("mine", {64: 0.21, 512: 0.168}, {3: "<<<"}, thick=(), thin=(1, 3), far=0.5).row()
        ['mine', '0.21', '0.17', '<<<', '-', '1 3', '0.5']
    """

    name: str
    gradient: dict[int, float]
    order: dict[int, str]
    thick: tuple[int, ...]
    thin: tuple[int, ...]
    far: float

    def row(self) -> list[str]:
        """Return the cells of a table row, under `COLUMNS`."""
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
FP 64, FP 512: gradient on false positives in a crack-free image of 64 and 512 px, relative to bce
1 px ... 9 px: losses of a perfect, 1 px shifted, 5 px shifted and empty prediction of a crack of that width; <<< is right
thick, thin: crack widths for which a prediction 1 px thicker, or thinner, on each side scores as well as the truth or better
far/near: cost of a false positive far from the crack over one near to it; below 1 forgives distance, above 1 punishes it"""


def examine(loss: Loss, name: str = "") -> Health:
    """Measure the behaviour of a loss on the drawings.

    Args:
        loss: any loss.
        name: its name in the result; empty: its registered name.

    Example:
        >>> from cracklab.losses import BCE
        >>> examine(BCE()).order[3]  # a crack found 5 px off, which is false and missed, costs more than none
        '<<>'
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
    gradient = {side: _false_positive_gradient(loss, side) / _bce_gradient(side) for side in SIDES}
    return Health(name or type(loss).__qualname__, gradient, order, tuple(thick), tuple(thin), _far_over_near(loss))


@cache
def _bce_gradient(side: int) -> float:
    return _false_positive_gradient(build_loss("bce"), side)


def _sign(first: float, second: float) -> str:
    if math.isclose(first, second, rel_tol=1e-5, abs_tol=1e-7):
        return "="
    return "<" if first < second else ">"


def _crack(width: int, shift: int = 0) -> "Mask":
    """Draw a straight vertical crack that ends inside the image; an empty mask for a width below 1."""
    mask = np.zeros((SIDE, SIDE), bool)
    left, top = SIDE // 2 - max(width, 0) // 2 + shift, (SIDE - LENGTH) // 2
    mask[top : top + LENGTH, left : left + max(width, 0)] = True
    return mask


def _inputs(truth: "Mask", names: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the mask (1, 1, H, W) and the target maps of a loss."""
    from cracklab.data.maps import compute_maps  # here, since scikit-image takes longer to import than all losses

    maps = {name: torch.from_numpy(m)[None] for name, m in compute_maps(truth, names).items()}
    return torch.from_numpy(truth)[None, None].float(), maps


def _logits(prediction: "Mask") -> Tensor:
    return (torch.from_numpy(prediction)[None, None].float() * 2 - 1) * CONFIDENT


def _value(loss: Loss, prediction: "Mask", truth: "Mask") -> float:
    mask, maps = _inputs(truth, loss.maps)
    with torch.no_grad():
        return float(loss(_logits(prediction), mask, maps))


def _false_positive_gradient(loss: Loss, side: int) -> float:
    """Return the sum of the absolute gradient on a false crack of logit 1 in a crack-free image."""
    false = np.zeros((side, side), bool)
    false[side // 2 : side // 2 + 3, side // 4 : side // 4 * 3] = True
    mask, maps = _inputs(np.zeros_like(false), loss.maps)
    logits = _logits(false)
    logits[0, 0][torch.from_numpy(false)] = 1.0
    loss(logits.requires_grad_(), mask, maps).backward()
    assert logits.grad is not None
    return float(logits.grad[0, 0][torch.from_numpy(false)].abs().sum())


def _far_over_near(loss: Loss) -> float:
    """Return the cost of a false blob 24 px from the crack over that of one 3 px from it."""
    truth = _crack(3)
    costs = []
    for distance in (24, 3):
        prediction = truth.copy()
        column = SIDE // 2 + 1 + distance
        prediction[SIDE // 2 - 2 : SIDE // 2 + 2, column : column + 4] = True
        costs.append(_value(loss, prediction, truth) - _value(loss, truth, truth))
    return costs[0] / costs[1] if costs[1] else float("nan")
