"""Region losses: ratios of sums over an image's pixels."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cracklab.losses.base import register
from cracklab.losses.reduce import RegionLoss


def dice_loss(p: Tensor, y: Tensor, weight: Tensor | None = None, *, eps: float = 1.0, squared: bool = False) -> Tensor:
    """1 - (2 sum w p y + eps) / (sum w p + sum w y + eps) over the last axis; squared: p^2 and y^2 below."""
    wp, wy = (p, y) if weight is None else (weight * p, weight * y)
    overlap = (wp * y).sum(-1)
    total = ((wp * p).sum(-1) + (wy * y).sum(-1)) if squared else (wp.sum(-1) + wy.sum(-1))
    return 1 - (2 * overlap + eps) / (total + eps)


@register("dice")
class Dice(RegionLoss):
    """1 - (2 sum py + eps) / (sum p + sum y + eps). Thesis 002, eq. 2.2; paper 003, eq. 5.

    Args:
        squared: p^2 and y^2 in the denominator.
        **region: `eps`, `per_image`, `classes`, `pool_classes` as in RegionLoss.
    """

    def __init__(self, squared: bool = False, **region: Any) -> None:
        super().__init__(**region)
        self.squared = squared

    def measure(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Dice loss of each image and class."""
        return dice_loss(self.group(p), self.group(y), eps=self.eps, squared=self.squared)
