"""Region losses: ratios of sums over an image's pixels.

The functions take (images, classes, pixels) tensors from `RegionLoss.group`, and return (images, classes).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cracklab.losses.base import register, require
from cracklab.losses.reduce import RegionLoss


def dice_loss(p: Tensor, y: Tensor, weight: Tensor | None = None, *, eps: float = 1.0, squared: bool = False) -> Tensor:
    """Return 1 - (2 sum w p y + eps) / (sum w p + sum w y + eps) over the last axis.

    Args:
        p: probabilities.
        y: mask.
        weight: w of each pixel; None: 1.
        eps: added to numerator and denominator.
        squared: p^2 and y^2 in the denominator.

    Example:
        >>> dice_loss(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))  # 1 - (2 * 0.5 + 1) / (1 + 1 + 1)
        tensor(0.3333)
    """
    wp, wy = (p, y) if weight is None else (weight * p, weight * y)
    overlap = (p * wy).sum(-1)
    total = ((wp * p).sum(-1) + (wy * y).sum(-1)) if squared else (wp.sum(-1) + wy.sum(-1))
    return 1 - (2 * overlap + eps) / (total + eps)


def iou_loss(p: Tensor, y: Tensor, *, eps: float = 1.0) -> Tensor:
    """Return 1 - (sum p y + eps) / (sum (p + y - p y) + eps) over the last axis.

    Example:
        >>> iou_loss(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))  # 1 - (0.5 + 1) / (1 + 1 - 0.5 + 1)
        tensor(0.4000)
    """
    overlap = (p * y).sum(-1)
    return 1 - (overlap + eps) / (p.sum(-1) + y.sum(-1) - overlap + eps)


def tversky_loss(p: Tensor, y: Tensor, *, delta: float, eps: float = 1.0) -> Tensor:
    """Return 1 - (sum p y + eps) / (sum p y + delta sum (1-p) y + (1-delta) sum p (1-y) + eps) over the last axis.

    Example:
        >>> p, y = torch.tensor([0.5, 0.5, 0.5]), torch.tensor([1.0, 1.0, 0.0])  # overlap 1, missed 1, false 0.5
        >>> tversky_loss(p, y, delta=0.8)  # 1 - (1 + 1) / (1 + 0.8 * 1 + 0.2 * 0.5 + 1)
        tensor(0.3103)
    """
    overlap = (p * y).sum(-1)
    wrong = delta * (y.sum(-1) - overlap) + (1 - delta) * (p.sum(-1) - overlap)
    return wrong / (overlap + wrong + eps)


def power(u: Tensor, exponent: float) -> Tensor:
    """Return u^exponent for u >= 1e-6, and the chord to 0 below, where u^exponent has no finite gradient.

    Example:
        >>> power(torch.tensor([0.25, 0.0]), 0.5)
        tensor([0.5000, 0.0000])
    """
    return torch.where(u >= 1e-6, u.clamp(min=1e-6) ** exponent, u * 1e-6 ** (exponent - 1))


@register("dice")
class Dice(RegionLoss):
    """1 - (2 sum py + eps) / (sum p + sum y + eps). Gül 2023, eq. 2.2; Chen 2023, eq. 5.

    Args:
        squared: p^2 and y^2 in the denominator.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> Dice()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # 1 - (2 * 2 + 1) / (2 + 4 + 1)
        tensor(0.2857)
    """

    def __init__(self, squared: bool = False, **region: Any) -> None:
        super().__init__(**region)
        self.squared = squared

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the Dice loss of each image and class, see `dice_loss`."""
        return dice_loss(self.group(p), self.group(y), eps=self.eps, squared=self.squared)


@register("iou")
class IoU(RegionLoss):
    """1 - (sum py + eps) / (sum (p + y - py) + eps), the soft Jaccard loss. Gül 2023, eq. 2.3.

    Example:
        >>> IoU()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # 1 - (2 + 1) / (2 + 4 - 2 + 1)
        tensor(0.4000)
    """

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the IoU loss of each image and class, see `iou_loss`."""
        return iou_loss(self.group(p), self.group(y), eps=self.eps)


@register("tversky")
class Tversky(RegionLoss):
    """1 - (sum py + eps) / (sum py + delta sum (1-p)y + (1-delta) sum p(1-y) + eps). Chen 2023, eq. 4; Deopujari 2025.

    `delta` weighs misses; the alpha of Deopujari 2025 is the reverse and weighs false positives.

    Args:
        delta: weight of misses against 1 - delta for false positives.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> Tversky(delta=0.7)(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # 1 - (2 + 1) / (2 + 0.7 * 2 + 1)
        tensor(0.3182)
    """

    def __init__(self, delta: float = 0.7, **region: Any) -> None:
        super().__init__(**region)
        require(0 <= delta <= 1, "delta", delta, "a number from 0 to 1")
        self.delta = delta

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the Tversky loss of each image and class, see `tversky_loss`."""
        return tversky_loss(self.group(p), self.group(y), delta=self.delta, eps=self.eps)


@register("focal_tversky")
class FocalTversky(Tversky):
    """u^gamma of the Tversky loss u of each image and class, see `power`. Chen 2023, eq. 6.

    Args:
        delta: weight of misses against 1 - delta for false positives.
        gamma: exponent; below 1 it keeps a gradient on predictions that are nearly right.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.

    Example:
        >>> loss = FocalTversky(delta=0.5, gamma=0.5)
        >>> loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # (1 - (2 + 1) / (2 + 0.5 * 2 + 1))^0.5
        tensor(0.5000)
    """

    def __init__(self, delta: float = 0.7, gamma: float = 0.75, **region: Any) -> None:
        super().__init__(delta, **region)
        require(gamma > 0, "gamma", gamma, "a number above 0")
        self.gamma = gamma

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the Tversky loss of each image and class to the power of `gamma`."""
        return power(super().per_class(p, y, maps, valid), self.gamma)


@register("log_cosh_dice")
class LogCoshDice(Dice):
    """Log cosh of the Dice loss of each image and class. Jadon 2020.

    The parameters are those of `dice`.

    Example:
        >>> LogCoshDice()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # log cosh(2/7)
        tensor(0.0403)
    """

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the log cosh of the Dice loss of each image and class."""
        return super().per_class(p, y, maps, valid).cosh().log()
