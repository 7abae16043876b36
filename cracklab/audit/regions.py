"""Regions in which mask and net contradict each other far from each other's cracks."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from cracklab.audit.agreement import Floats
from cracklab.geometry.masks import Mask

MIN_AREA_PX = 12
"""Smaller regions are ignored: a speck is neither a crack nor a fault worth reviewing."""
TYPICAL_LENGTH_PX = 25.0
"""Length at which a region gets half of the score of a very long one, px."""


@dataclass(frozen=True)
class Region:
    """A connected region.

    Attributes:
        confidence: upper quartile of the probability, by the net, that the label of a pixel is wrong, 0 to 1; the edges of a
            crack, which are unsure, do not count.
        x: left edge, px.
        y: top edge, px.
        width: px.
        height: px.
        share: of the area of its connected crack of the mask, 0 to 1; 1 for a region that is not of the mask.
    """

    confidence: float
    x: int
    y: int
    width: int
    height: int
    share: float = 1.0

    @property
    def raw_score(self) -> float:
        """Confidence q, reduced for short regions, and for parts of a crack: q L / (L + 25 px) (1 + share) / 2.

        L is the length of the box's diagonal. A part of a crack that the net does not see, as where a wall is spalled along
        it, is less suspicious than a whole crack.
        """
        length = float(np.hypot(self.width, self.height))
        return self.confidence * length / (length + TYPICAL_LENGTH_PX) * (1 + self.share) / 2


def missed_regions(mask: Mask, probability: Floats, threshold: float, tolerance_px: float) -> list[Region]:
    """Return the predicted pieces of crack that are farther than the tolerance from the mask.

    Example:
        >>> mask, probability = np.zeros((20, 40), bool), np.zeros((20, 40), np.float32)
        >>> probability[10, 5:35] = 0.9
        >>> [(region.x, region.y, region.width, region.height) for region in missed_regions(mask, probability, 0.5, 4.0)]
        [(5, 10, 30, 1)]
    """
    return list(_regions((probability > threshold) & _far_from(mask, tolerance_px), probability))


def unfounded_regions(mask: Mask, probability: Floats, threshold: float, tolerance_px: float) -> list[Region]:
    """Return the pieces of the mask that are farther than the tolerance from everything of half the threshold or more."""
    possible = probability >= threshold / 2
    return list(_regions(mask & _far_from(possible, tolerance_px), 1 - probability, mask))


def _far_from(where: Mask, tolerance_px: float) -> Mask:
    if not where.any():
        return np.ones_like(where)
    distance = cv2.distanceTransform((~where).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(distance > tolerance_px)


def _regions(where: Mask, confidence: Floats, cracks: Mask | None = None) -> Iterator[Region]:
    """Yield the connected regions of a mask; their shares are those of the connected crack of `cracks` that they are in."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(where.astype(np.uint8), connectivity=8)
    whole = where if cracks is None else cracks
    _, crack_labels, crack_boxes, _ = cv2.connectedComponentsWithStats(whole.astype(np.uint8), connectivity=8)
    for label, (x, y, width, height, area) in enumerate(boxes.tolist()):
        if label and area >= MIN_AREA_PX:
            part = slice(y, y + height), slice(x, x + width)
            inside = labels[part] == label
            crack = int(crack_labels[part][inside][0])
            share = area / int(crack_boxes[crack, cv2.CC_STAT_AREA])
            yield Region(float(np.quantile(confidence[part][inside], 0.75)), x, y, width, height, share)
