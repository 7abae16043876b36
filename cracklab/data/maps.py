"""Target maps: the inputs of losses beside the mask, computed in the workers after every operation that moves pixels."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.errors import ConfigError
from cracklab.geometry.masks import CROSS, Map, Mask, distance_to, skeletonize
from cracklab.registry import nearest

OPTIONS: dict[str, float] = {"radius": 2, "sigma": 5, "border": 3}
"""Options of target maps and their defaults. `radius`: number of dilations of `skeleton`, 1 px each. `sigma`: standard deviation
of the Gaussians of `tips`, px. `border`: end points less than this far from the border of the image, or from pixels that are not valid,
are ignored, px, because there the photo ends rather than the crack."""

SQUARE = np.ones((3, 3), np.uint8)
NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)


def compute_maps(
    mask: NDArray[np.generic],
    names: Sequence[str],
    valid: NDArray[np.generic] | None = None,
    options: Mapping[str, float] | None = None,
) -> dict[str, Map]:
    """Compute target maps of one image, for each class.

    - `distance` (D): distance to the nearest valid pixel of the class.
    - `interior_distance` (I): for pixels of the class, distance to the nearest valid pixel outside of it; 0 elsewhere.
    - `signed_distance`: D - I.
    - `skeleton`: the skeleton of the class, dilated, and restricted to the class.
    - `tips`: sum of Gaussians at the end points of the skeleton, at most 1.
    - `tip_distance`: distance to the nearest of these end points.
    - `boundary_distance`: distance to the nearest boundary pixel, a pixel of the class with a 4-neighbour outside of it.

    A distance is the image's diagonal if there is no such pixel. Pixels that are not valid are neither inside nor outside of
    the class.

    Args:
        mask: (C, H, W) or (H, W), bool or 0 / 1.
        names: names of the maps.
        valid: (H, W) or (1, H, W), bool or 0 / 1; None: every pixel is valid.
        options: see `OPTIONS`.

    Returns:
        name -> (C, H, W) float32, px, C-contiguous; `skeleton` and `tips` are from 0 to 1.

    Raises:
        ConfigError: for an unknown map or option.

    Example:
        >>> maps = compute_maps(np.array([[0, 1, 1, 1, 0, 0]]), ["distance", "interior_distance", "signed_distance"])
        >>> maps["distance"]
        array([[[1., 0., 0., 0., 1., 2.]]], dtype=float32)
        >>> maps["interior_distance"]
        array([[[0., 1., 2., 1., 0., 0.]]], dtype=float32)
        >>> maps["signed_distance"]
        array([[[ 1., -1., -2., -1.,  1.,  2.]]], dtype=float32)
    """
    for name in names:
        if name not in MAPS:
            raise ConfigError(f"no target map is called {name!r}{nearest(name, list(MAPS))}")
    check_options(options or {})
    settings = {**OPTIONS, **(options or {})}
    classes = mask.astype(bool, copy=False)
    classes = classes[None] if classes.ndim == 2 else classes
    valid_pixels = None if valid is None else valid.astype(bool, copy=False).reshape(classes.shape[1:])
    per_class = [_ClassMaps(one, valid_pixels, settings) for one in classes]
    return {name: _stacked([MAPS[name](one) for one in per_class]) for name in names}


def check_options(options: Mapping[str, float]) -> None:
    """Check the options of target maps.

    Raises:
        ConfigError: names the nearest option.

    Example:
        >>> check_options({"radios": 3})
        Traceback (most recent call last):
        cracklab.errors.ConfigError: no target map has the option 'radios'; did you mean 'radius'?
    """
    for option in options:
        if option not in OPTIONS:
            raise ConfigError(f"no target map has the option {option!r}{nearest(option, list(OPTIONS))}")


def _stacked(maps: Sequence[Map]) -> Map:
    """Stack maps to (C, H, W); a single one is not copied, since a copy takes a third of the time of a transform."""
    return maps[0][None] if len(maps) == 1 else np.stack(maps)


class _ClassMaps:
    """The maps of one class, and the intermediate results that several of them share."""

    def __init__(self, mask: Mask, valid: Mask | None, settings: Mapping[str, float]) -> None:
        self.mask, self.valid, self.settings = mask, valid, settings
        self.inside = mask if valid is None else mask & valid

    def outside(self) -> Mask:
        """Return the valid pixels outside of the class."""
        return ~self.mask if self.valid is None else ~self.mask & self.valid

    @cached_property
    def centre_line(self) -> Mask:
        return skeletonize(self.inside)

    @cached_property
    def ends(self) -> Mask:
        """Skeleton pixels with exactly one neighbour, away from the border of the photo."""
        line = self.centre_line.view(np.uint8)
        neighbours = cv2.filter2D(line, -1, NEIGHBOURS, borderType=cv2.BORDER_CONSTANT)
        ends = self.centre_line & (neighbours == 1)
        return np.asarray(ends & self._inner(int(self.settings["border"])), np.bool_)

    def _inner(self, border: int) -> Mask:
        """Pixels at least `border` px from the border of the image, and from pixels that are not valid, such as padding."""
        counted = np.ones(self.inside.shape, np.uint8) if self.valid is None else self.valid.astype(np.uint8)
        inner = cv2.erode(counted, SQUARE, iterations=border, borderType=cv2.BORDER_CONSTANT, borderValue=[0])
        return np.asarray(inner, np.uint8).view(np.bool_)

    def distance(self) -> Map:
        return distance_to(self.inside)

    def interior_distance(self) -> Map:
        depth = distance_to(self.outside())
        if self.valid is not None:  # pixels that are not valid are neither inside nor outside
            np.multiply(depth, self.inside, out=depth)
        return depth

    def signed_distance(self) -> Map:
        distance = self.distance()
        return np.subtract(distance, self.interior_distance(), out=distance)

    def skeleton(self) -> Map:
        line = self.centre_line.view(np.uint8)
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
        next_to_outside = cv2.dilate(self.outside().view(np.uint8), CROSS).view(np.bool_)
        return distance_to(self.inside & next_to_outside)


MAPS: dict[str, Callable[[_ClassMaps], Map]] = {
    "distance": _ClassMaps.distance,
    "interior_distance": _ClassMaps.interior_distance,
    "signed_distance": _ClassMaps.signed_distance,
    "skeleton": _ClassMaps.skeleton,
    "tips": _ClassMaps.tips,
    "tip_distance": _ClassMaps.tip_distance,
    "boundary_distance": _ClassMaps.boundary_distance,
}
"""Functions that compute the target maps, by name."""
