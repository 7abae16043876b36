"""Probabilities of images at several sizes, fused: the same in every evaluation and in `cracklab predict`."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from cracklab.logits import probabilities

MULTIPLE = 32
"""Heights and widths of what a net sees are padded to a multiple of this, px."""


def multiscale_probabilities(
    net: Callable[[Tensor], Tensor], image: Tensor, logits: Tensor, scales: Sequence[float]
) -> Tensor:
    """Return the quadratic mean of the probabilities of images at several scales, sqrt(mean p^2), (B, C, H, W).

    An image is made smaller by the mean over areas, larger by linear interpolation, and what the net finds in it is brought
    back to (H, W) by linear interpolation. Of several classes the mean is divided by its sum over the classes.

    Args:
        net: from normalised images (B, C_in, h, w) to logits (B, C, h, w), for h and w that are multiples of 32.
        image: (B, C_in, H, W), normalised.
        logits: of `net` for `image`, (B, C, H, W).
        scales: sizes of the image, relative to it.

    Example:
        >>> image = torch.arange(64.0).view(1, 1, 1, 64).expand(1, 1, 32, 64) / 64
        >>> fused = multiscale_probabilities(lambda image: image * 0 + 1, image, image * 0 - 1, scales=[1, 0.5])
        >>> torch.allclose(fused, ((torch.tensor([-1.0, 1.0]).sigmoid() ** 2).mean() ** 0.5).expand(1, 1, 32, 64))
        True
    """
    passes = [_at_scale(net, image, logits, scale) for scale in scales]
    if len(passes) == 1:
        return passes[0]
    fused = torch.stack(passes).square().mean(0).sqrt()
    return fused if fused.shape[1] == 1 else fused / fused.sum(1, keepdim=True)


def _at_scale(net: Callable[[Tensor], Tensor], image: Tensor, logits: Tensor, scale: float) -> Tensor:
    """Return the probabilities at one scale, (B, C, H, W)."""
    if scale == 1:
        return probabilities(logits.float())
    size = image.shape[2:]
    height, width = (max(1, round(side * scale)) for side in size)
    resized = (
        functional.interpolate(image, (height, width), mode="area")
        if scale < 1
        else functional.interpolate(image, (height, width), mode="bilinear")
    )
    margins = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
    found = probabilities(net(functional.pad(resized, margins, mode="replicate")).float())
    return functional.interpolate(found[..., :height, :width], size, mode="bilinear")
