"""Entropy losses: each pixel by itself."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from cracklab.losses.base import Loss, register, require
from cracklab.losses.reduce import image_mean, pixel_mean


def cross_entropy(logits: Tensor, mask: Tensor, pos_weight: float | None = None) -> Tensor:
    """-[w y log p + (1 - y) log(1 - p)], or -sum_c w_c y_c log p_c for C > 1; w = `pos_weight`, 1 for channel 0.

    Args:
        logits: (B, C, H, W).
        mask: (B, C, H, W), 0 / 1.
        pos_weight: factor of the crack term (C > 1: of every class but the background, channel 0).

    Returns:
        (B, 1, H, W).
    """
    if logits.shape[1] == 1:
        weight = None if pos_weight is None else logits.new_tensor(pos_weight)
        return F.binary_cross_entropy_with_logits(logits, mask, pos_weight=weight, reduction="none")
    if pos_weight is not None:
        mask = torch.cat([mask[:, :1], mask[:, 1:] * pos_weight], 1)
    return -(mask * logits.log_softmax(1)).sum(1, keepdim=True)


@register("bce")
class BCE(Loss):
    """Cross entropy, mean over pixels, then images: see `cross_entropy`. All five papers.

    Args:
        pos_weight: factor of the crack term (C > 1: of every class but the background, channel 0).
    """

    def __init__(self, pos_weight: float | None = None) -> None:
        super().__init__()
        require(pos_weight is None or pos_weight > 0, "pos_weight", pos_weight, "a number above 0, or none")
        self.pos_weight = pos_weight

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The mean over pixels, then images."""
        return image_mean(pixel_mean(cross_entropy(logits, mask, self.pos_weight), valid), valid)
