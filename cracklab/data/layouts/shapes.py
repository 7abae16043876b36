"""Cracks drawn as polygons, lines or run lengths, as masks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from cracklab.data.images import Array
from cracklab.errors import DataError

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """One drawn crack. Coordinates are (x, y), px, with (0, 0) the corner of the image."""

    label: str
    points: tuple[tuple[float, float], ...] = ()
    width_px: float | None = None
    """Of a line; None: `points` enclose an area."""
    area: Callable[[], Array] | None = None
    """Of what is stored pixel by pixel."""


def rasterise(shapes: Sequence[Shape], height: int, width: int) -> Array:
    """A mask (H, W) uint8 that is 1 where the centre of a pixel lies in an area, or within half a line's width of it.

    Lines are drawn at least one pixel wide.
    """
    mask = np.zeros((height, width), np.uint8)
    for shape in shapes:
        points = np.array(shape.points, np.float64).reshape(-1, 2) - 0.5  # pixel (0, 0) has its centre at (0.5, 0.5)
        if shape.area is not None:
            mask |= shape.area()
        elif shape.width_px is None:
            mask |= polygon2mask((height, width), points[:, ::-1])  # type: ignore[no-untyped-call]  # no types
        else:
            for start, end in pairwise(points):
                _draw(mask, start, end, max(shape.width_px, 1) / 2)
    return mask


def _draw(mask: Array, start: Point, end: Point, reach: float) -> None:
    """Set the pixels whose centres are within `reach` of a straight line."""
    low = np.maximum(np.floor(np.minimum(start, end) - reach), 0).astype(int)
    high = np.maximum(np.ceil(np.maximum(start, end) + reach), -1).astype(int) + 1
    part = mask[low[1] : high[1], low[0] : high[0]]
    y, x = np.mgrid[low[1] : low[1] + part.shape[0], low[0] : low[0] + part.shape[1]]
    across, down = end - start
    along = ((x - start[0]) * across + (y - start[1]) * down) / max(across**2 + down**2, 1e-9)
    nearest_x, nearest_y = (start[i] + np.clip(along, 0, 1) * (end - start)[i] for i in (0, 1))
    part[np.hypot(x - nearest_x, y - nearest_y) <= reach] = 1


def run_lengths(counts: Sequence[int], height: int, width: int, columns_first: bool = True) -> Array:
    """A mask from the lengths of runs of 0 and 1 in turn, beginning with 0."""
    flat = np.repeat(np.arange(len(counts)) % 2, counts).astype(np.uint8)
    return flat.reshape((height, width), order="F" if columns_first else "C")


@dataclass(frozen=True)
class CocoRuns:
    """Run lengths, column by column; a list of them, or a string that pycocotools reads."""

    counts: Any
    height: int
    width: int

    def __call__(self) -> Array:
        """The mask (H, W).

        Raises:
            DataError: for compressed run lengths without pycocotools.
        """
        if not isinstance(self.counts, str | bytes):
            return run_lengths(self.counts, self.height, self.width)
        try:
            pycocotools: Any = import_module("pycocotools.mask")
        except ImportError:
            raise DataError(
                "the annotations hold compressed run lengths: install pycocotools, or export polygons"
            ) from None
        decoded: NDArray[Any] = pycocotools.decode({"counts": self.counts, "size": [self.height, self.width]})
        return decoded.astype(np.uint8)


@dataclass(frozen=True)
class CvatRuns:
    """Run lengths inside of a box, row by row."""

    counts: tuple[int, ...]
    top: int
    left: int
    height: int
    width: int
    image_height: int
    image_width: int

    def __call__(self) -> Array:
        """The mask (H, W) of the whole image."""
        mask = np.zeros((self.image_height, self.image_width), np.uint8)
        part = run_lengths(self.counts, self.height, self.width, columns_first=False)
        mask[self.top : self.top + self.height, self.left : self.left + self.width] = part
        return mask
