"""Centre lines from chains of pixels: smoothed, and moved to the middle of the crack, to a fraction of a pixel."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cracklab.geometry.distance_transform import compiled
from cracklab.geometry.masks import Map
from cracklab.measure.lines import Floats, Points, is_closed

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
        reach: (N,), the offset is NaN if the crack goes on for this distance on one side, px.

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


def resample(points: Points, spacing_px: float = 1.0) -> Points:
    """Return a line with equally spaced vertices, as close to `spacing_px` as its length allows.

    Example:
        >>> resample(np.array([[0.0, 0.0], [2.9, 0.0]])).shape  # 3 steps of 0.97 px
        (4, 2)
    """
    return _resampled(np.ascontiguousarray(points), spacing_px, is_closed(points))


def smooth(points: Points, sigma_px: float) -> Points:
    """Return a line without its steps; the ends of an open one do not move.

    A chain of pixels is longer than the line that it follows, by up to 8 % (Vossepoel and Smeulders 1982). A Gaussian
    along the chain removes its steps, but shrinks bends: a circle of radius R by a share of e = 1 - exp(-sigma^2 / (2 R^2)).
    What it removed is smoothed once more and added (twicing, Tukey 1977), so that the circle shrinks by e^2 only.

    Args:
        points: (N, 2).
        sigma_px: standard deviation of the Gaussian.

    Example:
        >>> stairs = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 1.0], [4.0, 1.0], [5.0, 1.0]])
        >>> from cracklab.measure.lines import arc_length
        >>> lengths = [arc_length(line)[-1] for line in (stairs, smooth(stairs, sigma_px=1.5))]
        >>> [round(float(length), 2) for length in lengths]  # straight: 5.10
        [5.41, 5.11]
    """
    return _smoothed(np.ascontiguousarray(points), sigma_px, is_closed(points))


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
def _resampled(points: Points, spacing: float, closed: bool) -> Points:
    along, last = np.zeros(len(points)), len(points) - 1
    for i in range(1, len(points)):
        along[i] = along[i - 1] + np.hypot(points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1])
    steps = max(4 if closed else 1, int(np.rint(along[last] / spacing)))  # a tiny ring keeps an inside
    line = np.empty((steps + 1, 2))
    before = 0
    for k in range(steps):
        place = along[last] * k / steps
        while before < last - 1 and along[before + 1] <= place:
            before += 1
        part = (place - along[before]) / max(along[before + 1] - along[before], 1e-12)
        for j in range(2):
            line[k, j] = points[before, j] + part * (points[before + 1, j] - points[before, j])
    line[steps, 0], line[steps, 1] = points[last, 0], points[last, 1]
    return line


@compiled
def _gaussian(line: Points, sigma: float, closed: bool) -> Points:
    """Return a line after a Gaussian along it; an open one continues beyond its ends, turned around them."""
    last, reach = len(line) - 1, int(np.ceil(4 * sigma))
    period = last if closed else 2 * last
    padded, smooth, total = np.empty((2, len(line) + 2 * reach)), np.zeros((len(line), 2)), 0.0
    for i in range(-reach, len(line) + reach):
        turns, k = i // period, i % period
        for j in range(2):
            value = line[k, j] if k <= last else 2 * line[last, j] - line[period - k, j]
            padded[j, i + reach] = value + turns * 2 * (line[last, j] - line[0, j])  # 0 along a closed line
    for k in range(2 * reach + 1):
        weight = np.exp(-0.5 * ((k - reach) / sigma) ** 2)
        total += weight
        for j in range(2):
            for i in range(len(line)):
                smooth[i, j] += weight * padded[j, i + k]
    for i in range(len(line)):
        smooth[i, 0] /= total
        smooth[i, 1] /= total
    return smooth


@compiled
def _smoothed(points: Points, sigma: float, closed: bool) -> Points:
    chain = _resampled(points, 1.0, closed)
    if len(chain) < 3:
        return chain
    line, last = _gaussian(chain, sigma, closed), len(chain) - 1
    removed = np.empty_like(chain)
    for i in range(last + 1):
        for j in range(2):
            removed[i, j] = chain[i, j] - line[i, j]
    removed = _gaussian(removed, sigma, closed)
    for i in range(last + 1):
        for j in range(2):
            line[i, j] += removed[i, j]
    for j in range(2):
        line[0, j] = line[0, j] if closed else chain[0, j]
        line[last, j] = line[0, j] if closed else chain[last, j]
    return line


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
    return _smoothed(moved, sigma, closed)


@compiled
def _centre_line(chain: Points, depth: Map, sigma: float, closed: bool, first_fixed: bool, last_fixed: bool) -> Points:
    line = _smoothed(chain, sigma, closed)
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
