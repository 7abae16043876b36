"""Width along a centre line, sub-pixel."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cracklab.measure.graph import Points
from cracklab.measure.lines import arc_length

Floats = NDArray[np.float64]


def widths(lines: list[Points], pixels: Points, depth: Floats) -> list[Floats]:
    """Width at every vertex of the lines of one crack, px.

    Twice the exact distance to the background, the usual figure, is measured to the *centre of a pixel outside*: it is
    1 px too large for an axis-parallel crack of odd width and right for an even one, and 0.3 to 0.7 px too large in
    between, by angle. Area has no such bias: a pixel belongs to the mask where its centre is in the crack, so that the
    number of pixels is the crack's area on average, at any angle. Hence

        width(s) = pixels nearest to the vertices within `k` of s / length of line between these

    with k half a width, and never more than the largest inscribed disc in that reach, so that what hangs on the edge
    does not count as width.

    Args:
        lines: (N, 2) each, vertices at equal distances.
        pixels: (M, 2), all of the crack.
        depth: (M,), distance of these to the nearest pixel outside.
    """
    vertices = np.concatenate(lines)
    _, nearest = cKDTree(vertices).query(pixels)
    area = np.bincount(nearest, minlength=len(vertices)).astype(np.float64)
    disc = np.zeros(len(vertices))
    np.maximum.at(disc, nearest, 2 * depth)
    found, first = [], 0
    for line in lines:
        part = slice(first, first + len(line))
        first += len(line)
        step = arc_length(line)[-1] / max(len(line) - 1, 1)
        share = np.full(len(line), step)
        share[[0, -1]] /= 2
        window = np.ones(2 * max(1, round(float(np.median(disc[part])) / 2)) + 1)
        mean = _summed(area[part], window) / _summed(share, window)
        largest = disc[part]
        found.append(np.minimum(mean, largest))
    return found


def _summed(values: Floats, window: Floats) -> Floats:
    half = len(window) // 2
    return np.convolve(values, window)[half : half + len(values)]
