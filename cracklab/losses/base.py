"""The contract of a loss, and the registry that finds it by name."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cracklab.registry import Registry

LOSSES: Registry[type["Loss"]] = Registry("cracklab.losses", "loss")
register = LOSSES.register


class Loss(nn.Module):
    """A segmentation loss on logits.

    A subclass implements `compute`, names the target maps it reads in `maps`, and registers itself by name.
    Everything is computed in float32 outside of autocast (half precision loses what rescaled probabilities need);
    float64 stays float64.
    """

    maps: tuple[str, ...] = ()
    """Names of the target maps that `compute` reads; the data module computes these and no others."""

    def forward(
        self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor] | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, C, H, W), any floating dtype.
            mask: (B, C, H, W), 0 / 1.
            maps: the maps that `self.maps` names, each (B, C, H, W), px.
            valid: (B, 1, H, W), 0 / 1; pixels with 0 count nowhere. None: every pixel counts.

        Returns:
            A scalar tensor.
        """
        ...
