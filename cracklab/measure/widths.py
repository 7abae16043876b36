"""Sub-pixel width along a centre line."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, maximum_filter1d
from scipy.spatial import cKDTree

from cracklab.measure.lines import Floats, Points, arc_length, is_closed


def line_widths(lines: list[Points], pixels: Points, depth: Floats) -> list[Floats]:
    """Compute the width at every vertex of the lines of one crack, px.

    The usual width, twice the exact distance to the background, is biased, because that distance reaches to the *centre of
    a pixel outside*. The width is 1 px too large for an axis-parallel crack of odd width, exact for an even one, and off by
    -0.8 to +1.0 px in between, by angle and width. Area has no such bias at any angle: a pixel belongs to the mask if its
    centre is in the crack, so the expected number of pixels is the crack's area. Hence

        width(s) = number of pixels whose nearest vertex is within `k` of s / length of line between these vertices

    where k is half a width. The width is at most the largest inscribed disc within that reach, so that bumps on the edge
    do not count.

    Args:
        lines: (N, 2) each, equally spaced vertices.
        pixels: (M, 2), all pixels of the crack.
        depth: (M,), distance of each pixel to the nearest pixel outside, px.

    Returns:
        (N,) for each line.

    Example:
        >>> pixels = np.array([[x, y] for x in range(30) for y in range(3)], float)
        >>> line = np.stack([np.arange(30.0), np.ones(30)], axis=1)
        >>> (widths,) = line_widths([line], pixels, depth=np.tile([1.0, 2.0, 1.0], 30))
        >>> float(widths[15].round(2)), 2 * 2.0  # twice the distance in the middle is 4
        (3.0, 4.0)
    """
    vertices = np.concatenate([line[:-1] if is_closed(line) else line for line in lines])
    nearest = np.asarray(cKDTree(vertices).query(pixels)[1], np.intp)
    area = _area_of_vertices(lines, vertices, pixels, nearest)
    disc = np.zeros(len(vertices))
    np.maximum.at(disc, nearest, 2 * depth)
    widths, first = [], 0
    for line in lines:
        closed = is_closed(line)
        count = len(line) - closed
        part = slice(first, first + count)
        first += count
        share = np.full(count, arc_length(line)[-1] / (len(line) - 1))
        if not closed:
            share[[0, -1]] /= 2  # only half a step of the line belongs to an end
        half = 1 + round(float(np.median(disc[part])) / 2)
        window = np.hanning(2 * half + 3)[1:-1]
        mode: Literal["wrap", "constant"] = "wrap" if closed else "constant"
        mean = convolve1d(area[part], window, mode=mode) / convolve1d(share, window, mode=mode)
        width = np.minimum(mean, maximum_filter1d(disc[part], 2 * half + 1, mode=mode))
        widths.append(np.append(width, width[:1]) if closed else width)
    return widths


def _area_of_vertices(lines: list[Points], vertices: Points, pixels: Points, nearest: NDArray[np.intp]) -> Floats:
    """Return the number of pixels of each vertex; a pixel between two vertices is divided between them in proportion."""
    before, after, first = [], [], 0
    for line in lines:
        closed = is_closed(line)
        own = first + np.arange(len(line) - closed)
        first += len(own)
        before.append(np.roll(own, 1) if closed else np.concatenate([own[:1], own[:-1]]))
        after.append(np.roll(own, -1) if closed else np.concatenate([own[1:], own[-1:]]))
    previous, following = np.concatenate(before), np.concatenate(after)
    ends = (previous == np.arange(len(vertices))) | (following == np.arange(len(vertices)))
    step = (vertices[following] - vertices[previous]) / np.where(ends, 1, 2)[:, None]
    square = np.maximum(np.sum(step**2, axis=1), 1e-9)  # 0 where a line turns back
    place = np.sum((pixels - vertices[nearest]) * step[nearest], axis=1) / square[nearest]
    place = np.clip(place, -0.5, 0.5)
    beside = np.where(place > 0, following[nearest], previous[nearest])
    given = np.abs(place)
    count = len(vertices)
    return np.asarray(np.bincount(nearest, 1 - given, count) + np.bincount(beside, given, count), np.float64)
