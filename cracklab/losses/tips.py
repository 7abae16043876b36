"""Losses on crack tips, where a crack ends: the future work of report 004."""

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from cracklab.losses.base import register, require
from cracklab.losses.distance import WeightedLoss
from cracklab.losses.reduce import RegionLoss
from cracklab.losses.region import dice_loss


@register("tip_weighted")
class TipWeighted(WeightedLoss):
    """`dice` or cross entropy weighted by 1 + weight `tips`, Gaussians around the crack's end points.

    Report 004, future work: Gaussian tip loss.

    Args:
        base: `dice` or `bce`.
        weight: extra weight at a tip.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss; cross entropy reads `classes` alone.
    """

    maps = ("tips",)

    def __init__(self, base: Literal["dice", "bce"] = "dice", weight: float = 4.0, **region: Any) -> None:
        super().__init__(base, **region)
        require(weight >= 0, "weight", weight, "a number of at least 0")
        self.weight = weight

    def weigh(self, maps: Mapping[str, Tensor]) -> Tensor:
        """The weight of each pixel and class."""
        return 1 + self.weight * maps["tips"]


@register("tip_distance")
class TipDistance(RegionLoss):
    """dice + weight sum (p-y)^2 T / sum T over the pixels with T <= radius, T the distance to the nearest tip in px.

    The second term is 0 for an image and class without tips. Report 004, future work: Euclidean distance loss.

    Args:
        weight: of the second term.
        radius: how far around a tip it reaches, px.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.
    """

    maps = ("tip_distance",)

    def __init__(self, weight: float = 1.0, radius: float = 15.0, **region: Any) -> None:
        super().__init__(**region)
        require(weight >= 0, "weight", weight, "a number of at least 0")
        require(radius > 0, "radius", radius, "a number of px above 0")
        self.weight, self.radius = weight, radius

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Dice loss plus the tips' term."""
        distance = maps["tip_distance"]
        tips = distance == 0 if valid is None else (distance == 0) & (valid > 0)
        near = self.group(distance * (distance <= self.radius) * tips.any(-1, keepdim=True).any(-2, keepdim=True))
        p, y = self.group(p), self.group(y)
        total = near.sum(-1)
        error = ((p - y).square() * near).sum(-1) / total.masked_fill(total == 0, 1)
        return dice_loss(p, y, eps=self.eps) + self.weight * error
