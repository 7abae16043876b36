"""Probabilities of images at several scales, fused in every evaluation as `cracklab predict` fuses those of photos."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cracklab.batch import GRID
from cracklab.data.resizing import Interpolation, flags_of


def multiscale_probabilities(
    score: Callable[[Tensor], Tensor],
    image: Tensor,
    once: Tensor,
    sizes: Tensor,
    scales: Sequence[float],
    interpolation: Interpolation = "area",
) -> Tensor:
    """Return the quadratic mean of the probabilities of images at several scales, sqrt(mean p^2), (B, C, H, W).

    Each image is resized without its padding, as a photo is, and its probabilities are resized back by linear interpolation.
    With several classes, the mean is divided by its sum over the classes. Padding keeps the probabilities of scale 1.

    Args:
        score: from normalised images (B, C_in, h, w) to probabilities (B, C, h, w), for h and w that are multiples of 32.
        image: (B, C_in, H, W), normalised, padded at the bottom and the right.
        once: `score(image)`, (B, C, H, W).
        sizes: (B, 2), height and width of each image without padding, px.
        scales: sizes of an image, relative to it.
        interpolation: of the images.

    Example:
        >>> image = torch.arange(64.0).view(1, 1, 1, 64).expand(1, 1, 32, 64) / 64
        >>> fused = multiscale_probabilities(lambda image: image * 0 + 0.7, image, image * 0 + 0.1, torch.tensor([[32, 64]]), [1, 0.5])
        >>> torch.allclose(fused, torch.tensor(0.5))
        True
    """
    if list(scales) == [1]:
        return once
    fused = once.clone()
    each = [tuple(size) for size in sizes.tolist()]
    for height, width in sorted(set(each)):
        which = [i for i, size in enumerate(each) if size == (height, width)]
        inside = image[which, :, :height, :width]
        passes = [
            once[which, :, :height, :width] if scale == 1 else _at_scale(score, inside, scale, interpolation)
            for scale in scales
        ]
        mean = torch.stack(passes).square().mean(0).sqrt()
        fused[which, :, :height, :width] = mean if mean.shape[1] == 1 else mean / mean.sum(1, keepdim=True)
    return fused


def _at_scale(score: Callable[[Tensor], Tensor], image: Tensor, scale: float, interpolation: Interpolation) -> Tensor:
    """Return the probabilities at one scale, (B, C, H, W)."""
    size = (image.shape[2], image.shape[3])
    height, width = (max(1, round(side * scale)) for side in size)
    flags = flags_of(size, (height, width), interpolation)
    planes = image.float().cpu().numpy().reshape(-1, *size)  # OpenCV's mean over areas is exact for every ratio
    resized = np.stack([cv2.resize(plane, (width, height), interpolation=flags) for plane in planes])
    margins = (0, 0), (0, -height % GRID), (0, -width % GRID)
    padded = torch.from_numpy(np.pad(resized, margins, mode="reflect")).to(image)
    found = score(padded.reshape(*image.shape[:2], *padded.shape[1:]))
    return functional.interpolate(found[..., :height, :width], size, mode="bilinear")
