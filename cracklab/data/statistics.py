"""What losses and people want to know of a set of masks."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cracklab.data.images import IGNORE, Array, crack_pixels
from cracklab.geometry.masks import widths


@dataclass(frozen=True)
class Statistics:
    """Crack share and crack widths, of masks as the net sees them."""

    images: int
    """Number of images."""
    crack_share: float
    """Share of the valid pixels that are crack, 0 to 1; of several classes, that are not class 0."""
    width_px_p5: float
    """5th percentile of the width along the centre lines, px; 0 without cracks."""
    width_px_p50: float
    """Median of the width, px."""
    width_px_p95: float
    """95th percentile of the width, px."""


def mask_statistics(masks: Iterable[Array]) -> Statistics:
    """Statistics of masks (H, W) uint8, class index with 255 where a pixel counts nowhere."""
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
