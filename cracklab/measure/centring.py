"""Centre lines from chains of pixels: smoothed, and moved to the middle of the crack, to a fraction of a pixel."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cracklab.geometry.distance_transform import compiled
from cracklab.geometry.masks import Map
from cracklab.measure.lines import Floats, Points, is_closed
from cracklab.measure.smoothing import smoothed

FloatOrFloats = TypeVar("FloatOrFloats", float, Floats)

STEP_PX = 0.5
"""Distance of samples across a line."""
FAINT = 0.02
"""Samples up to this value are outside of the crack."""
SIGMA, MIN_SIGMA_PX = 0.75, 2.0
"""Standard deviation of the Gaussian that smooths a centre line, in half widths of the crack, and its minimum, px."""
REACH, REACH_PX = 1.5, 1.5
"""A line is centred only if the crack ends within `REACH` half widths and `REACH_PX` on both sides, as it does away from
branch points."""
PASSES = 2
"""A line is centred twice, since the first pass turns its normals."""


def sigma_of(radius: float) -> float:
    """Return the standard deviation that smooths the centre line of a crack, from its half width, px.

    Example:
        >>> sigma_of(0.5), sigma_of(8.0)
        (2.0, 6.0)
    """
    return max(MIN_SIGMA_PX, SIGMA * radius)


def reach_of(radius: FloatOrFloats) -> FloatOrFloats:
    """Return how far to look for both sides of a crack, from its half width, px.

    Example:
        >>> reach_of(2.0)
        4.5
    """
    return REACH * radius + REACH_PX


def centre_line(chain: Points, depth: Map, sigma_px: float, fixed: tuple[bool, bool]) -> Points:
    """Return the smooth line along the middle of the crack that a chain of pixels follows, with vertices about 1 px apart.

    Args:
        chain: (N, 2), pixels.
        depth: (H, W), distance to the nearest pixel outside of the crack, px; 0 outside, and along the border.
        sigma_px: see `sigma_of`.
        fixed: whether the first and the last vertex keep their places, as branch points do.

    Example:
        >>> depth = np.zeros((9, 40), np.float32)
        >>> depth[2:6], depth[3:5] = 1, 2  # rows 2 to 5: the middle is y = 3.5
        >>> chain = np.stack([np.arange(5.0, 35.0), np.full(30, 3.0)], axis=1)
        >>> centre_line(chain, depth, sigma_px=1.5, fixed=(False, False))[[0, 15, 29], 1].round(2).tolist()
        [3.5, 3.5, 3.5]
    """
    return _centre_line(np.ascontiguousarray(chain), depth, sigma_px, is_closed(chain), *fixed)


def centre(line: Points, depth: Map, reach_px: float, sigma_px: float) -> Points:
    """Move the vertices of an open line to the middle of the crack, across the line, and smooth it; the last one stays.

    Vertices where no middle can be found move like their neighbours.

    Args:
        line: (N, 2).
        depth: (H, W), positive in the crack.
        reach_px: see `middle_offsets`.
        sigma_px: for `smooth`.
    """
    reach = np.full(len(line), reach_px)
    return _centred(np.ascontiguousarray(line), depth, reach, sigma_px, False, False, True)


def middle_offsets(depth: Map, line: Points, normal: Points, reach: Floats) -> Floats:
    """Return the offsets along the normals from vertices to the middle of the crack (N,), px.

    The middle is the centroid of the crack along the normal, up to where it ends on both sides.

    Args:
        depth: (H, W), positive in the crack.
        line: (N, 2).
        normal: (N, 2), unit vectors.
        reach: (N,), the offset is NaN if the crack extends this far on one side, px.

    Example:
        >>> depth = np.zeros((9, 12), np.float32)
        >>> depth[2:6] = 1  # rows 2 to 5: the middle is y = 3.5
        >>> middle_offsets(depth, np.array([[5.0, 3.0]]), np.array([[0.0, 1.0]]), np.array([5.0])).tolist()
        [0.5]
    """
    return _offsets(depth, line, normal, reach)


def sample(depth: Map, points: NDArray[np.float64]) -> Floats:
    """Return the share of crack at points (..., 2), bilinear; 0 outside of the image.

    Example:
        >>> sample(np.array([[0, 0, 0], [0, 2, 0], [0, 0, 0]], np.float32), np.array([[1.0, 1.0], [1.25, 1.0], [9.0, 9.0]]))
        array([1.  , 0.75, 0.  ])
    """
    return _sampled(depth, np.ascontiguousarray(points).reshape(-1, 2)).reshape(points.shape[:-1])


@compiled
def _share(depth: Map, x: float, y: float) -> float:
    """Return the share of crack at a point."""
    height, width = depth.shape
    left, top = int(np.floor(x)), int(np.floor(y))
    if left < 0 or top < 0 or left >= width - 1 or top >= height - 1:
        return 0.0
    a, b = x - left, y - top
    upper = (1 - a) * (depth[top, left] > 0) + a * (depth[top, left + 1] > 0)
    lower = (1 - a) * (depth[top + 1, left] > 0) + a * (depth[top + 1, left + 1] > 0)
    return float((1 - b) * upper + b * lower)


@compiled
def _sampled(depth: Map, points: Points) -> Floats:
    values = np.empty(len(points))
    for i in range(len(points)):
        values[i] = _share(depth, points[i, 0], points[i, 1])
    return values


@compiled
def _normals(line: Points, closed: bool) -> Points:
    last = len(line) - 1
    normal = np.empty_like(line)
    for i in range(last + 1):
        before = i - 1 if i > 0 else (last - 1 if closed else 0)
        after = i + 1 if i < last else (1 if closed else last)
        x, y = line[after, 0] - line[before, 0], line[after, 1] - line[before, 1]
        norm = max(np.hypot(x, y), 1e-9)
        normal[i, 0], normal[i, 1] = -y / norm, x / norm
    return normal


@compiled
def _offsets(depth: Map, line: Points, normal: Points, reach: Floats) -> Floats:
    offset = np.full(len(line), np.nan)
    for i in range(len(line)):
        mass, moment, ends = 0.0, 0.0, 0
        for side in (-1, 1):
            k = 0
            while k * STEP_PX <= reach[i]:
                place = side * k * STEP_PX
                value = _share(depth, line[i, 0] + place * normal[i, 0], line[i, 1] + place * normal[i, 1])
                if value <= FAINT:
                    ends += 1
                    break
                if k > 0 or side > 0:  # the vertex itself counts once
                    mass += value
                    moment += value * place
                k += 1
        if ends == 2 and mass > 0.5:
            offset[i] = moment / mass
    return offset


@compiled
def _interpolate(values: Floats) -> bool:
    """Replace NaN, in place, by interpolating linearly; at the ends, by the nearest number. Return whether there is any."""
    before = -1
    for i in range(len(values)):
        if np.isnan(values[i]):
            continue
        for k in range(before + 1, i):
            share = (k - before) / (i - before)
            values[k] = values[i] if before < 0 else (1 - share) * values[before] + share * values[i]
        before = i
    for k in range(before + 1, len(values)):
        values[k] = values[before]
    return before >= 0


@compiled
def _centred(
    line: Points, depth: Map, reach: Floats, sigma: float, closed: bool, first_fixed: bool, last_fixed: bool
) -> Points:
    normal = _normals(line, closed)
    offset = _offsets(depth, line, normal, reach)
    if first_fixed and not closed:
        offset[0] = 0
    if last_fixed and not closed:
        offset[len(line) - 1] = 0
    if not _interpolate(offset):
        return line
    moved = np.empty_like(line)
    for i in range(len(line)):
        limit = 0.5 + reach[i] / 4
        shift = min(max(offset[i], -limit), limit)
        for j in range(2):
            moved[i, j] = moved[0, j] if closed and i == len(line) - 1 else line[i, j] + shift * normal[i, j]
    return smoothed(moved, sigma, closed)


@compiled
def _centre_line(chain: Points, depth: Map, sigma: float, closed: bool, first_fixed: bool, last_fixed: bool) -> Points:
    line = smoothed(chain, sigma, closed)
    for _ in range(PASSES):
        reach = np.empty(len(line))
        for i in range(len(line)):
            x = min(max(int(np.rint(line[i, 0])), 1), depth.shape[1] - 2)
            y = min(max(int(np.rint(line[i, 1])), 1), depth.shape[0] - 2)
            # a line beside the ridge of the distance map has the depth of the ridge
            deepest = depth[y, x]
            for k in range(9):
                deepest = max(deepest, depth[y - 1 + k // 3, x - 1 + k % 3])
            reach[i] = REACH * deepest + REACH_PX
        line = _centred(line, depth, reach, sigma, closed, first_fixed, last_fixed)
    return line
