"""Statistics of masks: crack share and crack widths."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cracklab.data.images import IGNORE, Array, crack_pixels
from cracklab.geometry.masks import widths


@dataclass(frozen=True)
class Statistics:
    """Crack share and crack widths of masks as the net sees them."""

    images: int
    """Number of images."""
    crack_share: float
    """Share of the valid pixels that are crack, 0 to 1; with several classes, the share that is not class 0."""
    width_px_p5: float
    """5th percentile of the width along the centre lines, px; 0 if there are no cracks."""
    width_px_p50: float
    """Median of the width, px."""
    width_px_p95: float
    """95th percentile of the width, px."""


def mask_statistics(masks: Iterable[Array]) -> Statistics:
    """Compute the statistics of masks (H, W) uint8, class index, 255 for ignored pixels.

    Example:
        >>> mask = np.zeros((10, 40), np.uint8)
        >>> mask[4:7, 5:35] = 1  # a crack 3 px wide: 90 of 400 pixels
        >>> found = mask_statistics([mask])
        >>> found.crack_share, found.width_px_p50
        (0.225, 3.0)
    """
    images, pixels, cracks = 0, 0, 0
    found = [np.zeros(0, np.float32)]
    for mask in masks:
        crack = crack_pixels(mask)
        images += 1
        pixels += int((mask != IGNORE).sum())
        cracks += int(crack.sum())
        found.append(widths(crack))
    all_widths = np.concatenate(found)
    low, middle, high = np.percentile(all_widths, (5, 50, 95)).tolist() if all_widths.size else (0.0, 0.0, 0.0)
    return Statistics(images, cracks / max(pixels, 1), low, middle, high)
