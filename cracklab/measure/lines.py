"""From chains of pixels to smooth centre lines that end where the crack ends."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from cracklab.measure.graph import Points

Floats = NDArray[np.float64]

SMOOTHING_PX = 2.0
"""Least standard deviation of the Gaussian that smooths a chain of pixels, px; a wide crack's chain is smoothed by its
half width, since its skeleton strays more and the crack itself cannot turn faster."""
TRIM = 1.5
"""The last `TRIM` half widths of a skeleton are drawn anew, since thinning bends or forks them towards a corner."""


def arc_length(points: Points) -> Floats:
    """Distance along a line from its first vertex (N,), px."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def resampled(points: Points, spacing_px: float = 1.0) -> Points:
    """The same line with vertices at equal distances, as near to `spacing_px` as its length allows."""
    along = arc_length(points)
    places = np.linspace(0, along[-1], max(1, round(along[-1] / spacing_px)) + 1)
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
    return points[first:], float(radius[first])


def extended(line: Points, radius: float, pixels: Points) -> Points:
    """A smooth line with a straight piece before its first vertex, up to where the mask ends.

    Args:
        line: (N, 2), from the trimmed tip inwards.
        radius: half width there, px.
        pixels: (M, 2), the mask's pixels around.
    """
    inwards = line[min(len(line) - 1, max(3, round(2 * radius)))] - line[0]
    outwards = -inwards / max(float(np.hypot(*inwards)), 1e-9)
    offset = pixels - line[0]
    along, across = offset @ outwards, offset @ [-outwards[1], outwards[0]]
    ahead = along[(np.abs(across) <= radius + 0.5) & (along > 0)]
    reach = float(ahead.max(initial=0)) + 0.5 * float(np.abs(outwards).max())
    return np.concatenate([line[:1] + reach * outwards, line])


def principal_axis(pixels: Points) -> Points:
    """The line through a patch of pixels along its longest extent (2, 2), for patches too short to have a centre line."""
    middle = pixels.mean(axis=0)
    _, _, axes = np.linalg.svd(np.concatenate([pixels - middle, np.eye(2) * 1e-6]), full_matrices=False)
    along = (pixels - middle) @ axes[0]
    half_pixel = 0.5 * np.abs(axes[0]).max()
    return middle + np.outer([along.min() - half_pixel, along.max() + half_pixel], axes[0])
