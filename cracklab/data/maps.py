"""Target maps: what losses read beside the mask, computed in the workers after every operation that moves pixels."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.errors import ConfigError
from cracklab.geometry.masks import CROSS, Map, Mask, distance_to, skeletonize
from cracklab.registry import nearest

OPTIONS: dict[str, float] = {"radius": 2, "sigma": 5, "border": 3}
"""Options of maps. `radius`: how often `skeleton` is dilated. `sigma`: width of the Gaussians of `tips`, px. `border`:
end points nearer than this to the image's border are where the photo ends, not the crack, px."""

NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)


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
