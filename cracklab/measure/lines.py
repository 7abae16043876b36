"""Smooth centre lines from chains of pixels, extended to where the crack ends."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Floats = NDArray[np.float64]
Points = NDArray[np.float64]
"""(N, 2): x and y, px; the centre of the top left pixel is (0, 0)."""

MIN_SIGMA_PX = 1.5
"""Minimum standard deviation of the Gaussian that smooths a chain of pixels, px. The chain of a wide crack is smoothed by
its half width: its skeleton deviates more, and the crack itself cannot turn more sharply."""
TRIM = 2.0
"""The last `TRIM` half widths of a skeleton are replaced, because thinning bends or forks them towards a corner."""
BAND = 0.35
"""Share of the half width on both sides of the line in which the end of the mask is searched; in the whole width, the
search would find the corner of an end that is not square."""
DIRECTION_PX = 6
"""The direction of a line at its end is that of at least its last `DIRECTION_PX` px."""


def arc_length(points: Points) -> Floats:
    """Return the distance of every vertex along the line from the first one (N,), px.

    Example:
        >>> arc_length(np.array([[0, 0], [3, 4], [3, 6]]))
        array([0., 5., 7.])
    """
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def resample(points: Points, spacing_px: float = 1.0) -> Points:
    """Return a line with equally spaced vertices, as close to `spacing_px` as its length allows.

    Example:
        >>> resample(np.array([[0.0, 0.0], [2.9, 0.0]])).shape  # 3 steps of 0.97 px
        (4, 2)
    """
    along = arc_length(points)
    steps = max(4 if is_closed(points) else 1, round(along[-1] / spacing_px))  # a tiny ring keeps an inside
    places = np.linspace(0, along[-1], steps + 1)
    return np.stack([np.interp(places, along, points[:, i]) for i in (0, 1)], axis=1)


def is_closed(points: Points) -> bool:
    """Return whether the last point of a line is its first one.

    Example:
        >>> is_closed(np.array([[0, 0], [5, 0], [5, 5], [0, 0]]))
        True
    """
    return np.array_equal(points[0], points[-1])


def smooth(points: Points, sigma_px: float) -> Points:
    """Return a chain of pixels as a smooth line; the ends of an open one do not move.

    A chain of pixels is longer than the line that it follows, by up to 8 % (Vossepoel and Smeulders 1982). A Gaussian
    along the chain removes its steps, and shortens an arc of radius R by sigma^2 / (2 R^2) only.

    Args:
        points: (N, 2).
        sigma_px: standard deviation of the Gaussian.

    Example:
        >>> stairs = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 1.0], [4.0, 1.0], [5.0, 1.0]])
        >>> line = smooth(stairs, sigma_px=1.5)
        >>> round(float(arc_length(stairs)[-1]), 2), round(float(arc_length(line)[-1]), 2)  # straight: 5.10
        (5.41, 5.1)
    """
    chain = resample(points)
    if len(chain) < 3:
        return chain
    if is_closed(points):
        ring = gaussian_filter1d(chain[:-1], sigma_px, axis=0, mode="wrap")
        return np.concatenate([ring, ring[:1]])
    reach = int(np.ceil(4 * sigma_px))
    padded = np.pad(chain, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    return np.asarray(gaussian_filter1d(padded, sigma_px, axis=0)[reach:-reach])


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
    first = int(np.argmax((along >= TRIM * radius) | (along >= along[-1] / 2)))
    first = min(first, len(points) - 2)
    return points[first:], float(radius[first])


def extend_to_end(line: Points, radius: float, pixels: Points) -> Points:
    """Return a smooth line with a straight piece in front, which reaches to where the mask ends.

    Args:
        line: (N, 2), from the trimmed tip inwards.
        radius: half width at its start, px.
        pixels: (M, 2), pixels of the mask around its start.

    Example:
        >>> pixels = np.array([[x, y] for x in range(20) for y in range(5)], float)
        >>> line = np.stack([np.arange(6.0, 15.0), np.full(9, 2.0)], axis=1)
        >>> extend_to_end(line, radius=3.0, pixels=pixels)[0].round(2).tolist()  # pixels end at -0.5
        [-0.32, 2.0]
    """
    offset = pixels - line[0]
    outwards = _unit(line[0] - line[min(len(line) - 1, max(DIRECTION_PX, round(2 * radius)))])
    band = max(BAND * radius, 1.0)
    for _ in range(3):  # first in the line's own direction, then towards the centroid of the pixels ahead
        along, across = offset @ outwards, offset @ [-outwards[1], outwards[0]]
        ahead = np.sort(along[(np.abs(across) <= band) & (along > 0)])
        breaks = np.flatnonzero(np.diff(ahead, prepend=0) > 2)
        reach = float(ahead[: breaks[0] if len(breaks) else None].max(initial=0))
        rest = offset[(along > 0) & (along <= reach) & (np.abs(across) <= TRIM * radius)]
        outwards = _unit(rest.mean(axis=0)) if len(rest) > 1 else outwards
    # The pixel farthest out of n falls short of the end by 1 / (1 + n) px on average.
    columns = min(2 * radius - 1, 2 * band)
    reach += float(np.abs(outwards).max()) / (1 + columns)
    return np.concatenate([line[:1] + reach * outwards, line])


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.hypot(*vector)), 1e-9))


def principal_axis(pixels: Points) -> Points:
    """Return the line (2, 2) through a patch of pixels along its longest extent, for patches too short for a skeleton.

    Example:
        >>> axis = principal_axis(np.array([[2.0, 3.0], [3.0, 3.0], [4.0, 3.0]]))
        >>> sorted(axis[:, 0].round(2).tolist())  # half a pixel beyond the outer pixel centres
        [1.5, 4.5]
    """
    middle = pixels.mean(axis=0)
    _, _, axes = np.linalg.svd(np.concatenate([pixels - middle, np.eye(2) * 1e-6]), full_matrices=False)
    along = (pixels - middle) @ axes[0]
    half_pixel = 0.5 * np.abs(axes[0]).max()
    axis: Points = middle + np.outer([along.min() - half_pixel, along.max() + half_pixel], axes[0])
    return axis
