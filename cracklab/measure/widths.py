"""Width along a centre line, sub-pixel."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.spatial import cKDTree

from cracklab.measure.graph import Floats, Points
from cracklab.measure.lines import arc_length


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
    nearest = np.asarray(cKDTree(vertices).query(pixels)[1], np.intp)
    area = _shared(lines, vertices, pixels, nearest)
    disc = np.zeros(len(vertices))
    np.maximum.at(disc, nearest, 2 * depth)
    found, first = [], 0
    for line in lines:
        part = slice(first, first + len(line))
        first += len(line)
        share = np.full(len(line), arc_length(line)[-1] / (len(line) - 1))
        share[[0, -1]] /= 2
        half = 1 + round(float(np.median(disc[part])) / 2)
        window = np.hanning(2 * half + 3)[1:-1]
        mean = _summed(area[part], window) / _summed(share, window)
        found.append(np.minimum(mean, maximum_filter1d(disc[part], 2 * half + 1)))
    return found


def _shared(lines: list[Points], vertices: Points, pixels: Points, nearest: NDArray[np.intp]) -> Floats:
    """Area of the pixels of every vertex; a pixel between two vertices is shared by them, as its place between them says."""
    count = len(vertices)
    step = np.concatenate([np.gradient(line, axis=0) for line in lines])
    square = np.maximum(np.sum(step**2, axis=1), 1e-9)  # 0 where a line turns back
    place = np.sum((pixels - vertices[nearest]) * step[nearest], axis=1) / square[nearest]
    place = np.clip(place, -0.5, 0.5)
    ends = np.cumsum([len(line) for line in lines])
    line_of = np.repeat(np.arange(len(lines)), np.diff(ends, prepend=0))
    beside = np.clip(nearest + np.sign(place).astype(int), 0, count - 1)
    beside = np.where(line_of[beside] == line_of[nearest], beside, nearest)
    given = np.abs(place)
    return np.asarray(np.bincount(nearest, 1 - given, count) + np.bincount(beside, given, count), np.float64)


def _summed(values: Floats, window: Floats) -> Floats:
    half = len(window) // 2
    return np.convolve(values, window)[half : half + len(values)]
