"""From chains of pixels to smooth centre lines that end where the crack ends."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from cracklab.measure.graph import Floats, Points

SMOOTHING_PX = 1.5
"""Least standard deviation of the Gaussian that smooths a chain of pixels, px; a wide crack's chain is smoothed by its
half width, since its skeleton strays more and the crack itself cannot turn faster."""
TRIM = 2.0
"""The last `TRIM` half widths of a skeleton are drawn anew, since thinning bends or forks them towards a corner."""

BAND = 0.35
"""The end of the mask is looked for this share of the half width beside the line; the whole width would find the corner
of an end that is not square."""

BACK_PX = 6
"""A line's direction at its end is that of at least its last so many px."""


def arc_length(points: Points) -> Floats:
    """Distance along a line from its first vertex (N,), px."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def resampled(points: Points, spacing_px: float = 1.0) -> Points:
    """The same line with vertices at equal distances, as near to `spacing_px` as its length allows."""
    along = arc_length(points)
    least = 4 if np.array_equal(points[0], points[-1]) else 1  # a ring does not become a line to and fro
    places = np.linspace(0, along[-1], max(least, round(along[-1] / spacing_px)) + 1)
    return np.stack([np.interp(places, along, points[:, i]) for i in (0, 1)], axis=1)


def smoothed(points: Points, sigma_px: float) -> Points:
    """A chain of pixels without its steps; the ends of an open line stay where they are.

    A chain is longer than the line that it follows, by up to 8 % (Vossepoel and Smeulders 1982). A Gaussian along the
    line takes the steps out, and shortens an arc of radius R by only sigma^2 / (2 R^2).

    Args:
        points: (N, 2); closed where the first is the last.
        sigma_px: standard deviation of the Gaussian.
    """
    chain = resampled(points)
    if len(chain) < 3:
        return chain
    if np.array_equal(points[0], points[-1]):
        ring = gaussian_filter1d(chain[:-1], sigma_px, axis=0, mode="wrap")
        return np.concatenate([ring, ring[:1]])
    reach = int(np.ceil(4 * sigma_px))
    padded = np.pad(chain, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    return np.asarray(gaussian_filter1d(padded, sigma_px, axis=0)[reach:-reach])


def trimmed(points: Points, depth: Floats) -> tuple[Points, float]:
    """A chain without its first few pixels, those that thinning drew towards a corner; at least half of it stays.

    Args:
        points: (N, 2), from the tip inwards.
        depth: (N,), half width at each, px.

    Returns:
        The rest, and the half width where it begins.
    """
    along = arc_length(points)
    radius = np.maximum.accumulate(depth)
    first = int(np.argmax((along >= TRIM * radius) | (along >= along[-1] / 2)))
    first = min(first, len(points) - 2)
    return points[first:], float(radius[first])


def extended(line: Points, radius: float, pixels: Points) -> Points:
    """A smooth line with a straight piece before its first vertex, up to where the mask ends.

    Args:
        line: (N, 2), from the trimmed tip inwards.
        radius: half width there, px.
        pixels: (M, 2), the mask's pixels around.
    """
    offset = pixels - line[0]
    outwards = _unit(line[0] - line[min(len(line) - 1, max(BACK_PX, round(2 * radius)))])
    band = max(BAND * radius, 1.0)
    for _ in range(3):  # towards the end as the line came, then towards the middle of what is found there
        along, across = offset @ outwards, offset @ [-outwards[1], outwards[0]]
        ahead = np.sort(along[(np.abs(across) <= band) & (along > 0)])
        breaks = np.flatnonzero(np.diff(ahead, prepend=0) > 2)
        reach = float(ahead[: breaks[0] if len(breaks) else None].max(initial=0))
        rest = offset[(along > 0) & (along <= reach) & (np.abs(across) <= TRIM * radius)]
        outwards = _unit(rest.mean(axis=0)) if len(rest) > 1 else outwards
    columns = min(
        2 * radius - 1, 2 * band
    )  # of pixels that the end was looked for in; the outermost misses by 1 of 1 + n
    reach += float(np.abs(outwards).max()) / (1 + columns)
    return np.concatenate([line[:1] + reach * outwards, line])


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.hypot(*vector)), 1e-9))


def principal_axis(pixels: Points) -> Points:
    """The line through a patch of pixels along its longest extent (2, 2), for patches too short to have a centre line."""
    middle = pixels.mean(axis=0)
    _, _, axes = np.linalg.svd(np.concatenate([pixels - middle, np.eye(2) * 1e-6]), full_matrices=False)
    along = (pixels - middle) @ axes[0]
    half_pixel = 0.5 * np.abs(axes[0]).max()
    axis: Points = middle + np.outer([along.min() - half_pixel, along.max() + half_pixel], axes[0])
    return axis
