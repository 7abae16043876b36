"""The evidence of one image about its mask, before it is compared with the rest of the data set."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.audit.agreement import Floats, Shift, accuracy, best_radius, best_shift, dice_by_radius, soft_dice
from cracklab.audit.regions import Region, missed_regions, unfounded_regions
from cracklab.geometry.masks import Mask

GRID = 48
"""Rows and columns of the thumbnails by which masks are compared with the predictions of other images."""

NEAR_PX = 12
"""Probabilities farther from the mask than this do not count for its shift and its width, px."""


@dataclass(frozen=True)
class Evidence:
    """The comparison of one mask with the probabilities of a net that never saw it.

    Attributes:
        id: of the image.
        size: height and width, px.
        box: x, y, width and height of the box around all crack of the mask, px; of the whole image if there is none.
        has_crack: whether the mask shows any crack.
        inverted: mean probability of the exchanged labels minus that of the labels, -1 to 1.
        dice: soft Dice of the mask and the probabilities near it.
        dices: the same for the mask dilated by each radius in `RADII`.
        shift: the shift of the mask that fits best.
        missed: predicted pieces that the mask lacks.
        unfounded: pieces of the mask without prediction.
        digest: hash of the mask.
        mask_grid: (GRID, GRID), where the mask has crack.
        crack_grid: (GRID, GRID), where the prediction has crack.
    """

    id: str
    size: tuple[int, int]
    box: tuple[int, int, int, int]
    has_crack: bool
    inverted: float
    dice: float
    dices: NDArray[np.float64] = field(repr=False)
    shift: Shift
    missed: list[Region]
    unfounded: list[Region]
    digest: str
    mask_grid: Mask = field(repr=False)
    crack_grid: Mask = field(repr=False)

    @property
    def best_radius(self) -> float:
        """Radius by which the mask has to be dilated to fit best, px, interpolated by a parabola; negative to erode."""
        return best_radius(self.dices)

    def moved(self, dx: int, dy: int) -> Self:
        """Return the evidence with all boxes moved, from a crop of the image to the image, px."""
        x, y, width, height = self.box
        missed, unfounded = (
            [replace(one, x=one.x + dx, y=one.y + dy) for one in regions] for regions in (self.missed, self.unfounded)
        )
        return replace(self, box=(x + dx, y + dy, width, height), missed=missed, unfounded=unfounded)


def gather(id: str, mask: Mask, probability: Floats, threshold: float, tolerance_px: float) -> Evidence:
    """Compare a mask with probabilities.

    Args:
        id: of the image.
        mask: (H, W), True for crack.
        probability: (H, W), 0 to 1, from a net that was not trained on this image.
        threshold: probability above which the net predicts crack.
        tolerance_px: distance up to which mask and prediction may differ along an edge, px.

    Example:
        >>> mask = np.zeros((60, 80), bool)
        >>> mask[30, 10:70] = True
        >>> found = gather("wall", mask, np.float32(~mask), 0.5, 4.0)
        >>> found.inverted > 0.9
        True
    """
    predicted = probability > threshold
    near = probability * _near(mask)  # so that a missed crack elsewhere makes the mask neither shifted nor thin
    return Evidence(
        id,
        (mask.shape[0], mask.shape[1]),
        _box(mask),
        bool(mask.any()),
        accuracy(~mask, probability) - accuracy(mask, probability),
        soft_dice(mask, near),
        dice_by_radius(mask, near),
        best_shift(mask, near),
        missed_regions(mask, probability, threshold, tolerance_px),
        unfounded_regions(mask, probability, threshold, tolerance_px),
        hashlib.blake2b(mask.tobytes(), digest_size=16).hexdigest(),
        _grid(mask),
        _grid(predicted),
    )


def _near(mask: Mask) -> Mask:
    side = 2 * NEAR_PX + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def _box(mask: Mask) -> tuple[int, int, int, int]:
    if not mask.any():
        return 0, 0, mask.shape[1], mask.shape[0]
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return x, y, width, height


def _grid(mask: Mask) -> Mask:
    """Return which cells of a grid over the image hold any True."""
    rows, columns = np.nonzero(mask)
    cells = np.zeros((GRID, GRID), bool)
    cells[rows * GRID // mask.shape[0], columns * GRID // mask.shape[1]] = True
    return cells
