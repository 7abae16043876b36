"""How well a mask agrees with probabilities, as it is and repaired: moved, eroded, dilated, inverted."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.geometry.masks import Mask

Floats = NDArray[np.float32]
MAX_SHIFT = 8
"""Largest shift that is tried along each axis, px."""
RADII = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
"""Radii by which masks are dilated, px; negative ones erode."""


def soft_dice(mask: Mask, probability: Floats) -> float:
    """Return the Dice coefficient of a mask y and probabilities p, 2 sum(y p) / (sum(y) + sum(p)); 1 if both sums are 0.

    Example:
        >>> soft_dice(np.array([True, True]), np.array([1.0, 0.0], np.float32))
        0.6666666666666666
    """
    total = float(mask.sum()) + float(probability.sum())
    return 2 * float(probability[mask].sum()) / total if total else 1.0


def accuracy(mask: Mask, probability: Floats) -> float:
    """Return the mean probability that the net gives to the label of a pixel."""
    crack = float(probability[mask].sum())
    return (crack + float((~mask).sum()) - (float(probability.sum()) - crack)) / mask.size


@dataclass(frozen=True)
class Shift:
    """The shift of a mask that fits the probabilities best.

    Attributes:
        dx: to the right, px.
        dy: downwards, px.
        dice: soft Dice after the shift.
    """

    dx: int
    dy: int
    dice: float

    @property
    def length_px(self) -> float:
        """Length of the shift, px."""
        return float(np.hypot(self.dx, self.dy))


def best_shift(mask: Mask, probability: Floats, limit: int = MAX_SHIFT) -> Shift:
    """Return the shift of a mask, of at most `limit` px along each axis, that fits the probabilities best.

    All shifts are scored at once, by a correlation in the frequency domain; parts that leave the image are lost.

    Example:
        >>> mask, probability = np.zeros((20, 20), bool), np.zeros((20, 20), np.float32)
        >>> mask[5, 2:18], probability[9, 2:18] = True, 1.0
        >>> best_shift(mask, probability)
        Shift(dx=0, dy=4, dice=1.0)
    """
    size = [cv2.getOptimalDFTSize(length + limit) for length in mask.shape]  # padded, so that nothing wraps around
    spectrum = np.fft.rfft2(probability, size) * np.conj(np.fft.rfft2(mask.astype(np.float32), size))
    steps = np.arange(-limit, limit + 1)
    common = np.fft.irfft2(spectrum, size)[np.ix_(steps, steps)]
    # within rounding, the shortest shift wins
    rank = np.round(common, 2) - 1e-4 * np.hypot(steps[:, None], steps)
    row, column = np.unravel_index(int(np.argmax(rank)), rank.shape)
    total = float(mask.sum()) + float(probability.sum())
    dice = 2 * float(common[row, column]) / total if total else 1.0
    return Shift(int(steps[column]), int(steps[row]), round(dice, 6))


def dice_by_radius(mask: Mask, probability: Floats) -> NDArray[np.float64]:
    """Return the soft Dice of a mask that is dilated by each of `RADII`, px.

    Example:
        >>> mask = np.zeros((20, 20), bool)
        >>> mask[7:12] = True
        >>> scores = dice_by_radius(mask, np.float32(mask))
        >>> float(scores[RADII.index(0)]), bool(scores[RADII.index(2)] < 1)
        (1.0, True)
    """
    plane = mask.astype(np.uint8)
    return np.array([soft_dice(_dilated(plane, radius), probability) for radius in RADII])


def best_radius(dices: NDArray[np.float64]) -> float:
    """Return the radius of the largest value of `dice_by_radius`, px, interpolated by a parabola through its neighbours.

    Example:
        >>> dices = np.array([0.1, 0.2, 0.3, 0.5, 0.8, 0.8, 0.5, 0.3, 0.2])
        >>> best_radius(dices)  # between 0 and 1 px
        0.5
    """
    i = int(np.argmax(dices))
    if not 0 < i < len(dices) - 1:
        return float(RADII[i])
    left, middle, right = dices[i - 1 : i + 2]
    bend = left - 2 * middle + right
    return RADII[i] + (float((left - right) / (2 * bend)) if bend else 0.0)


def _dilated(plane: NDArray[np.uint8], radius: int) -> Mask:
    if radius == 0:
        return plane > 0
    side = 2 * abs(radius) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray((cv2.dilate if radius > 0 else cv2.erode)(plane, disc) > 0)
