"""The ends of centre lines, extended to where the crack ends."""

from functools import cache

import numpy as np

from cracklab.geometry.masks import Map
from cracklab.measure.centring import centre, middle_offsets, reach_of, sample, sigma_of
from cracklab.measure.lines import Floats, Points, across, arc_length

TRIM = 2.0
"""The last `TRIM` half widths of a skeleton are replaced, because thinning bends or forks them towards a corner."""
BAND = 0.35
"""Share of the half width on both sides of the line in which the end of the crack is searched; in the whole width, the
corner of an end that is not square would count."""
FIT = 3.0
"""A line continues as its last `FIT` half widths do."""
NOISE_PX, NOISE = 0.3, 0.1
"""Roughness of a centre line, in px and in half widths."""


def trim_end(points: Points, depth: Floats) -> tuple[Points, float]:
    """Return a chain without the first pixels, which thinning drew towards a corner; at least half of it is kept.

    Args:
        points: (N, 2), from the tip inwards.
        depth: (N,), half width at each point, px.

    Returns:
        The remaining chain, and the half width at its start, px.

    Example:
        >>> chain = np.stack([np.arange(20.0), np.zeros(20)], axis=1)
        >>> rest, radius = trim_end(chain, depth=np.full(20, 3.0))
        >>> rest[0].tolist(), radius
        ([6.0, 0.0], 3.0)
    """
    along = arc_length(points)
    radius = np.maximum.accumulate(depth)
    near = np.convolve(along < TRIM * radius, np.ones(4))[3:] > 0  # here or at one of the next three points
    first = int(np.argmax(~near | (along >= along[-1] / 2)))
    first = min(first, len(points) - 2)
    return points[first:], float(radius[first])


def continuation(line: Points, radius: float, distances: Floats) -> tuple[Points, Points]:
    """Return where a line would continue before its first vertex, and the normals there, each (M, 2).

    It continues straight, or along a parabola, as its last `FIT` half widths do. The weight of the parabola grows
    with its curvature relative to the roughness of a straight line, `NOISE_PX` and `NOISE`.

    Args:
        line: (N, 2), vertices about equally spaced.
        radius: half width, px.
        distances: (M,), from the first vertex outwards, px.

    Example:
        >>> line = np.stack([np.arange(5.0), np.zeros(5)], axis=1)
        >>> continuation(line, 1.0, np.array([2.0]))[0].round(3).tolist()
        [[-2.0, 0.0]]
    """
    count = min(len(line), max(6, round(FIT * radius)) + 1)
    factors = _least_squares(count, 2) @ line[:count]
    if count > 6:
        curved = _least_squares(count, 3) @ line[:count]
        sagitta = float(np.hypot(*curved[2])) * (count - 1) ** 2 / 4
        trust = sagitta**2 / (sagitta**2 + (NOISE_PX + NOISE * radius) ** 2)
        factors = trust * curved + (1 - trust) * np.concatenate([factors, np.zeros((1, 2))])
    spacing = float(arc_length(line[:count])[-1]) / (count - 1)
    powers = (-distances[:, None] / spacing) ** np.arange(len(factors))
    directions = -(np.arange(1, len(factors)) * powers[:, :-1]) @ factors[1:]
    return line[0] + powers[:, 1:] @ factors[1:], across(directions)


@cache
def _least_squares(count: int, order: int) -> Floats:
    """Return the matrix from equally spaced values to the `order` coefficients of a polynomial."""
    return np.linalg.pinv(np.vander(np.arange(count), order, increasing=True))


def distance_to_end(line: Points, radius: float, depth: Map, step_px: float) -> float:
    """Return the distance from the first vertex of a line, ahead along its continuation, to the end of the crack, px.

    The end is where the share of crack in a band across falls below half of what it is along the line.

    Args:
        line: (N, 2).
        radius: half width of the line near its end, px.
        depth: (H, W), positive in the crack.
        step_px: distance of the samples.

    Example:
        >>> depth = np.zeros((9, 40), np.float32)
        >>> depth[2:7, 4:30] = 1  # from x = 3.5
        >>> line = np.stack([np.arange(8.0, 25.0), np.full(17, 4.0)], axis=1)
        >>> round(distance_to_end(line, 2.5, depth, step_px=0.1), 2)
        4.55
    """
    distances = step_px * np.arange(-round(4 / step_px), round((2 * radius + 4) / step_px), dtype=np.float64)
    points, normal = continuation(line, radius, distances)
    band = max(1.0, BAND * radius)
    offsets = np.linspace(-band, band, 2 * round(2 * band) + 1)
    share = sample(depth, points[:, None] + offsets[:, None] * normal[:, None]).mean(axis=1)
    share /= max(float(np.median(share[distances < 0])), 1e-9)
    ahead, share = distances[distances >= 0], share[distances >= 0]
    outside = np.flatnonzero(share < 0.2)  # thin diagonal lines fall below a half in between
    inside = np.flatnonzero(share[: outside[0] if len(outside) else None] >= 0.5)
    return float(ahead[inside[-1]]) + step_px / 2 if len(inside) else 0.0


def extend_to_end(line: Points, radius: float, depth: Map) -> Points:
    """Return a trimmed line with vertices in front, up to where the crack ends.

    The line follows the middle of the crack up to a half width from the end. From there on, the sides of an end that is
    not square would draw it aside, so it keeps its direction.

    Args:
        line: (N, 2), from the trimmed tip inwards.
        radius: half width at its start, px.
        depth: (H, W), positive in the crack.

    Example:
        >>> depth = np.zeros((9, 40), np.float32)
        >>> depth[2:7, 4:30] = 1  # from x = 3.5
        >>> line = np.stack([np.arange(10.0, 25.0), np.full(15, 4.0)], axis=1)
        >>> extend_to_end(line, 3.0, depth)[0].round(1).tolist()
        [3.5, 4.0]
    """
    trimmed = len(line)
    for _ in range(4):
        left = distance_to_end(line, radius, depth, step_px=0.25) - radius
        if left <= 0:
            break
        for _ in range(max(1, int(left))):
            ahead, normal = continuation(line, radius, np.ones(1))
            offset = middle_offsets(depth, ahead, normal, np.array([reach_of(radius)]))
            shift = 0.5 * np.clip(np.nan_to_num(offset), -1, 1)  # half of it, since a single middle is rough
            line = np.concatenate([ahead + shift[:, None] * normal, line])
    if len(line) > trimmed:
        count = min(len(line), len(line) - trimmed + round(4 * radius))
        start = centre(line[:count], depth, reach_of(radius), sigma_of(radius))
        line = np.concatenate([start, line[count:]])
    distance = distance_to_end(line, radius, depth, step_px=0.1)
    if distance <= 0:
        return line
    ahead, _ = continuation(line, radius, np.linspace(distance, 0, 2 + int(distance))[:-1])
    return np.concatenate([ahead, line])
