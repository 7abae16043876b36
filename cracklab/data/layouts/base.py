"""The contract of a layout, the registry of layouts, and functions that find and pair files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from cracklab.bounds import GreyLevel, bounded
from cracklab.data.images import ENDINGS, Array, read_classes, read_image, read_mask
from cracklab.data.samples import Problem, Record, Side
from cracklab.errors import ConfigError, DataError
from cracklab.registry import Registry

LAYOUTS: Registry[type["Layout"]] = Registry("cracklab.data.layouts", "layout")
register = LAYOUTS.register

Index = tuple[list[Record], list[Problem]]
"""Pairs of image and mask, and the problems of pairing the files."""
ValidationUse = Literal["val", "test", "both"]
"""Whether published validation images are used for validation, as test images, or as both."""

SIDE_NAMES: Mapping[str, Side] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of the sides of a published split, as folders or as values in a table."""

MAX_CLASSES = 255
"""Largest number of classes that a mask of 8 bits can hold beside 255, the ignored pixels."""
NAMES_SHOWN = 5
"""Maximum number of names that a message lists."""


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


def require_folders(root: Path, names: Iterable[str], layout: str) -> None:
    """Check that a data set has the folders of its layout.

    Raises:
        DataError: names the folders that are missing, and those that exist.
    """
    if not root.is_dir():
        raise DataError(f"data.root {str(root)!r} is not a folder: give the folder that holds the images")
    missing = [name for name in names if not (root / name).is_dir()]
    if missing:
        found = ", ".join(sorted(path.name for path in root.iterdir())[:NAMES_SHOWN]) or "nothing"
        raise DataError(
            f"{str(root)!r} lacks {', '.join(missing)}, which the layout {layout!r} reads (it holds {found}): set "
            "data.root to the right folder, or data.layout to the layout that fits"
        )


def find_files(folder: Path, extensions: Iterable[str] = ENDINGS) -> Iterator[Path]:
    """Yield the files below a folder with one of these extensions, in a fixed order; hidden files are skipped."""
    extensions = tuple(extensions)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in extensions and not path.name.startswith(".") and path.is_file():
            yield path


def files_by_key(
    folder: Path, suffix: str = "", extensions: Iterable[str] = ENDINGS
) -> tuple[dict[str, Path], list[Problem]]:
    """Return the files below a folder by key, which is their path in it without suffix and extension.

    Args:
        folder: searched with all its subfolders.
        suffix: end of the stem that files must have.
        extensions: in lower case; those of files may have any case.

    Returns:
        The files, and a problem for every two files with the same key.
    """
    files: dict[str, Path] = {}
    problems = []
    for path in find_files(folder, extensions):
        if not path.stem.endswith(suffix):
            continue
        key = path.relative_to(folder).with_suffix("").as_posix().removesuffix(suffix)
        if key in files:
            both = (str(files[key]), str(path))
            problems.append(Problem("same-stem", both, "they differ only in their extension: remove one"))
        files[key] = path
    return files, problems


def pair_files(images: Mapping[str, Path], masks: Mapping[str, Path], split: Side | None = None) -> Index:
    """Pair images with the masks of the same key."""
    records = [Record(str(images[key]), str(masks[key]), split=split) for key in sorted(images.keys() & masks.keys())]
    problems = [
        Problem("missing-mask", (str(images[key]),), "the image has no mask: add it, or remove the image")
        for key in sorted(images.keys() - masks.keys())
    ]
    problems += [
        Problem("extra-mask", (str(masks[key]),), "the mask has no image: add it, or remove the mask")
        for key in sorted(masks.keys() - images.keys())
    ]
    return records, problems


def pair_folders(
    images: Path,
    masks: Path,
    split: Side | None = None,
    *,
    image_suffix: str = "",
    mask_suffixes: Sequence[str] = ("",),
    image_extensions: Iterable[str] = ENDINGS,
    mask_extensions: Iterable[str] = ENDINGS,
) -> Index:
    """Pair the images below one folder with the masks below another.

    Args:
        images: folder of the images.
        masks: folder of the masks.
        split: side of the published split.
        image_suffix: end of the stem of images.
        mask_suffixes: ends of the stem of masks; the first that any mask has is used.
        image_extensions: in lower case.
        mask_extensions: in lower case.
    """
    image_files, image_problems = files_by_key(images, image_suffix, image_extensions)
    for suffix in mask_suffixes:
        mask_files, mask_problems = files_by_key(masks, suffix, mask_extensions)
        if mask_files:
            break
    records, unpaired = pair_files(image_files, mask_files, split)
    return records, [*image_problems, *mask_problems, *unpaired]


def join(indices: Iterable[Index]) -> Index:
    """Return several indices as one."""
    records, problems = [], []
    for some_records, some_problems in indices:
        records += some_records
        problems += some_problems
    return records, problems


def use_validation(index: Index, use: ValidationUse) -> Index:
    """Return published validation images on the side that they are used for; twice for `both`."""
    records, problems = index
    sides: tuple[Side, ...] = ("val", "test") if use == "both" else (use,)
    return [replace(record, split=side) for record in records for side in sides], problems
