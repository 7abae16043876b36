"""The contract of a layout, and the registry of layouts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cracklab.bounds import GreyLevel, bounded
from cracklab.data.images import Array, read_classes, read_image, read_mask
from cracklab.data.samples import Problem, Record
from cracklab.errors import ConfigError, DataError
from cracklab.registry import Registry

LAYOUTS: Registry[type["Layout"]] = Registry("cracklab.data.layouts", "layout")
register = LAYOUTS.register

Index = tuple[list[Record], list[Problem]]
"""Pairs of image and mask, and the problems of pairing the files."""
MAX_CLASSES = 255
"""Largest number of classes that a mask of 8 bits can hold beside 255, the ignored pixels."""


class Layout:
    """Where images and masks are stored, and what the values of a mask mean.

    A subclass implements `index`, and `read_mask` unless masks are plain crack masks, and registers itself by name.
    Instances are pickled to worker processes, so they hold settings only.
    """

    num_classes: int = 1
    """1 for crack masks; else the number of class indices."""
    class_names: tuple[str, ...] = ("crack",)
    """One name for each channel."""
    needs_root: bool = True
    """Whether the layout reads `data.root`."""

    def index(self, root: Path) -> Index:
        """Return all pairs of image and mask below a folder, and the problems of pairing the files.

        Raises:
            DataError: if the folder does not follow the layout at all.
        """
        raise NotImplementedError

    def files(self, record: Record) -> tuple[str, ...]:
        """Return all files that a pair is read from."""
        return record.image, record.mask

    def read(self, record: Record) -> tuple[Array, Array]:
        """Decode one pair.

        Returns:
            The image (H, W, 3) uint8 RGB, and the mask (H, W) uint8, class index, 255 for ignored pixels.

        Raises:
            DataError: for a file that cannot be decoded, or a mask of another size than its image.
        """
        return self.match_sizes(self.read_image(record), self.read_mask(record), record)

    def redrawn(self, record: Record, epoch: int) -> tuple[Array, Array] | None:
        """Return the pair that training sees in an epoch, for a layout that draws it anew; None: the pair of `read`, always.

        It is a function of its arguments and the layout's settings alone.
        """
        return None

    def read_image(self, record: Record) -> Array:
        """Decode one image (H, W, 3) uint8 RGB.

        Raises:
            DataError: for a file that cannot be decoded.
        """
        return read_image(record.image)

    def read_mask(self, record: Record) -> Array:
        """Decode one mask (H, W) uint8, class index, 255 for ignored pixels.

        Raises:
            DataError: for a file that cannot be decoded, or values that are not classes.
        """
        return read_mask(record.mask)

    def match_sizes(self, image: Array, mask: Array, record: Record) -> tuple[Array, Array]:
        """Return an image and its mask at the same size.

        Raises:
            DataError: if their sizes differ; a subclass may resize instead.
        """
        if image.shape[:2] == mask.shape:
            return image, mask
        rotated = ", perhaps rotated by its EXIF tag: save it upright, or" if image.shape[1::-1] == mask.shape else ":"
        raise DataError(
            f"mask {record.mask!r} is {mask.shape[1]} x {mask.shape[0]} but its image {record.image!r} is "
            f"{image.shape[1]} x {image.shape[0]} (width x height){rotated} make them the same size"
        )


@bounded
class MaskFiles(Layout):
    """A layout whose masks are image files: crack masks of any encoding, or class indices.

    Args:
        invert: masks show cracks dark on a bright background.
        num_classes: 1 for crack masks of any encoding; else masks hold class indices from 0 on.
        class_names: one for each class.
        ignore: mask value of ignored pixels, for several classes.
    """

    def __init__(
        self,
        invert: bool = False,
        num_classes: int = 1,
        class_names: list[str] | None = None,
        ignore: GreyLevel | None = None,
    ) -> None:
        self.invert, self.num_classes, self.ignore = invert, num_classes, ignore
        self.class_names = class_names_for(num_classes, class_names)

    def read_mask(self, record: Record) -> Array:
        """Decode a crack mask of any encoding, or class indices."""
        if self.num_classes == 1:
            return read_mask(record.mask, self.invert)
        return read_classes(record.mask, self.num_classes, self.ignore)


def class_names_for(num_classes: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """Return one name for each channel; `class_0`, `class_1`, ... if none are given.

    Raises:
        ConfigError: if the number of names is not the number of classes.

    Example:
        >>> class_names_for(3, None)
        ('class_0', 'class_1', 'class_2')
    """
    if names is None:
        return ("crack",) if num_classes == 1 else tuple(f"class_{index}" for index in range(num_classes))
    if len(names) != num_classes:
        raise ConfigError(f"{len(names)} class_names for {num_classes} classes: give one name for each class")
    return tuple(names)


def class_names_of(layout: Any) -> tuple[str, ...]:
    """Return the class names of a layout from its configuration, without building it.

    Args:
        layout: the name or path of a registered layout, or a mapping of `class_path` and `init_args`; one that holds others
            has the classes of the first.

    Raises:
        ConfigError: for a layout that is not registered, or classes that are not plain values.

    Example:
        >>> class_names_of({"class_path": "folders", "init_args": {"num_classes": 2}})
        ('class_0', 'class_1')
    """
    path = layout.get("class_path") if isinstance(layout, Mapping) else layout
    arguments = (layout.get("init_args") if isinstance(layout, Mapping) else None) or {}
    name = str(path).rpartition(".")[2]
    if name not in LAYOUTS or str(path) not in (name, f"{LAYOUTS[name].__module__}.{name}"):
        raise ConfigError(f"no layout is registered as {str(path)[:200]!r}: install its package")
    if not isinstance(arguments, Mapping):
        raise ConfigError(f"the layout {name} has arguments that are not names and values")
    if "layout" in arguments:
        return class_names_of(arguments["layout"])
    if "sources" in arguments:
        first = arguments["sources"][0] if isinstance(arguments["sources"], list) and arguments["sources"] else None
        return class_names_of(first.get("layout") if isinstance(first, Mapping) else None)
    count, names = arguments.get("num_classes"), arguments.get("class_names")
    if count is None:
        return LAYOUTS[name].class_names
    plain = names is None or (isinstance(names, list) and all(isinstance(one, str) for one in names))
    if type(count) is not int or not 1 <= count <= MAX_CLASSES or not plain:
        raise ConfigError(
            f"the layout {name} has classes that are not a number of at most {MAX_CLASSES} with their names"
        )
    return class_names_for(count, names)
