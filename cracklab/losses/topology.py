"""Topology losses, which compare centre lines."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cracklab.losses.auto import Auto, AutoNumber, Statistics
from cracklab.losses.base import register, require
from cracklab.losses.morphology import soft_skeleton
from cracklab.losses.reduce import RegionLoss
from cracklab.losses.region import dice_loss


def iterations_for(statistics: Statistics) -> int:
    """Return the number of iterations in which the soft skeleton reaches the centre of nearly all cracks.

    It is half of the 95th percentile of the crack width, rounded up.

    Example:
        >>> from types import SimpleNamespace
        >>> iterations_for(SimpleNamespace(width_px_p95=9.0))
        5
    """
    return max(1, math.ceil(statistics.width_px_p95 / 2))


@register("cl_dice")
class ClDice(RegionLoss):
    """(1-w) dice + w (1 - 2 Tp Ts / (Tp + Ts)), precision Tp and recall Ts of soft skeletons s(.). Shit 2021.

    Tp = (sum s(p) y + eps) / (sum s(p) + eps), Ts = (sum s(y) p + eps) / (sum s(y) + eps).

    Args:
        iterations: erosions of the soft skeleton, half of the width in px of the widest crack; `auto`: from the
            training data, see `iterations_for`.
        weight: w.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> mask = torch.zeros(1, 1, 3, 4)
        >>> mask[..., 1, :] = 1  # one px wide, so that it is its own skeleton
        >>> logits = 100 * (mask - 1)  # p = 0.5 on the crack, 0 elsewhere: Tp = 1, Ts = (4 * 0.5 + 1) / (4 + 1) = 0.6
        >>> ClDice(iterations=1, weight=1.0)(logits, mask)  # 1 - 2 * 0.6 / 1.6
        tensor(0.2500)
    """

    def __init__(self, iterations: int | Auto = 10, weight: float = 0.5, **region: Any) -> None:
        super().__init__(**region)
        require(0 <= weight <= 1, "weight", weight, "a number from 0 to 1")
        self.iterations, self.weight = AutoNumber("iterations", iterations, 1, iterations_for), weight

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the loss of each image and class."""
        iterations = int(self.iterations())
        line_p = self.group(soft_skeleton(p, iterations, valid))
        with torch.no_grad():
            line_y = self.group(soft_skeleton(y.to(torch.int8), iterations, valid)).to(y.dtype)  # bytes are faster
        p, y = self.group(p), self.group(y)
        precision = ((line_p * y).sum(-1) + self.eps) / (line_p.sum(-1) + self.eps)
        recall = ((line_y * p).sum(-1) + self.eps) / (line_y.sum(-1) + self.eps)
        cl_dice = 1 - 2 * precision * recall / (precision + recall)
        return (1 - self.weight) * dice_loss(p, y, eps=self.eps) + self.weight * cl_dice


@register("skeleton_recall")
class SkeletonRecall(RegionLoss):
    """dice + weight (1 - (sum p K + eps) / (sum K + eps)), K the crack's thickened centre line. Kirchhoff 2024.

    Args:
        weight: weight of the second term.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> mask = torch.ones(1, 1, 2, 2)
        >>> loss = SkeletonRecall(weight=1.0)
        >>> loss(torch.zeros(1, 1, 2, 2), mask, {"skeleton": mask})  # 2/7 + 1 - (2 + 1) / (4 + 1)
        tensor(0.6857)
    """

    maps = ("skeleton",)

    def __init__(self, weight: float = 1.0, **region: Any) -> None:
        super().__init__(**region)
        require(weight >= 0, "weight", weight, "a number of at least 0")
        self.weight = weight

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the loss of each image and class."""
        p, y, line = self.group(p), self.group(y), self.group(maps["skeleton"])
        recall = ((p * line).sum(-1) + self.eps) / (line.sum(-1) + self.eps)
        return dice_loss(p, y, eps=self.eps) + self.weight * (1 - recall)
