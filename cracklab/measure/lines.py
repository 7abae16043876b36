"""Lines through points: length, spacing, smoothing, normals."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Floats = NDArray[np.float64]
Points = NDArray[np.float64]
"""(N, 2): x and y, px; the centre of the top left pixel is (0, 0)."""


def arc_length(points: Points) -> Floats:
    """Return the distance of every vertex along the line from the first one (N,), px.

    Example:
        >>> arc_length(np.array([[0, 0], [3, 4], [3, 6]]))
        array([0., 5., 7.])
    """
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def is_closed(points: Points) -> bool:
    """Return whether the last point of a line is its first one.

    Example:
        >>> is_closed(np.array([[0, 0], [5, 0], [5, 5], [0, 0]]))
        True
    """
    return np.array_equal(points[0], points[-1])


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
        >>> line = smooth(stairs, sigma_px=1.5)
        >>> round(float(arc_length(stairs)[-1]), 2), round(float(arc_length(line)[-1]), 2)  # straight: 5.10
        (5.41, 5.11)
    """
    chain = resample(points)
    if len(chain) < 3:
        return chain
    line = _gaussian(chain, sigma_px)
    return line + _gaussian(chain - line, sigma_px)


def _gaussian(chain: Points, sigma_px: float) -> Points:
    if is_closed(chain):
        ring = gaussian_filter1d(chain[:-1], sigma_px, axis=0, mode="wrap")
        return np.concatenate([ring, ring[:1]])
    reach = int(np.ceil(4 * sigma_px))
    padded = np.pad(chain, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    return np.asarray(gaussian_filter1d(padded, sigma_px, axis=0)[reach:-reach])


def normals(line: Points) -> Points:
    """Return the unit vectors across a line at its vertices (N, 2).

    Example:
        >>> normals(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]])).tolist()
        [[-0.0, 1.0], [-0.0, 1.0], [-0.0, 1.0]]
    """
    directions = np.gradient(line, axis=0)
    if is_closed(line):
        directions[[0, -1]] = (line[1] - line[-2]) / 2
    return across(directions)


def across(directions: Points) -> Points:
    """Return the unit vectors at right angles to directions (N, 2).

    Example:
        >>> across(np.array([[3.0, 4.0]])).tolist()
        [[-0.8, 0.6]]
    """
    units = directions / np.maximum(np.hypot(*directions.T), 1e-9)[:, None]
    return np.stack([-units[:, 1], units[:, 0]], axis=1)


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
