"""Distance losses: the weight of a pixel depends on its distance to the crack."""

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
    """Return D~: distances (B, C, H, W) over their maximum in each image and class; 0 if that maximum is 0.

    Example:
        >>> relative(torch.tensor([[[[0.0, 1.0, 4.0]]]]))
        tensor([[[[0.0000, 0.2500, 1.0000]]]])
    """
    largest = distance.amax((2, 3), keepdim=True)
    return distance / largest.masked_fill(largest == 0, 1)


class WeightedLoss(RegionLoss):
    """`dice` or cross entropy with a weight w for each pixel, which a subclass computes from its maps.

    dice: 1 - (2 sum w p y + eps) / (sum w p + sum w y + eps). bce: mean of w BCE (C > 1: each class against the rest).

    Args:
        base: `dice` or `bce`.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss; cross entropy reads `classes` only.

    Example:
        >>> class Doubled(WeightedLoss):
        ...     '''The base with every pixel weighted by 2.'''
        ...     maps = ("distance",)
        ...     def weigh(self, maps):
        ...         return torch.full_like(maps["distance"], 2.0)
        >>> loss, logits, mask = Doubled(base="bce"), torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> loss(logits, mask, {"distance": torch.zeros(1, 1, 2, 2)})  # 2 log 2
        tensor(1.3863)
    """

    def __init__(self, base: Literal["dice", "bce"] = "dice", **region: Any) -> None:
        super().__init__(**region)
        require(base in ("dice", "bce"), "base", base, "'dice' or 'bce'")
        self.base = base

    def weigh(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the weight of each pixel and class, (B, K, H, W)."""
        raise NotImplementedError

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the weighted Dice loss of each image and class."""
        weight = self.weigh(maps)
        return dice_loss(self.group(p), self.group(y), self.group(weight), eps=self.eps)

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the weighted base."""
        if self.base == "dice":
            return super().compute(logits, mask, maps, valid)
        y, weight = self.select(mask), self.weigh({name: self.select(m) for name, m in maps.items()})
        values = F.binary_cross_entropy_with_logits(self.select(one_vs_rest(logits)), y, weight, reduction="none")
        return self.average(pixel_mean(values, valid), y, valid)


@register("distance_aware")
class DistanceAware(WeightedLoss):
    """`dice` or cross entropy weighted by w = 1 + beta exp(-D~ / sigma), D~ the distance over its maximum.

    Pixels at the crack weigh 1 + beta, far ones 1. So this loss cares LESS about a false positive the farther it is
    from a crack; `distance_penalty` cares more. With `alpha`, w = exp(-min(alpha D, 4)), D in px; the cap at 4 keeps a
    gradient on crack-free photos. Krasniqi 2026, sec. 3.4 and 4.5 (inferred: the paper never prints the form that
    its experiments used), eq. 6 and 7 for `alpha`.

    With `learnable`, the optimizer also trains beta = beta_0 exp(a) and sigma = sigma_0 exp(b) from a = b = 0. A
    log-normal prior around the given values adds prior / 2 (a^2 + b^2) to the loss, and `terms` holds both values
    (Krasniqi 2026, future work: adaptive weighting).

    Args:
        beta: extra weight on the crack.
        sigma: range of the extra weight, as a fraction of the largest distance.
        alpha: decay per px; replaces beta and sigma.
        base: `dice` or `bce`.
        learnable: train beta and sigma.
        prior: precision of their log-normal prior.
        **region: as in RegionLoss.

    Example:
        >>> loss = DistanceAware(beta=2.0, sigma=0.25)
        >>> maps = {"distance": torch.tensor([[[[0.0, 10.0]]]])}  # a crack pixel, and one 10 px from it
        >>> loss.weigh(maps)  # 1 + 2 exp(0), 1 + 2 exp(-1 / 0.25)
        tensor([[[[3.0000, 1.0366]]]])
        >>> loss(torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]]), maps)  # 1 - (3 + 1) / (4.0366 / 2 + 3 + 1)
        tensor(0.3354)
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
            "none if beta or sigma is given, because alpha replaces both",
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
        """Return the weight of each pixel and class."""
        distance = maps["distance"]
        if self.alpha is not None:
            return (distance * -self.alpha).clamp(min=-4).exp()
        beta, sigma = self.scales()
        return 1 + beta * (relative(distance) / -sigma).exp()

    def scales(self) -> tuple[float | Tensor, float | Tensor]:
        """Return the current beta and sigma."""
        if self.log_factors is None:
            return self.beta, self.sigma
        factors = self.log_factors.exp()
        return self.beta * factors[0], self.sigma * factors[1]

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the weighted base, plus the prior if beta and sigma are learnable."""
        value = super().compute(logits, mask, maps, valid)
        if self.log_factors is None:
            return value
        beta, sigma = self.scales()
        self.terms = {"beta": torch.as_tensor(beta).detach(), "sigma": torch.as_tensor(sigma).detach()}
        return value + self.prior / 2 * self.log_factors.square().sum()


@register("boundary")
class Boundary(ClassLoss):
    """Mean of p phi / diagonal; phi is the signed distance to the crack in px, negative inside.

    full: phi = `signed_distance`. kervadec: phi = `signed_distance` + y, and 0 if the class is absent, as published
    (there not divided by the diagonal); then a crack 1 or 2 px wide earns nothing. The loss of a perfect prediction is
    negative. Kervadec 2021.

    Args:
        inner: `full` or `kervadec`.
        classes: channels that count; None: all.

    Example:
        >>> maps = {"signed_distance": torch.full((1, 1, 3, 4), 5.0)}  # no crack: the diagonal of 3 x 4 px
        >>> Boundary()(torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 3, 4), maps)  # 0.5 * 5 / 5
        tensor(0.5000)
    """

    maps = ("signed_distance",)

    def __init__(self, inner: Literal["full", "kervadec"] = "full", classes: list[int] | None = None) -> None:
        super().__init__(classes)
        require(inner in ("full", "kervadec"), "inner", inner, "'full' or 'kervadec'")
        self.inner = inner

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the mean of p phi / diagonal of each image and class."""
        phi = maps["signed_distance"]
        if self.inner == "kervadec":
            phi = (phi + y) * y.amax((2, 3), keepdim=True)
        return pixel_mean(p * phi, valid) / math.hypot(*phi.shape[2:])


@register("distance_penalty")
class DistancePenalty(RegionLoss):
    """dice (1 + F (alpha - 1)), F = sum p (1-y) D~ / stopgrad(sum p (1-y) + 1), D~ the distance over its maximum.

    F, 0 to 1, measures how far from the crack the false positives are. So this loss cares MORE about a false positive
    the farther it is from a crack; `distance_aware` cares less. The denominator has no gradient: with one, more false
    positives near the crack would lower F, as they lower a mean. Özcan 2024, eq. 1 to 3 (eq. 2 prints the
    coefficient, not the loss).

    Args:
        alpha: factor of the Dice loss if all false positives are as far away as possible.
        hard: compute F over p > 0.5, without gradient: it scales the Dice loss only.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> maps = {"distance": torch.full((1, 1, 2, 2), 8**0.5)}  # no crack: the diagonal, so D~ = 1
        >>> loss = DistancePenalty(alpha=2.5)
        >>> # dice = 1 - 1 / (2 + 1) and F = 2 / (2 + 1): 2/3 (1 + 2/3 * 1.5)
        >>> loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), maps)
        tensor(1.3333)
    """

    maps = ("distance",)

    def __init__(self, alpha: float = 4.0, hard: bool = False, **region: Any) -> None:
        super().__init__(**region)
        require(alpha >= 1, "alpha", alpha, "a number of at least 1")
        self.alpha, self.hard = alpha, hard

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the Dice loss of each image and class times its penalty."""
        distance = self.group(relative(maps["distance"]))
        p, y = self.group(p), self.group(y)
        false = ((p > 0.5).to(p.dtype) if self.hard else p) * (1 - y)
        penalty = (false * distance).sum(-1) / (false.detach().sum(-1) + 1)
        return dice_loss(p, y, eps=self.eps) * (1 + penalty * (self.alpha - 1))


@register("distance_transform")
class DistanceTransform(RegionLoss):
    """1 - (sum N p + eps) / (sum N + sum (1-y) p + eps), N a weight of the crack's pixels that is largest at its edge.

    I is the distance to the edge inside the crack. full: N = y (max I - I + 1) / max(max I, 1). published: N = R / max R
    with R = (max I - I) y, and N = y if max R = 0, which holds for a crack 1 or 2 px wide; the deepest pixels, up to
    half of a thin crack, then weigh nothing. Gül 2023, sec. 3.2, eq. 3.1. Its text says Euclidean distance, which is
    used here, its footnote says chessboard. The mean over classes keeps the loss between 0 and 1.

    Args:
        inner: `full` or `published`.
        threshold: count only false positives above it in the denominator, each as 1 and without gradient (the thesis:
            0.95); none: count all by their probability.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> mask = torch.tensor([[[[1.0, 0.0]]]])
        >>> maps = {"interior_distance": mask}  # the crack pixel is 1 px from the edge, so N = 1
        >>> DistanceTransform()(torch.zeros(1, 1, 1, 2), mask, maps)  # 1 - (0.5 + 1) / (1 + 0.5 + 1)
        tensor(0.4000)
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
        """Return N of each pixel and class."""
        deepest = interior.amax((2, 3), keepdim=True)
        if self.inner == "full":
            return y * (deepest - interior + 1) / deepest.clamp(min=1)
        reverse = (deepest - interior) * y
        largest = reverse.amax((2, 3), keepdim=True)
        return torch.where(largest > 0, reverse / largest.masked_fill(largest == 0, 1), y)

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the loss of each image and class."""
        weight = self.group(self.weigh(y, maps["interior_distance"]))
        p, y = self.group(p), self.group(y)
        false = p if self.threshold is None else (p > self.threshold).to(p.dtype)
        below = weight.sum(-1) + ((1 - y) * false).sum(-1)
        return 1 - ((weight * p).sum(-1) + self.eps) / (below + self.eps)
