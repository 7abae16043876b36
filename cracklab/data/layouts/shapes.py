"""Draw polygons, lines and run lengths as masks."""

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
    """One annotated crack. Coordinates are (x, y), px; (0, 0) is the corner of the image, not the centre of a pixel."""

    label: str
    points: tuple[tuple[float, float], ...] = ()
    width_px: float | None = None
    """Width of a line through `points`; None if `points` enclose an area."""
    decode: Callable[[], Array] | None = None
    """Return the mask (H, W) of a crack that is stored pixel by pixel; None for points."""


def rasterise(shapes: Sequence[Shape], height: int, width: int) -> Array:
    """Draw shapes as a mask (H, W) uint8: 1 if the centre of the pixel is in an area, or within half the width of a line.

    Lines are drawn at least one pixel wide.

    Example:
        >>> area = Shape("crack", points=((0, 0), (2, 0), (2, 1), (0, 1)))  # two pixels wide, one high
        >>> rasterise([area], height=2, width=4).tolist()
        [[1, 1, 0, 0], [0, 0, 0, 0]]
    """
    mask = np.zeros((height, width), np.uint8)
    for shape in shapes:
        points = np.array(shape.points, np.float64).reshape(-1, 2) - 0.5  # pixel (0, 0) has its centre at (0.5, 0.5)
        if shape.decode is not None:
            mask |= shape.decode()
        elif shape.width_px is None:
            mask |= polygon2mask((height, width), points[:, ::-1])  # type: ignore[no-untyped-call]  # no types
        else:
            for start, end in pairwise(points):
                _draw_line(mask, start, end, max(shape.width_px, 1) / 2)
    return mask


def _draw_line(mask: Array, start: Point, end: Point, reach: float) -> None:
    """Set the pixels whose centres are within `reach` of a straight line, px."""
    low = np.maximum(np.floor(np.minimum(start, end) - reach), 0).astype(int)
    high = np.maximum(np.ceil(np.maximum(start, end) + reach), -1).astype(int) + 1
    part = mask[low[1] : high[1], low[0] : high[0]]
    y, x = np.mgrid[low[1] : low[1] + part.shape[0], low[0] : low[0] + part.shape[1]]
    across, down = end - start
    along = ((x - start[0]) * across + (y - start[1]) * down) / max(across**2 + down**2, 1e-9)
    nearest_x, nearest_y = (start[i] + np.clip(along, 0, 1) * (end - start)[i] for i in (0, 1))
    part[np.hypot(x - nearest_x, y - nearest_y) <= reach] = 1


def decode_run_lengths(counts: Sequence[int], height: int, width: int, columns_first: bool = True) -> Array:
    """Return the mask (H, W) of alternating runs of 0 and 1, starting with 0.

    Example:
        >>> decode_run_lengths([1, 2, 3], height=2, width=3, columns_first=False).tolist()
        [[0, 1, 1], [0, 0, 0]]
    """
    flat = np.repeat(np.arange(len(counts)) % 2, counts).astype(np.uint8)
    return flat.reshape((height, width), order="F" if columns_first else "C")


@dataclass(frozen=True)
class CocoRunLengths:
    """Run lengths of a mask, column by column: a list, or a compressed string that pycocotools decodes."""

    counts: Any
    height: int
    width: int

    def __call__(self) -> Array:
        """Return the mask (H, W).

        Raises:
            DataError: for compressed run lengths if pycocotools is not installed.
        """
        if not isinstance(self.counts, str | bytes):
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
    """Run lengths of a box of a mask, row by row."""

    counts: tuple[int, ...]
    top: int
    left: int
    height: int
    width: int
    image_height: int
    image_width: int

    def __call__(self) -> Array:
        """Return the mask (H, W) of the whole image."""
        mask = np.zeros((self.image_height, self.image_width), np.uint8)
        part = decode_run_lengths(self.counts, self.height, self.width, columns_first=False)
        mask[self.top : self.top + self.height, self.left : self.left + self.width] = part
        return mask
