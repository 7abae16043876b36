"""Sub-pixel centring: the middle of a crack across its centre line."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cracklab.geometry.distance_transform import compiled
from cracklab.measure.lines import Floats, Points, is_closed, normals, smooth

FloatOrFloats = TypeVar("FloatOrFloats", float, Floats)
Image = NDArray[np.uint8]
"""(H, W), 1 in the crack and 0 outside, with a border of 0."""

STEP_PX = 0.5
"""Distance of samples across a line."""
CHUNK = 4096
"""Vertices that are centred at once, which limits memory."""
SIGMA, MIN_SIGMA_PX = 0.75, 1.5
"""Standard deviation of the Gaussian that smooths a centre line, in half widths of the crack, and its minimum, px."""
REACH, REACH_PX = 1.5, 1.5
"""A line is centred only if the crack ends within `REACH` half widths and `REACH_PX` on both sides, as it does away from
branch points."""


def sigma_of(radius: float) -> float:
    """Return the standard deviation that smooths the centre line of a crack, from its half width, px.

    Example:
        >>> sigma_of(0.5), sigma_of(8.0)
        (1.5, 6.0)
    """
    return max(MIN_SIGMA_PX, SIGMA * radius)


def reach_of(radius: FloatOrFloats) -> FloatOrFloats:
    """Return how far to look for both sides of a crack, from its half width, px.

    Example:
        >>> reach_of(2.0)
        4.5
    """
    return REACH * radius + REACH_PX


def sample(image: Image, points: NDArray[np.float64]) -> Floats:
    """Return the values of an image at points (..., 2), bilinear; 0 outside of the image.

    Example:
        >>> sample(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8), np.array([[1.0, 1.0], [1.25, 1.0], [9.0, 9.0]]))
        array([1.  , 0.75, 0.  ])
    """
    values = np.zeros(points.shape[:-1])
    _sample(image, np.ascontiguousarray(points).reshape(-1, 2), values.reshape(-1))
    return values


@compiled
def _sample(image: Image, points: Points, values: Floats) -> None:
    height, width = image.shape
    for i in range(len(points)):
        x, y = points[i]
        left, top = int(np.floor(x)), int(np.floor(y))
        if left >= 0 and top >= 0 and left < width - 1 and top < height - 1:
            a, b = x - left, y - top
            upper = (1 - a) * image[top, left] + a * image[top, left + 1]
            lower = (1 - a) * image[top + 1, left] + a * image[top + 1, left + 1]
            values[i] = (1 - b) * upper + b * lower


def middle_offsets(image: Image, line: Points, normal: Points, reach: Floats) -> Floats:
    """Return the offsets along the normals from vertices to the middle of the crack (N,), px.

    The middle is the centroid of the crack along the normal, up to where it ends on both sides.

    Args:
        image: of the crack.
        line: (N, 2).
        normal: (N, 2), unit vectors.
        reach: (N,), the offset is NaN if the crack goes on for this distance on one side, px.

    Example:
        >>> image = np.zeros((9, 12), np.uint8)
        >>> image[2:6] = 1  # rows 2 to 5: the middle is y = 3.5
        >>> middle_offsets(image, np.array([[5.0, 3.0]]), np.array([[0.0, 1.0]]), np.array([5.0])).tolist()
        [0.5]
    """
    offsets = [
        _offsets(image, *(values[first : first + CHUNK] for values in (line, normal, reach)))
        for first in range(0, len(line), CHUNK)
    ]
    return np.concatenate(offsets)


def _offsets(image: Image, line: Points, normal: Points, reach: Floats) -> Floats:
    count = int(reach.max() / STEP_PX) + 2
    places = STEP_PX * np.arange(-count, count + 1)
    values = sample(image, line[:, None] + places[:, None] * normal[:, None])
    inside = values > 0.02
    sides = [np.cumprod(side, axis=1) for side in (inside[:, count::-1], inside[:, count:])]
    ends = np.all([side.sum(axis=1) * STEP_PX <= reach for side in sides], axis=0)
    values *= np.concatenate([sides[0][:, :0:-1], sides[1]], axis=1)
    mass = values.sum(axis=1)
    return np.where(ends & (mass > 0.5), values @ places / np.maximum(mass, 1e-9), np.nan)


def centre(
    line: Points, image: Image, reach: Floats, sigma_px: float, fixed: tuple[bool, bool] = (True, True)
) -> Points:
    """Move the vertices of a line to the middle of the crack, across the line, and smooth it.

    Vertices where no middle can be found move like their neighbours.

    Args:
        line: (N, 2).
        image: of the crack.
        reach: (N,), see `middle_offsets`.
        sigma_px: for `smooth`.
        fixed: whether the first and the last vertex keep their places, as branch points do.

    Example:
        >>> image = np.zeros((9, 40), np.uint8)
        >>> image[2:6] = 1
        >>> line = np.stack([np.arange(5.0, 35.0), np.full(30, 3.0)], axis=1)
        >>> centre(line, image, np.full(30, 5.0), sigma_px=1.5, fixed=(False, False))[[0, 15, 29], 1].round(2).tolist()
        [3.5, 3.5, 3.5]
    """
    normal = normals(line)
    offset = middle_offsets(image, line, normal, reach)
    if not is_closed(line):
        offset[[0, -1]] = np.where(fixed, 0, offset[[0, -1]])
    known = np.flatnonzero(np.isfinite(offset))
    if not len(known):
        return line
    limit = 0.5 + reach / 4
    offset = np.clip(np.interp(np.arange(len(line)), known, offset[known]), -limit, limit)
    moved = line + offset[:, None] * normal
    if is_closed(line):
        moved[-1] = moved[0]
    return smooth(moved, sigma_px)
