"""Losses on crack tips, the end points of a crack: the future work of Deopujari 2025."""

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

    Deopujari 2025, future work: Gaussian tip loss.

    Args:
        base: `dice` or `bce`.
        weight: extra weight at a tip.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss; cross entropy reads `classes` only.

    Example:
        >>> import torch
        >>> loss = TipWeighted(base="bce", weight=4.0)
        >>> maps = {"tips": torch.tensor([[[[1.0, 0.0]]]])}  # the first pixel is a tip
        >>> loss(torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2), maps)  # (5 + 1) / 2 * log 2
        tensor(2.0794)
    """

    maps = ("tips",)

    def __init__(self, base: Literal["dice", "bce"] = "dice", weight: float = 4.0, **region: Any) -> None:
        super().__init__(base, **region)
        require(weight >= 0, "weight", weight, "a number of at least 0")
        self.weight = weight

    def weigh(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the weight of each pixel and class."""
        return 1 + self.weight * maps["tips"]


@register("tip_distance")
class TipDistance(RegionLoss):
    """dice + weight sum (p-y)^2 T / sum T over the pixels with T <= radius, T the distance to the nearest tip in px.

    The second term is 0 for an image and class without tips. Deopujari 2025, future work: Euclidean distance loss.

    Args:
        weight: weight of the second term.
        radius: largest distance from a tip that the second term includes, px.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> import torch
        >>> loss, mask = TipDistance(weight=1.0), torch.tensor([[[[1.0, 0.0]]]])
        >>> maps = {"tip_distance": torch.tensor([[[[0.0, 1.0]]]])}  # the first pixel is a tip
        >>> loss(torch.zeros(1, 1, 1, 2), mask, maps)  # dice 1/3, and 0.5^2 * 1 / 1
        tensor(0.5833)
    """

    maps = ("tip_distance",)

    def __init__(self, weight: float = 1.0, radius: float = 15.0, **region: Any) -> None:
        super().__init__(**region)
        require(weight >= 0, "weight", weight, "a number of at least 0")
        require(radius > 0, "radius", radius, "a number of px above 0")
        self.weight, self.radius = weight, radius

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the Dice loss of each image and class plus the term around its tips."""
        distance = maps["tip_distance"]
        tips = distance == 0 if valid is None else (distance == 0) & (valid > 0)
        near = self.group(distance * (distance <= self.radius) * tips.any(-1, keepdim=True).any(-2, keepdim=True))
        p, y = self.group(p), self.group(y)
        total = near.sum(-1)
        error = ((p - y).square() * near).sum(-1) / total.masked_fill(total == 0, 1)
        return dice_loss(p, y, eps=self.eps) + self.weight * error
