"""Draw polygons, lines and masks of single shapes as one mask."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cracklab.data.images import Array

Pair = tuple[float, float]
"""(x, y), px."""
Point = NDArray[np.float64]
Rows = NDArray[np.int_]

FARTHEST_PX = 1e6
"""Larger coordinates and widths are errors: images have less than this number of pixels along a side."""
ROUNDING_PX = 1e-9
"""A centre at this distance from an edge is on it."""
CROSSINGS = 2**16
"""An area is filled in bands of rows that edges cross about this number of times: each crossing takes 150 bytes."""
ELLIPSE_CORNERS = 128
"""Number of corners of the polygon that is drawn for an ellipse; its area is 0.04 % less."""
LINE_ROWS = 64
"""A line is drawn in bands of this number of rows: each pixel of the box around its part in a band takes 65 bytes."""


@dataclass(frozen=True)
class Shape:
    """One annotated crack. Coordinates are (x, y), px; (0, 0) is the corner of the image, not the centre of a pixel.

    Raises:
        ValueError: for a coordinate or a width that no image can have.
    """

    label: str
    points: tuple[tuple[float, float], ...] = ()
    width_px: float | None = None
    """Width of a line through `points`; None if `points` enclose an area."""
    decode: Callable[[int, int], Array] | None = None
    """Return the mask (H, W) of a crack that is stored pixel by pixel, for an image of this height and width; None for points."""
    entry: str = ""
    """Its place in the annotation file, for messages."""

    def __post_init__(self) -> None:
        for value in (*(one for point in self.points for one in point), self.width_px or 0.0):
            if not abs(value) <= FARTHEST_PX:
                raise ValueError(f"{value:g} is not a coordinate or width, px")
        if any(len(point) != 2 for point in self.points):
            raise ValueError("a point is not a pair of numbers")


def corners(one: Pair, other: Pair) -> tuple[Pair, ...]:
    """Return the corners of a box from two that are opposite."""
    return one, (other[0], one[1]), other, (one[0], other[1])


def ellipse(x: float, y: float, rx: float, ry: float) -> tuple[Pair, ...]:
    """Return a polygon in place of an ellipse, by its middle and its half axes, px."""
    angles = (2 * math.pi * i / ELLIPSE_CORNERS for i in range(ELLIPSE_CORNERS))
    return tuple((x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles)


def turned(points: tuple[Pair, ...], angle: float) -> tuple[Pair, ...]:
    """Return the corners of a shape that is turned about its middle, clockwise, by an angle in radians.

    Example:
        >>> [(round(x), round(y)) for x, y in turned(corners((0, 0), (4, 2)), math.pi / 2)]
        [(3, -1), (3, 3), (1, 3), (1, -1)]
    """
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    cos, sin = math.cos(angle), math.sin(angle)
    return tuple((x + cos * (a - x) - sin * (b - y), y + sin * (a - x) + cos * (b - y)) for a, b in points)


def rasterise(shapes: Sequence[Shape], height: int, width: int) -> Array:
    """Draw shapes as a mask (H, W) uint8: 1 if the centre of the pixel is in an area, or within half the width of a line.

    Lines are drawn at least one pixel wide.

    Raises:
        ValueError: for run lengths of an image of another size; names the entry.

    Example:
        >>> area = Shape("crack", points=((0, 0), (2, 0), (2, 1), (0, 1)))  # two pixels wide, one high
        >>> rasterise([area], height=2, width=4).tolist()
        [[1, 1, 0, 0], [0, 0, 0, 0]]
    """
    mask = np.zeros((height, width), np.uint8)
    for shape in shapes:
        points = np.array(shape.points, np.float64).reshape(-1, 2) - 0.5  # pixel (0, 0) has its centre at (0.5, 0.5)
        if shape.decode is not None:
            try:
                mask |= shape.decode(height, width)
            except ValueError as error:
                raise ValueError(f"{shape.entry}{': ' if shape.entry else ''}{error}") from None
        elif shape.width_px is None:
            _fill(mask, points)
        else:
            for start, end in pairwise(points):
                _draw_line(mask, start, end, max(shape.width_px, 1) / 2)
    return mask


def _fill(mask: Array, points: Point) -> None:
    """Set the pixels whose centres are inside an area or on its edge, by the even-odd rule, row by row.

    The work is that of the edges plus that of the pixels; scikit-image's `polygon2mask` does the product of both.
    """
    if len(points) < 3:
        return
    height = len(mask)
    start, end = points, np.roll(points, -1, axis=0)
    first, last = np.clip(np.ceil(np.sort([start[:, 1], end[:, 1]], axis=0)), 0, height).astype(int)
    # an edge crosses the rows from `first` on, without `last`
    in_row = np.cumsum(np.bincount(first, minlength=height + 1) - np.bincount(last, minlength=height + 1))[:height]
    tops = np.flatnonzero(np.diff(np.cumsum(in_row) // CROSSINGS, prepend=-1)).tolist()
    for top, bottom in pairwise([*tops, height]):
        _fill_rows(mask, start, end, np.clip(first, top, bottom), np.clip(last, top, bottom), slice(top, bottom))


def _fill_rows(mask: Array, start: Point, end: Point, first: Rows, last: Rows, band: slice) -> None:
    """Set the pixels of an area in a band of rows; each edge crosses the rows of it from `first` on, without `last`."""
    width, count = mask.shape[1], last - first
    edge = np.repeat(np.arange(len(start)), count)
    row = np.arange(count.sum()) + (first - np.cumsum(count) + count)[edge]
    (x, y), (across, down) = start[edge].T, (end - start)[edge].T
    crossing = x + (row - y) * across / down
    order = np.lexsort((crossing, row))
    row, crossing = row[order], crossing[order]
    # corners and level edges on the centres of a row
    on_row = (start[:, 1] % 1 == 0) & (start[:, 1] >= band.start) & (start[:, 1] < band.stop)
    level = [start[:, 0], np.where(start[:, 1] == end[:, 1], end[:, 0], start[:, 0])]
    rows = np.concatenate([row[::2], start[on_row, 1].astype(int)])
    ends = np.concatenate([[crossing[::2], crossing[1::2]], np.sort(level, axis=0)[:, on_row]], axis=1)
    left = np.clip(np.ceil(ends[0] - ROUNDING_PX), 0, width).astype(int)
    right = np.clip(np.floor(ends[1] + ROUNDING_PX) + 1, 0, width).astype(int)
    for where, begin, stop in zip(rows.tolist(), left.tolist(), right.tolist(), strict=True):
        mask[where, begin:stop] = 1


def _draw_line(mask: Array, start: Point, end: Point, reach: float) -> None:
    """Set the pixels whose centres are within `reach` of a straight line, px."""
    across, down = end - start
    first = max(math.floor(min(start[1], end[1]) - reach), 0)
    stop = min(math.ceil(max(start[1], end[1]) + reach) + 1, len(mask))
    for top in range(first, stop, LINE_ROWS):
        bottom = min(top + LINE_ROWS, stop)
        shares = np.array([0.0, 1.0])  # of the line, between which it is near these rows
        if abs(down) > 1:
            shares = np.clip((np.array([top - reach, bottom + reach]) - start[1]) / down, 0, 1)
        near = start[0] + shares * across
        left = max(math.floor(near.min() - reach) - 1, 0)  # 1 px for rounding
        part = mask[top:bottom, left : max(math.ceil(near.max() + reach) + 2, 0)]
        y, x = np.ogrid[top:bottom, left : left + part.shape[1]]
        along = ((x - start[0]) * across + (y - start[1]) * down) / max(across**2 + down**2, 1e-9)
        nearest_x, nearest_y = (start[i] + np.clip(along, 0, 1) * (end - start)[i] for i in (0, 1))
        part[np.hypot(x - nearest_x, y - nearest_y) <= reach] = 1
