"""Places for labels in a picture where they cover neither each other nor anything else that is drawn.

Label placement for matplotlib (adjustText, textalloc) moves labels of axes, which are too slow for a picture of
24 megapixels. On a grid of cells, the free places of a label are a difference of sums (Luboschik et al. 2008).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.geometry.masks import Mask

Box = tuple[int, int, int, int]
"""Left edge, upper edge, width and height, px."""


@dataclass(frozen=True)
class Place:
    """Where a label is.

    Attributes:
        x: of its left edge, px.
        y: of its upper edge, px.
        leader: (2, 2), the line from the anchor to the label, px; None if the label is beside its anchor.
    """

    x: int
    y: int
    leader: NDArray[np.int64] | None


def place_labels(
    occupied: Mask, anchors: Sequence[tuple[float, float]], sizes: Sequence[tuple[int, int]], near: float, far: float
) -> list[Place | None]:
    """Return a place for each label, the nearest free one to its anchor; earlier labels come first.

    A place is free if the label covers no occupied pixel, no other label and no leader. A leader crosses no label.

    Args:
        occupied: (H, W), pixels of the picture that labels must not cover.
        anchors: (x, y) of the object that each label describes, px.
        sizes: (height, width) of each label, px.
        near: a label farther from its anchor than this gets a leader, px.
        far: greatest distance of a label from its anchor, px.

    Returns:
        One place per label; None if there is no room.

    Example:
        >>> wall = np.zeros((100, 200), bool)
        >>> wall[50] = True  # a crack from left to right
        >>> first, second = place_labels(wall, [(90, 50), (90, 50)], [(20, 60)] * 2, near=50, far=100)
        >>> first, second  # above the crack and below it
        (Place(x=60, y=30, leader=None), Place(x=60, y=55, leader=None))
        >>> place_labels(np.ones((100, 200), bool), [(90, 50)], [(20, 60)], near=50, far=100)
        [None]
    """
    step = max(1, min((height for height, _ in sizes), default=4) // 4)
    grid = _cells(occupied, step)
    boxes: list[Box] = []
    leaders: list[NDArray[np.int64]] = []
    places: list[Place | None] = []
    for (x, y), (height, width) in zip(anchors, sizes, strict=True):
        place = None
        for left, top, distance in _free_places(grid, step, (x, y), (height, width), far):
            end = min(max(x, left), left + width - 1), min(max(y, top), top + height - 1)
            leader = np.rint(np.array([(x, y), end])).astype(np.int64)
            box = left, top, width, height
            is_free = not any(_crosses(other, box) for other in leaders)
            if is_free and (distance <= near or not any(_crosses(leader, other) for other in boxes)):
                place = Place(left, top, leader if distance > near else None)
                boxes.append(box)
                leaders += [leader] if distance > near else []
                grid[top // step : -(-(top + height) // step), left // step : -(-(left + width) // step)] = 1
                break
        places.append(place)
    return places


def _cells(occupied: Mask, step: int) -> NDArray[np.uint8]:
    """Return which cells of step x step px have an occupied pixel; cells that reach past the picture are occupied."""
    height, width = (-(-side // step) * step for side in occupied.shape)
    padded = np.ones((height, width), np.bool_)
    padded[: occupied.shape[0], : occupied.shape[1]] = occupied
    return np.asarray(padded.reshape(height // step, step, width // step, step).any(axis=(1, 3)), np.uint8)


def _free_places(
    grid: NDArray[np.uint8], step: int, anchor: tuple[float, float], size: tuple[int, int], far: float
) -> list[tuple[int, int, float]]:
    """Return x, y and the distance from the anchor of the free places on the grid, the nearest first, px."""
    rows, columns = (-(-side // step) for side in size)
    if rows > grid.shape[0] or columns > grid.shape[1]:
        return []
    sums = cv2.integral(grid)
    covered = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    down, across = np.nonzero(covered == 0)
    left, top = across * step, down * step
    dx = np.maximum(np.maximum(left - anchor[0], anchor[0] - left - size[1]), 0)
    dy = np.maximum(np.maximum(top - anchor[1], anchor[1] - top - size[0]), 0)
    distance = np.hypot(dx, dy)
    centred = np.hypot(left + size[1] / 2 - anchor[0], top + size[0] / 2 - anchor[1])
    order = np.lexsort((centred, distance))
    order = order[distance[order] <= far]
    return list(zip(left[order].tolist(), top[order].tolist(), distance[order].tolist(), strict=True))


def _crosses(leader: NDArray[np.int64], box: Box) -> bool:
    left, top, width, height = box
    start, end = leader.tolist()
    return bool(cv2.clipLine((left - 1, top - 1, width + 2, height + 2), start, end)[0])
