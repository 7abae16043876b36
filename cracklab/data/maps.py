"""Target maps: what losses read beside the mask, computed in the workers after every operation that moves pixels."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize as thin

from cracklab.errors import ConfigError
from cracklab.registry import nearest

Mask = NDArray[np.bool_]
Map = NDArray[np.float32]

OPTIONS: dict[str, float] = {"radius": 2, "sigma": 5, "border": 3}
"""Options of maps. `radius`: how often `skeleton` is dilated. `sigma`: width of the Gaussians of `tips`, px. `border`:
end points nearer than this to the image's border are where the photo ends, not the crack, px."""

EXACT_PX = 1290
"""Up to this distance, px, a whole square can be told from the next in float32."""

REACH = 11
"""Up to this distance, px, transforms of what is thin fit into bytes: twice its square is below 256."""
FAR = 255 - REACH**2
ROOTS = np.sqrt(np.arange(256, dtype=np.float32))
SMALL, LARGE = 1 << 15, 1 << 22
"""Pixels up to which, and from which on, with threads and wide cracks, OpenCV's transform is as fast as ours."""
BAND = 1 << 19
"""Pixels that are transformed together, so that they stay in the processor's cache."""

CROSS = np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.uint8)
NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)


def distance_to(where: Mask) -> Map:
    """Exact Euclidean distance, px, of every pixel to the nearest True; the image's diagonal where there is none."""
    number = np.count_nonzero(where)
    if not number:
        return np.full(where.shape, np.hypot(*where.shape), np.float32)
    thin = 2 * number > where.size and SMALL < where.size < LARGE
    return _depth(where) if thin else _distance(where)


def _distance(where: Mask) -> Map:
    """By OpenCV, which answers an empty mask with garbage.

    It takes a square root whose last bit depends on where the array lies in memory. Squared distances are whole numbers:
    rounding them gives the same bits everywhere, up to `EXACT_PX`.
    """
    others = np.logical_not(where).view(np.uint8)
    distance = np.asarray(cv2.distanceTransform(others, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
    if np.hypot(*where.shape) < EXACT_PX or distance.max() < EXACT_PX:
        np.multiply(distance, distance, out=distance)
        np.sqrt(np.rint(distance, out=distance), out=distance)
    return distance


def _depth(where: Mask) -> Map:
    """The same, two or three times as fast where most distances are short, as inside of thin cracks."""
    height, width = where.shape
    squares = np.zeros(where.shape, np.uint8)
    rows = max(1, BAND // width)
    for top in range(0, height, rows):
        above = min(top, REACH)
        part = where[top - above : top + rows + REACH]
        if not part.all():
            squares[top : top + rows] = _near_squares(part)[above : above + rows]
    depth = np.asarray(cv2.LUT(squares, ROOTS), np.float32)
    deep = squares > REACH**2
    if deep.any():
        # past the box around what is deep nothing is: from its rim the nearest True is at most REACH away
        x, y, across, down = cv2.boundingRect(deep.view(np.uint8))
        box = tuple(
            slice(max(0, start - REACH - 1), end + REACH + 1) for start, end in ((y, y + down), (x, x + across))
        )
        depth[box][deep[box]] = _distance(where[box])[deep[box]]
    return depth


def _near_squares(where: Mask) -> NDArray[np.uint8]:
    """Squared distances up to `REACH`, above it wrong but above its square: first along columns, then along rows."""
    height, width = where.shape
    padded = np.full((height, width + REACH), FAR, np.uint8)  # no row reaches into the next
    np.multiply(~where, np.uint8(FAR), out=padded[:, :width])
    after, sums = padded.ravel(), np.empty(padded.size, np.uint8)
    for step in (width + REACH, 1):
        before = after.copy()
        for k in range(1, REACH + 1):
            if k * k >= after.max():
                break
            for here, there in ((slice(k * step, None), slice(-k * step)), (slice(-k * step), slice(k * step, None))):
                sum_ = sums[: max(0, after.size - k * step)]
                np.add(before[there], k * k, out=sum_)
                np.minimum(after[here], sum_, out=after[here])
    return after.reshape(padded.shape)[:, :width]


def skeletonize(mask: Mask) -> Mask:
    """Centre lines one pixel wide (Zhang and Suen 1984).

    It eats staircases two pixels thick at exactly 45 degrees from their ends, where Lee's (1994), three to four times as
    slow, does not. On every sixth mask of DeepCrack it loses no crack, and 0.1 % of Lee's centre line is over 3 px from its.
    """
    return np.asarray(thin(mask), np.bool_)  # type: ignore[no-untyped-call]  # scikit-image has no types


def compute_maps(
    mask: NDArray[np.generic],
    names: Sequence[str],
    valid: NDArray[np.generic] | None = None,
    options: Mapping[str, float] | None = None,
) -> dict[str, Map]:
    """Target maps of one image.

    `distance` (D): to the nearest valid pixel of the class. `interior_distance` (I): inside of the class, to the
    nearest valid pixel not of it; 0 outside. `signed_distance`: D - I. `skeleton`: thinned, dilated, multiplied by the
    class. `tips`: Gaussians at the skeleton's end points. `tip_distance`: to the nearest of these end points.
    `boundary_distance`: to the nearest pixel of the outline, the pixels of the class beside one that is not.
    A distance to nothing is the image's diagonal. Pixels that are not valid belong neither to the class nor to the rest.

    Args:
        mask: (C, H, W) or (H, W), bool or 0 / 1.
        names: which maps.
        valid: (H, W) or (1, H, W), bool or 0 / 1; None: every pixel counts.
        options: see `OPTIONS`.

    Returns:
        name -> (C, H, W) float32, px, C-contiguous.

    Raises:
        ConfigError: for an unknown map or option.
    """
    for name in names:
        if name not in MAPS:
            raise ConfigError(f"no target map is called {name!r}{nearest(name, list(MAPS))}")
    for option in options or {}:
        if option not in OPTIONS:
            raise ConfigError(f"no target map has the option {option!r}{nearest(option, list(OPTIONS))}")
    settings = {**OPTIONS, **(options or {})}
    classes = mask.astype(bool, copy=False)
    classes = classes[None] if classes.ndim == 2 else classes
    counts = None if valid is None else valid.astype(bool, copy=False).reshape(classes.shape[1:])
    views = [_OneClass(one, counts, settings) for one in classes]
    return {name: _stacked([MAPS[name](view) for view in views]) for name in names}


def _stacked(maps: Sequence[Map]) -> Map:
    """(C, H, W); without a copy of a single map, which takes as long as a third of a transform."""
    return maps[0][None] if len(maps) == 1 else np.stack(maps)


class _OneClass:
    """The pixels of one class, and what several of its maps share."""

    def __init__(self, mask: Mask, valid: Mask | None, settings: Mapping[str, float]) -> None:
        self.mask, self.valid, self.settings = mask, valid, settings
        self.inside = mask if valid is None else mask & valid

    def outside(self) -> Mask:
        """Valid pixels that are not of the class."""
        return ~self.mask if self.valid is None else ~self.mask & self.valid

    @cached_property
    def centre_lines(self) -> Mask:
        return skeletonize(self.inside)

    @cached_property
    def ends(self) -> Mask:
        """Skeleton pixels with one neighbour, off the image's border."""
        line = self.centre_lines.view(np.uint8)
        neighbours = cv2.filter2D(line, -1, NEIGHBOURS, borderType=cv2.BORDER_CONSTANT)
        ends = self.centre_lines & (neighbours == 1)
        border = int(self.settings["border"])
        if border:
            ends[:border] = ends[-border:] = False
            ends[:, :border] = ends[:, -border:] = False
        return np.asarray(ends, np.bool_)

    def distance(self) -> Map:
        return distance_to(self.inside)

    def interior_distance(self) -> Map:
        depth = distance_to(self.outside())
        if self.valid is not None:  # pixels that do not count are neither inside nor outside
            np.multiply(depth, self.inside, out=depth)
        return depth

    def signed_distance(self) -> Map:
        distance = self.distance()
        return np.subtract(distance, self.interior_distance(), out=distance)

    def skeleton(self) -> Map:
        line = self.centre_lines.view(np.uint8)
        thick = cv2.dilate(line, CROSS, iterations=int(self.settings["radius"]))
        return np.asarray(thick * self.inside, np.float32)

    def tips(self) -> Map:
        height, width = self.inside.shape
        rows, columns = np.nonzero(self.ends)
        scale = -1 / (2 * self.settings["sigma"] ** 2)
        down = np.exp(scale * (np.arange(height)[:, None] - rows) ** 2)
        across = np.exp(scale * (columns[:, None] - np.arange(width)) ** 2)
        return np.asarray(np.minimum(down @ across, 1), np.float32)

    def tip_distance(self) -> Map:
        return distance_to(self.ends)

    def boundary_distance(self) -> Map:
        beside = cv2.dilate(self.outside().view(np.uint8), CROSS).view(np.bool_)
        return distance_to(self.inside & beside)


MAPS: dict[str, Callable[[_OneClass], Map]] = {
    "distance": _OneClass.distance,
    "interior_distance": _OneClass.interior_distance,
    "signed_distance": _OneClass.signed_distance,
    "skeleton": _OneClass.skeleton,
    "tips": _OneClass.tips,
    "tip_distance": _OneClass.tip_distance,
    "boundary_distance": _OneClass.boundary_distance,
}
"""Every target map, by name."""
