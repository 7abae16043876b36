"""Draw polygons, lines and run lengths as masks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cracklab.data.images import Array
from cracklab.errors import DataError

Point = NDArray[np.float64]
Rows = NDArray[np.int_]

FARTHEST_PX = 1e6
"""Larger coordinates and widths are errors: images have less than this number of pixels along a side."""


ROUNDING_PX = 1e-9
"""A centre at this distance from an edge is on it."""
CROSSINGS = 2**16
"""An area is filled in bands of rows that edges cross about this number of times: each crossing takes 150 bytes."""
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
                raise ValueError(f"{value:g} is no coordinate or width, px")
        if any(len(point) != 2 for point in self.points):
            raise ValueError("a point is not a pair of numbers")


def number(value: Any) -> float:
    """Return a value of a JSON file as a number.

    Raises:
        ValueError: for anything but a finite number.

    Example:
        >>> number("3")
        Traceback (most recent call last):
        ValueError: '3' is not a number
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{_short(value)} is not a number")
    return float(value)


def whole_number(value: Any) -> int:
    """Return a value of a JSON file as a whole number of at least 0.

    Raises:
        ValueError: for anything else.

    Example:
        >>> whole_number(-1)
        Traceback (most recent call last):
        ValueError: -1 is not a whole number of at least 0
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{_short(value)} is not a whole number of at least 0")
    return value


def text(value: Any) -> str:
    """Return a value of a JSON file that is a text.

    Raises:
        ValueError: for anything else, or an empty text.

    Example:
        >>> text(7)
        Traceback (most recent call last):
        ValueError: 7 is not a text
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{_short(value)} is not a text")
    return value


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]} ..."


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


def decode_run_lengths(counts: Sequence[int], height: int, width: int, columns_first: bool = True) -> Array:
    """Return the mask (H, W) of alternating runs of 0 and 1, starting with 0.

    Raises:
        ValueError: if they are not as many pixels as the mask has.

    Example:
        >>> decode_run_lengths([1, 2, 3], height=2, width=3, columns_first=False).tolist()
        [[0, 1, 1], [0, 0, 0]]
    """
    check_run_lengths(counts, height, width)
    flat = np.repeat(np.arange(len(counts)) % 2, list(map(whole_number, counts))).astype(np.uint8)
    return flat.reshape((height, width), order="F" if columns_first else "C")


def check_run_lengths(counts: Sequence[int], height: int, width: int) -> None:
    """Check that run lengths are those of a mask of this size, before they take memory.

    Raises:
        ValueError: if they are not.
    """
    if sum(map(whole_number, counts)) != height * width:
        raise ValueError(f"the run lengths add up to {sum(counts)}, but {height} x {width} is {height * width} px")


@dataclass(frozen=True)
class CocoRunLengths:
    """Run lengths of a mask, column by column: a list, or a compressed string that pycocotools decodes.

    Raises:
        ValueError: for run lengths that are not those of a mask of this size.
    """

    counts: Any
    height: int
    width: int

    def __post_init__(self) -> None:
        if isinstance(self.counts, list):
            check_run_lengths(self.counts, self.height, self.width)
        elif not isinstance(self.counts, str):
            raise ValueError(f"counts is {_short(self.counts)}, neither a list nor a compressed string")

    def __call__(self, height: int, width: int) -> Array:
        """Return the mask (H, W).

        Raises:
            DataError: for compressed run lengths if pycocotools is not installed.
            ValueError: for an image of another size, or a string that is not compressed run lengths.
        """
        _check_same_size(self.height, self.width, height, width)
        if not isinstance(self.counts, str):
            return decode_run_lengths(self.counts, self.height, self.width)
        try:
            pycocotools: Any = import_module("pycocotools.mask")
        except ImportError:
            raise DataError(
                "the annotations contain compressed run lengths: install pycocotools, or export polygons"
            ) from None
        decoded: NDArray[Any] = pycocotools.decode({"counts": self.counts, "size": [self.height, self.width]})
        return decoded.astype(np.uint8)


@dataclass(frozen=True)
class CvatRunLengths:
    """Run lengths of a box of a mask, row by row.

    Raises:
        ValueError: for run lengths that are not those of the box, or a box outside of the image.
    """

    counts: tuple[int, ...]
    top: int
    left: int
    height: int
    width: int
    image_height: int
    image_width: int

    def __post_init__(self) -> None:
        check_run_lengths(self.counts, self.height, self.width)
        inside = self.top + self.height <= self.image_height and self.left + self.width <= self.image_width
        if self.top < 0 or self.left < 0 or not inside:
            raise ValueError(
                f"a box of {self.width} x {self.height} px at ({self.left}, {self.top}) is not inside the image of "
                f"{self.image_width} x {self.image_height} px"
            )

    def __call__(self, height: int, width: int) -> Array:
        """Return the mask (H, W) of the whole image.

        Raises:
            ValueError: for an image of another size.
        """
        _check_same_size(self.image_height, self.image_width, height, width)
        mask = np.zeros((self.image_height, self.image_width), np.uint8)
        part = decode_run_lengths(self.counts, self.height, self.width, columns_first=False)
        mask[self.top : self.top + self.height, self.left : self.left + self.width] = part
        return mask


def _check_same_size(height: int, width: int, image_height: int, image_width: int) -> None:
    if (height, width) != (image_height, image_width):
        raise ValueError(f"run lengths for {width} x {height} px, and the photo has {image_width} x {image_height} px")
