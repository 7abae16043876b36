"""Compound losses: the sum of an entropy loss and a region loss."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cracklab.losses.auto import Auto
from cracklab.losses.base import register, require
from cracklab.losses.entropy import margin_number
from cracklab.losses.pixelwise import cross_entropy, focal_entropy, focal_margin_entropy
from cracklab.losses.reduce import RegionLoss, image_mean, one_vs_rest, pixel_mean
from cracklab.losses.region import dice_loss, power, tversky_loss


class CompoundLoss(RegionLoss):
    """The sum of an entropy loss, which `per_pixel` defines, and a region loss, which `per_class` defines.

    With a `weight` w, it is w times the entropy loss plus 1 - w times the region loss. `terms` holds both. The options
    of RegionLoss apply to the region loss only.

    Example:
        >>> class HardCombo(CompoundLoss):
        ...     '''0.9 times cross entropy plus 0.1 times Dice loss.'''
        ...     weight = 0.9
        ...     def per_pixel(self, logits, mask):
        ...         return cross_entropy(logits, mask)
        ...     def per_class(self, p, y, maps, valid):
        ...         return dice_loss(self.group(p), self.group(y))
        >>> HardCombo()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # 0.9 log 2 + 0.1 * 2/7
        tensor(0.6524)
    """

    weight: float | None = None

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the entropy of each pixel, (B, 1 or C, H, W)."""
        raise NotImplementedError

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the sum of both losses."""
        region = super().compute(logits, mask, maps, valid)
        entropy = image_mean(pixel_mean(self.per_pixel(logits, mask), valid), valid)
        self.terms = {"entropy": entropy.detach(), "region": region.detach()}
        return entropy + region if self.weight is None else self.weight * entropy + (1 - self.weight) * region


@register("combo")
class Combo(CompoundLoss):
    """`dice` + `bce`. Gül 2023, eq. 2.4; L_bcedice of Chen 2023.

    Example:
        >>> Combo()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # 2/7 + log 2
        tensor(0.9789)
    """

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the cross entropy."""
        return cross_entropy(logits, mask)

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the Dice loss of each image and class."""
        return dice_loss(self.group(p), self.group(y), eps=self.eps)


@register("dice_focal")
class DiceFocal(Combo):
    """`dice` + `focal`. Gül 2023, eq. 2.6.

    Args:
        gamma: focal exponent.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> DiceFocal(gamma=2.0)(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # 2/7 + 0.5^2 log 2
        tensor(0.4590)
    """

    def __init__(self, gamma: float = 2.0, **region: Any) -> None:
        super().__init__(**region)
        require(gamma >= 0, "gamma", gamma, "a number of at least 0")
        self.gamma = gamma

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the focal entropy."""
        return focal_entropy(logits, mask, self.gamma)


@register("hybrid_focal")
class HybridFocal(CompoundLoss):
    """`asymmetric_focal` (or `focal`) + `focal_tversky`. Chen 2023, eq. 15; eq. 7 is symmetric, with a weight.

    Args:
        gamma_focal: exponent of the focal loss.
        delta: weight of misses in the Tversky loss.
        gamma_tversky: exponent of the Tversky loss.
        weight: w, for w times the focal loss plus 1 - w times the Tversky loss; none: their sum.
        asymmetric: `asymmetric_focal`; False: `focal`.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> loss = HybridFocal(delta=0.5, gamma_tversky=0.5)
        >>> loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # log 2 + (1/4)^0.5
        tensor(1.1931)
    """

    def __init__(
        self,
        gamma_focal: float = 2.0,
        delta: float = 0.7,
        gamma_tversky: float = 0.75,
        weight: float | None = None,
        asymmetric: bool = True,
        **region: Any,
    ) -> None:
        super().__init__(**region)
        require(gamma_focal >= 0, "gamma_focal", gamma_focal, "a number of at least 0")
        require(0 <= delta <= 1, "delta", delta, "a number from 0 to 1")
        require(gamma_tversky > 0, "gamma_tversky", gamma_tversky, "a number above 0")
        require(weight is None or 0 <= weight <= 1, "weight", weight, "a number from 0 to 1, or none")
        self.gamma_focal, self.delta, self.gamma_tversky = gamma_focal, delta, gamma_tversky
        self.weight, self.asymmetric = weight, asymmetric

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the focal entropy."""
        if self.asymmetric:
            return focal_margin_entropy(one_vs_rest(logits), mask, self.gamma_focal, asymmetric=True)
        return focal_entropy(logits, mask, self.gamma_focal)

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the Tversky loss of each image and class to the power of `gamma_tversky`."""
        return power(tversky_loss(self.group(p), self.group(y), delta=self.delta, eps=self.eps), self.gamma_tversky)


@register("hybrid_focal_margin")
class HybridFocalMargin(HybridFocal):
    """`focal_margin` + `focal_tversky`. Chen 2023, eq. 14; eq. 13 is symmetric, with a weight.

    Args:
        gamma_focal: exponent of the focal loss.
        margin: distance from the decision boundary that a logit has to reach; `auto`: from the fraction of crack
            pixels, see `margin_for`.
        delta: weight of misses in the Tversky loss.
        gamma_tversky: exponent of the Tversky loss.
        weight: w, for w times the focal loss plus 1 - w times the Tversky loss; none: their sum.
        asymmetric: focal factor only off the crack, margin only on it.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> loss = HybridFocalMargin(margin=1.0, delta=0.5, gamma_tversky=0.5)
        >>> loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # log(1 + e) + (1/4)^0.5
        tensor(1.8133)
    """

    def __init__(
        self,
        gamma_focal: float = 2.0,
        margin: float | Auto = 0.5,
        delta: float = 0.7,
        gamma_tversky: float = 0.75,
        weight: float | None = None,
        asymmetric: bool = True,
        **region: Any,
    ) -> None:
        super().__init__(gamma_focal, delta, gamma_tversky, weight, asymmetric, **region)
        self.margin = margin_number(margin)

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the focal entropy with a margin."""
        return focal_margin_entropy(one_vs_rest(logits), mask, self.gamma_focal, self.margin(), self.asymmetric)


@register("unified_focal")
class UnifiedFocal(CompoundLoss):
    """w L_F + (1-w) L_T, focal and Tversky with shared parameters. Yeung 2022; Chen 2023, eq. 9 and 10.

    L_F: mean of -delta y log p - (1-delta) p^gamma (1-y) log(1-p). L_T: mean of 1 - T0 and (1 - T1)^(1-gamma), with
    T1 = TI(p, y), T0 = TI(1-p, 1-y), TI the Tversky index with `delta`, and powers as in `power`. Symmetric: the
    exponent applies to 1 - T0 too, and (1-p)^gamma to the crack term. C > 1: channel 0 is the background. The published
    code of Yeung puts w on L_T; the papers, and this loss, put it on L_F.

    Args:
        weight: w.
        delta: weight of misses.
        gamma: focal exponent; 1 - gamma is that of the Tversky loss.
        asymmetric: apply the exponents to the rare classes only.
        eps: added to numerator and denominator, in pixels.
        per_image: sum over each image; False: over the whole batch.

    Example:
        >>> loss = UnifiedFocal(weight=0.5, delta=0.5, gamma=0.5)
        >>> # L_F = 0.5 log 2; T1 = 3 / (2 + 0.5 * 2 + 1), T0 = 1 / (0 + 0.5 * 2 + 1), L_T = (1/2 + (1/4)^0.5) / 2
        >>> loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
        tensor(0.4233)
    """

    def __init__(
        self,
        weight: float = 0.5,
        delta: float = 0.6,
        gamma: float = 0.5,
        asymmetric: bool = True,
        eps: float = 1.0,
        per_image: bool = True,
    ) -> None:
        super().__init__(eps, per_image)
        require(0 <= weight <= 1, "weight", weight, "a number from 0 to 1")
        require(0 <= delta <= 1, "delta", delta, "a number from 0 to 1")
        require(0 <= gamma < 1, "gamma", gamma, "a number from 0 to below 1")
        self.weight, self.delta, self.gamma, self.asymmetric = weight, delta, gamma, asymmetric

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return L_F of each pixel."""
        if logits.shape[1] == 1:
            weights = (1 - self.delta, self.delta)
            return focal_margin_entropy(logits, mask, self.gamma, asymmetric=self.asymmetric, weights=weights)
        binary, ones = one_vs_rest(logits), torch.ones_like(mask)
        background = focal_margin_entropy(binary[:, :1], ones[:, :1], self.gamma)
        rare = focal_margin_entropy(binary[:, 1:], ones[:, 1:], 0 if self.asymmetric else self.gamma)
        rare = (mask[:, 1:] * rare).sum(1, keepdim=True)
        return (1 - self.delta) * mask[:, :1] * background + self.delta * rare

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return L_T of each image and class; if C = 1, the mean of crack and background."""
        if p.shape[1] > 1:
            loss = tversky_loss(self.group(p), self.group(y), delta=self.delta, eps=self.eps)
            return torch.cat([self.background_power(loss[:, :1]), power(loss[:, 1:], 1 - self.gamma)], 1)
        p, y = self.group(p), self.group(y)
        pixels = p.shape[-1] if valid is None else self.group(valid).sum(-1)
        hits, cracks = (p * y).sum(-1), y.sum(-1)
        missed, false = cracks - hits, p.sum(-1) - hits
        clear = pixels - cracks - false
        crack_loss = self.delta * missed + (1 - self.delta) * false
        clear_loss = self.delta * false + (1 - self.delta) * missed
        crack_loss = crack_loss / (hits + crack_loss + self.eps)
        clear_loss = clear_loss / (clear + clear_loss + self.eps)
        return (self.background_power(clear_loss) + power(crack_loss, 1 - self.gamma)) / 2

    def background_power(self, loss: Tensor) -> Tensor:
        """Return 1 - T0 of the background, to the power of 1 - gamma in the symmetric form."""
        return loss if self.asymmetric else power(loss, 1 - self.gamma)
