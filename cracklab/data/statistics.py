"""What losses and people want to know of a set of masks."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from cracklab.data.images import IGNORE, Array
from cracklab.data.maps import CROSS, distance_to


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


def widths(crack: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Width, px, at every pixel of the centre lines, exact for straight lines along rows and columns.

    Twice the distance D to the nearest pixel outside, minus 1; an even width has its centre between two rows, of which
    the centre line is one and the other is as deep: not minus 1 then.
    """
    line, depth = skeletonize(crack), distance_to(~crack)
    beside = cv2.dilate(np.where(line, np.float32(0), depth), CROSS)
    width = 2 * depth - (beside < depth)
    return np.asarray(width[line], np.float32)


def measure(masks: Iterable[Array]) -> Statistics:
    """Statistics of masks (H, W) uint8, class index with 255 where a pixel counts nowhere."""
    images, pixels, cracks = 0, 0, 0
    found = [np.zeros(0, np.float32)]
    for mask in masks:
        crack = (mask > 0) & (mask != IGNORE)
        images += 1
        pixels += int((mask != IGNORE).sum())
        cracks += int(crack.sum())
        found.append(widths(crack))
    all_widths = np.concatenate(found)
    low, middle, high = np.percentile(all_widths, (5, 50, 95)).tolist() if all_widths.size else (0.0, 0.0, 0.0)
    return Statistics(images, cracks / max(pixels, 1), low, middle, high)
