"""Lines through points: length, normals, the longest extent of a patch."""

import numpy as np
from numpy.typing import NDArray

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
