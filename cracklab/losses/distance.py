"""Distance losses: what a pixel counts depends on how far from the crack it lies."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
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

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Weighted Dice loss of each image and class."""
        weight = self.weigh(maps)
        return dice_loss(self.group(p), self.group(y), self.group(weight), eps=self.eps)

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The base with its pixels weighted."""
        if self.base == "dice":
            return super().compute(logits, mask, maps, valid)
        y, weight = self.select(mask), self.weigh({name: self.select(m) for name, m in maps.items()})
        values = F.binary_cross_entropy_with_logits(self.select(one_vs_rest(logits)), y, weight, reduction="none")
        return self.average(pixel_mean(values, valid), y, valid)


@register("distance_aware")
class DistanceAware(WeightedLoss):
    """`dice` or cross entropy weighted by w = 1 + beta exp(-D~ / sigma), D~ the distance over its maximum.

    Pixels at the crack weigh 1 + beta, far ones 1: it cares LESS about a false positive the farther from a crack it
    lies, where `distance_penalty` cares more. With `alpha`, w = exp(-min(alpha D, 4)), D in px; the cap at 4 keeps a
    gradient on crack-free photos. Paper 000, sec. 3.4 and 4.5 (inferred: the form of its experiments is not printed),
    eq. 6 and 7 for `alpha`.

    Learnable, beta and sigma are parameters that the optimizer moves, beta = beta_0 exp(a) and sigma = sigma_0 exp(b)
    from a = b = 0, and a log-normal prior around the values given adds prior / 2 (a^2 + b^2) to the loss; `terms` then
    holds both (000, future work: adaptive weighting).

    Args:
        beta: extra weight on the crack.
        sigma: reach of the extra weight, as a share of the largest distance.
        alpha: decay per px; given, it stands in place of beta and sigma.
        base: `dice` or `bce`.
        learnable: beta and sigma are learnt.
        prior: precision of their log-normal prior.
        **region: as in RegionLoss.
    """

    maps = ("distance",)

    def __init__(
        self,
        beta: float = 2.0,
        sigma: float = 0.25,
        alpha: float | None = None,
        base: Literal["dice", "bce"] = "dice",
        learnable: bool = False,
        prior: float = 0.01,
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
        require(prior >= 0, "prior", prior, "a number of at least 0")
        require(
            not learnable or (alpha is None and beta > 0),
            "learnable",
            learnable,
            "False with alpha, or with a beta of 0",
        )
        self.beta, self.sigma, self.alpha, self.prior = beta, sigma, alpha, prior
        self.log_factors = nn.Parameter(torch.zeros(2)) if learnable else None

    def weigh(self, maps: Mapping[str, Tensor]) -> Tensor:
        """The weight of each pixel and class."""
        distance = maps["distance"]
        if self.alpha is not None:
            return (distance * -self.alpha).clamp(min=-4).exp()
        beta, sigma = self.scales()
        return 1 + beta * (relative(distance) / -sigma).exp()

    def scales(self) -> tuple[float | Tensor, float | Tensor]:
        """Beta and sigma as they are now."""
        if self.log_factors is None:
            return self.beta, self.sigma
        factors = self.log_factors.exp()
        return self.beta * factors[0], self.sigma * factors[1]

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The weighted base, and the prior of what is learnt."""
        value = super().compute(logits, mask, maps, valid)
        if self.log_factors is None:
            return value
        beta, sigma = self.scales()
        self.terms = {"beta": torch.as_tensor(beta).detach(), "sigma": torch.as_tensor(sigma).detach()}
        return value + self.prior / 2 * self.log_factors.square().sum()


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

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Mean of p phi / diagonal of each image and class."""
        phi = maps["signed_distance"]
        if self.inner == "kervadec":
            phi = (phi + y) * y.amax((2, 3), keepdim=True)
        return pixel_mean(p * phi, valid) / math.hypot(*phi.shape[2:])


@register("distance_penalty")
class DistancePenalty(RegionLoss):
    """dice (1 + F (alpha - 1)), F = sum p (1-y) D~ / stopgrad(sum p (1-y) + 1), D~ the distance over its maximum.

    F is how far from the crack false positives lie, 0 to 1: it cares MORE about a false positive the farther from a
    crack it lies, where `distance_aware` cares less. As a plain mean, more false positives near the crack would lower
    it; hence the fixed denominator. Paper 001, eq. 1 to 3 (eq. 2 prints the coefficient, not the loss).

    Args:
        alpha: factor of the Dice loss where all false positives lie as far as possible.
        hard: F over p > 0.5, without gradient: it scales the Dice loss only.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.
    """

    maps = ("distance",)

    def __init__(self, alpha: float = 4.0, hard: bool = False, **region: Any) -> None:
        super().__init__(**region)
        require(alpha >= 1, "alpha", alpha, "a number of at least 1")
        self.alpha, self.hard = alpha, hard

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Dice loss of each image and class times its penalty."""
        distance = self.group(relative(maps["distance"]))
        p, y = self.group(p), self.group(y)
        false = ((p > 0.5).to(p.dtype) if self.hard else p) * (1 - y)
        penalty = (false * distance).sum(-1) / (false.detach().sum(-1) + 1)
        return dice_loss(p, y, eps=self.eps) * (1 + penalty * (self.alpha - 1))


@register("distance_transform")
class DistanceTransform(RegionLoss):
    """1 - (sum N p + eps) / (sum N + sum (1-y) p + eps), N a weight of the crack's pixels that is largest at its edge.

    With I the distance to the edge inside of the crack: full, N = y (max I - I + 1) / max(max I, 1). published,
    N = R / max R with R = (max I - I) y, and N = y where max R = 0, as it is for a crack 1 or 2 px wide; the deepest
    pixels, up to half of a thin crack, weigh nothing there. Thesis 002, sec. 3.2, eq. 3.1; its text says Euclidean
    distance, which holds here, its footnote chessboard; the mean over classes keeps the loss in 0 to 1.

    Args:
        inner: `full` or `published`.
        threshold: only false positives above it count in the denominator, without gradient (the thesis: 0.95);
            none: all count by their probability.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.
    """

    maps = ("interior_distance",)

    def __init__(
        self, inner: Literal["full", "published"] = "full", threshold: float | None = None, **region: Any
    ) -> None:
        super().__init__(**region)
        require(inner in ("full", "published"), "inner", inner, "'full' or 'published'")
        require(threshold is None or 0 <= threshold <= 1, "threshold", threshold, "a number from 0 to 1, or none")
        self.inner, self.threshold = inner, threshold

    def weigh(self, y: Tensor, interior: Tensor) -> Tensor:
        """N of each pixel and class."""
        deepest = interior.amax((2, 3), keepdim=True)
        if self.inner == "full":
            return y * (deepest - interior + 1) / deepest.clamp(min=1)
        reverse = (deepest - interior) * y
        largest = reverse.amax((2, 3), keepdim=True)
        return torch.where(largest > 0, reverse / largest.masked_fill(largest == 0, 1), y)

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The loss of each image and class."""
        weight = self.group(self.weigh(y, maps["interior_distance"]))
        p, y = self.group(p), self.group(y)
        false = p if self.threshold is None else (p > self.threshold).to(p.dtype)
        below = weight.sum(-1) + ((1 - y) * false).sum(-1)
        return 1 - ((weight * p).sum(-1) + self.eps) / (below + self.eps)
