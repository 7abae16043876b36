"""Compound losses: an entropy and a region loss together."""

from collections.abc import Mapping

from torch import Tensor

from cracklab.losses.base import register
from cracklab.losses.entropy import cross_entropy
from cracklab.losses.reduce import image_mean, pixel_mean
from cracklab.losses.region import Dice


@register("combo")
class Combo(Dice):
    """`dice` + `bce`. Thesis 002, eq. 2.4; L_bcedice of paper 003. Parameters as in `dice`."""

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The sum; `terms` holds both."""
        dice = super().compute(logits, mask, maps, valid)
        bce = image_mean(pixel_mean(cross_entropy(logits, mask), valid), valid)
        self.terms = {"dice": dice.detach(), "bce": bce.detach()}
        return dice + bce
