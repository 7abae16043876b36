"""Distance losses: what a pixel counts depends on how far from the crack it lies."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional as F

from cracklab.losses.base import register, require
from cracklab.losses.reduce import ClassLoss, RegionLoss, one_vs_rest, pixel_mean
from cracklab.losses.region import dice_loss


def relative(distance: Tensor) -> Tensor:
    """D~: (B, C, H, W) distances over their maximum in each image and class; 0 where that maximum is 0."""
    largest = distance.amax((2, 3), keepdim=True)
    return distance / largest.masked_fill(largest == 0, 1)


class WeightedLoss(RegionLoss):
    """`dice` or cross entropy with a weight w for each pixel, which a subclass derives from its maps.

    dice: 1 - (2 sum w p y + eps) / (sum w p + sum w y + eps). bce: mean of w BCE (C > 1: each class against the rest).

    Args:
        base: which of the two.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss; cross entropy reads `classes` alone.
    """

    def __init__(self, base: Literal["dice", "bce"] = "dice", **region: Any) -> None:
        super().__init__(**region)
        require(base in ("dice", "bce"), "base", base, "'dice' or 'bce'")
        self.base = base

    def weigh(self, maps: Mapping[str, Tensor]) -> Tensor:
        """The weights, (B, K, H, W)."""
        raise NotImplementedError

    def measure(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Weighted Dice loss of each image and class."""
        weight = self.weigh(maps)
        return dice_loss(self.group(p), self.group(y), self.group(weight), eps=self.eps)

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The base with its pixels weighted."""
        if self.base == "dice":
            return super().compute(logits, mask, maps, valid)
        y, weight = self.select(mask), self.weigh({name: self.select(m) for name, m in maps.items()})
        values = F.binary_cross_entropy_with_logits(self.select(one_vs_rest(logits)), y, weight, reduction="none")
        return ClassLoss.average(self, pixel_mean(values, valid), y, valid)


@register("distance_aware")
class DistanceAware(WeightedLoss):
    """`dice` or cross entropy weighted by w = 1 + beta exp(-D~ / sigma), D~ the distance over its maximum.

    Pixels at the crack weigh 1 + beta, far ones 1: it cares LESS about a false positive the farther from a crack it
    lies, where `distance_penalty` cares more. With `alpha`, w = exp(-min(alpha D, 4)), D in px; the cap at 4 keeps a
    gradient on crack-free photos. Paper 000, sec. 3.4 and 4.5 (inferred: the form of its experiments is not printed),
    eq. 6 and 7 for `alpha`.

    Args:
        beta: extra weight on the crack.
        sigma: reach of the extra weight, as a share of the largest distance.
        alpha: decay per px; given, it stands in place of beta and sigma.
        base: `dice` or `bce`.
        **region: as in RegionLoss.
    """

    maps = ("distance",)

    def __init__(
        self,
        beta: float = 2.0,
        sigma: float = 0.25,
        alpha: float | None = None,
        base: Literal["dice", "bce"] = "dice",
        **region: Any,
    ) -> None:
        super().__init__(base, **region)
        require(beta >= 0, "beta", beta, "a number of at least 0")
        require(sigma > 0, "sigma", sigma, "a number above 0")
        require(alpha is None or alpha >= 0, "alpha", alpha, "a number of at least 0, or none")
        require(
            alpha is None or (beta, sigma) == (2.0, 0.25),
            "alpha",
            alpha,
            "none where beta or sigma is given: it stands in their place",
        )
        self.beta, self.sigma, self.alpha = beta, sigma, alpha

    def weigh(self, maps: Mapping[str, Tensor]) -> Tensor:
        """The weight of each pixel and class."""
        distance = maps["distance"]
        if self.alpha is not None:
            return (distance * -self.alpha).clamp(min=-4).exp()
        return 1 + self.beta * (relative(distance) / -self.sigma).exp()


@register("boundary")
class Boundary(ClassLoss):
    """Mean of p phi / diagonal, phi the signed distance to the crack in px: below 0 for a perfect prediction.

    full: phi = `signed_distance`. kervadec: phi = `signed_distance` + y, and 0 where the class is absent, as published
    (there not divided by the diagonal); cracks 1 or 2 px wide then earn nothing. Kervadec 2021.

    Args:
        inner: `full` or `kervadec`.
        classes: channels that count; None is all of them.
    """

    maps = ("signed_distance",)

    def __init__(self, inner: Literal["full", "kervadec"] = "full", classes: list[int] | None = None) -> None:
        super().__init__(classes)
        require(inner in ("full", "kervadec"), "inner", inner, "'full' or 'kervadec'")
        self.inner = inner

    def measure(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Mean of p phi / diagonal of each image and class."""
        phi = maps["signed_distance"]
        if self.inner == "kervadec":
            phi = (phi + y) * y.amax((2, 3), keepdim=True)
        return pixel_mean(p * phi, valid) / math.hypot(*phi.shape[2:])
