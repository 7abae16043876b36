"""Masks as polygons, and as centre lines with a width, that a person can correct in an annotation tool."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

from cracklab.data.layouts.shapes import Shape
from cracklab.errors import DataError

Mask = NDArray[np.bool_]
Part = tuple[Mask, int, int]
"""A connected part of a mask in its box, and the row and the column of the box in the mask."""
Cracks = list[list[Shape]]
"""The shapes of every crack."""

TOLERANCE_PX = 0.2
"""Vertices of outlines are dropped if the outline moves by at most this distance, and by sqrt(1/2) of it again when OpenCV
cleans up. Outlines run at least sqrt(1/8) = 0.354 px from every pixel centre, so that no pixel changes sides."""
LINE_TOLERANCE_PX = 0.5
"""The same of centre lines."""
MAX_SHAPES = 100_000
"""A mask with more parts and holes than this is refused: it would take long, and no person can correct it."""


def crack_polygons(mask: Mask, label: str) -> Cracks:
    """Return each connected part of a mask (H, W) as polygons without holes, whose union gives the mask back exactly.

    Pixels that share an edge or a corner are connected. An outline passes midway between the centres of pixels inside and
    outside, and is simplified as far as no pixel changes sides. Polygons of annotation tools have no holes, so a part with
    holes is cut through them into several polygons.

    Raises:
        DataError: if the mask has more than `MAX_SHAPES` parts and holes.

    Example:
        >>> mask = np.zeros((4, 6), bool)
        >>> mask[1:3, 1:5] = True
        >>> sorted(crack_polygons(mask, "crack")[0][0].points)  # corners are bevelled by half a pixel
        [(1.0, 1.5), (1.0, 2.5), (1.5, 1.0), (1.5, 3.0), (4.5, 1.0), (4.5, 3.0), (5.0, 1.5), (5.0, 2.5)]
    """
    check_number(mask)
    cracks, count = [], 0
    for crack in _parts(mask):
        cracks.append([Shape(label, _outline(part)) for part in _without_holes(crack)])
        count += len(cracks[-1])
        if count > MAX_SHAPES:
            raise _too_many(count)
    return cracks


def crack_lines(mask: Mask, label: str) -> Cracks:
    """Return the centre lines of each crack of a mask (H, W), each with its median width.

    Raises:
        DataError: if the mask has more than `MAX_SHAPES` parts and holes.

    Example:
        >>> mask = np.zeros((20, 80), bool)
        >>> mask[8:12, 10:70] = True
        >>> ((line,),) = crack_lines(mask, "crack")
        >>> np.round(sorted(line.points)).tolist(), line.width_px
        ([[10.0, 10.0], [70.0, 10.0]], 4.0)
    """
    from cracklab.measure import measure_mask  # takes a second to import

    check_number(mask)
    cracks = []
    for crack in measure_mask(mask).cracks:
        shapes = []
        for line in crack.lines:
            points = (
                _simplified(line.points, LINE_TOLERANCE_PX, closed=False) + 0.5
            )  # the corner of the photo is (0, 0)
            widths = line.width_px[line.width_valid] if line.width_valid.any() else line.width_px
            shapes.append(Shape(label, _pairs(points), round(float(np.median(widths)), 2)))
        cracks.append(shapes)
    return cracks


def check_number(mask: Mask) -> None:
    """Check that a mask has few enough parts and holes to be corrected by hand.

    Raises:
        DataError: if it has more than `MAX_SHAPES`.

    Example:
        >>> check_number(np.indices((500, 500)).sum(axis=0) % 2 == 0)  # a chequerboard
        Traceback (most recent call last):
        cracklab.errors.DataError: the mask has 124003 parts and holes, and annotations have at most 100000: correct the mask itself
    """
    pixels = mask.view(np.uint8)
    count = cv2.connectedComponents(pixels, connectivity=8)[0] - 1 + len(_holes(mask))
    if count > MAX_SHAPES:
        raise _too_many(count)


def _too_many(count: int) -> DataError:
    return DataError(
        f"the mask has {count} parts and holes, and annotations have at most {MAX_SHAPES}: correct the mask itself"
    )


def _parts(mask: Mask, top: int = 0, left: int = 0) -> Iterator[Part]:
    """Yield the connected parts of a mask that lies at (top, left)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    for label in range(1, count):
        x, y, width, height = (int(value) for value in stats[label, :4])
        yield labels[y : y + height, x : x + width] == label, top + y, left + x


def _without_holes(part: Part) -> Iterator[Part]:
    """Yield a connected part in pieces that have no holes.

    A part is cut in two across its longer side, through the hole that is nearest to its middle, until no piece has a hole.
    """
    pieces = [part]
    while pieces:
        mask, top, left = pieces.pop()
        holes = _holes(mask)
        if not len(holes):
            yield mask, top, left
            continue
        axis = int(mask.shape[1] > mask.shape[0])
        first, length = holes[:, 1 - axis], holes[:, 3 - axis]
        middles = first + length // 2
        at = int(middles[np.abs(middles - mask.shape[axis] / 2).argmin()])
        first_half, second_half = np.split(mask, [at], axis=axis)
        pieces += _parts(first_half, top, left)
        pieces += _parts(second_half, *((top + at, left) if axis == 0 else (top, left + at)))


def _holes(mask: Mask) -> NDArray[np.int64]:
    """Return the left side, top, width and height (N, 4) of the holes of a mask, px."""
    background = np.pad(~mask, 1, constant_values=True).view(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=4)
    is_hole = np.arange(len(stats)) != labels[0, 0]
    is_hole[0] = False  # the parts themselves
    return np.asarray(stats[is_hole, :4] - [1, 1, 0, 0], np.int64)


def _outline(part: Part) -> tuple[tuple[float, float], ...]:
    """Return the simplified outline of a connected part without holes."""
    mask, top, left = part
    padded = np.pad(mask, 1).astype(np.float32)
    (ring,) = find_contours(padded, 0.5, fully_connected="high")  # type: ignore[no-untyped-call]  # no types
    points = _simplified(ring[:-1, ::-1], TOLERANCE_PX, closed=True)  # the last point is the first one
    return _pairs(
        points + np.array([left - 0.5, top - 0.5])
    )  # the padding takes 1 px, the corner of the photo half a pixel


def _simplified(points: NDArray[np.float64], tolerance_px: float, closed: bool) -> NDArray[np.float64]:
    """Return the vertices (N, 2) that remain after simplification (Douglas and Peucker 1973)."""
    return np.asarray(cv2.approxPolyDP(points.astype(np.float32)[:, None], tolerance_px, closed)[:, 0], np.float64)


def _pairs(points: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in np.round(points, 2).tolist())
