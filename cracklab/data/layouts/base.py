"""The contract of a layout, the registry that finds it by name, and how files are paired."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cracklab.data.images import ENDINGS, Array, read_image, read_mask
from cracklab.data.samples import Problem, Record, Side
from cracklab.errors import ConfigError, DataError
from cracklab.registry import Registry

LAYOUTS: Registry[type["Layout"]] = Registry("cracklab.data.layouts", "layout")
register = LAYOUTS.register

SPLITS: Mapping[str, Side] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What the sides of a published split are called."""

PREVIEW = 5
"""So many names stand in a message before "..." does."""


class Layout:
    """Where images and masks lie, and what the masks mean.

    A subclass implements `index`, and `read_mask` where masks are not plain crack masks, and registers itself by name.
    An instance travels to worker processes: it holds settings only.
    """

    num_classes: int = 1
    """1 for crack or not; else the number of class indices."""
    class_names: tuple[str, ...] = ("crack",)
    """One name a channel."""
    needs_root: bool = True
    """Whether it reads a folder."""

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """All pairs of image and mask below a folder, and everything that is wrong with the pairs.

        Raises:
            DataError: where the folder does not follow the convention at all.
        """
        raise NotImplementedError

    def files(self, record: Record) -> tuple[str, ...]:
        """All files that a pair is read from."""
        return record.image, record.mask

    def read(self, record: Record) -> tuple[Array, Array]:
        """Decode one pair: (H, W, 3) uint8 RGB and (H, W) uint8 class index, 255 where a pixel counts nowhere.

        Raises:
            DataError: for a file that cannot be decoded, or a mask of another size than its image.
        """
        return self.matched(self.read_image(record), self.read_mask(record), record)

    def read_image(self, record: Record) -> Array:
        """Decode one image: (H, W, 3) uint8 RGB.

        Raises:
            DataError: for a file that cannot be decoded.
        """
        return read_image(record.image)

    def read_mask(self, record: Record) -> Array:
        """Decode one mask: (H, W) uint8 class index, 255 where a pixel counts nowhere.

        Raises:
            DataError: for a file that cannot be decoded, or values that are no classes.
        """
        return read_mask(record.mask)

    def matched(self, image: Array, mask: Array, record: Record) -> tuple[Array, Array]:
        """The pair of an image and its mask.

        Raises:
            DataError: where their sizes differ.
        """
        if image.shape[:2] == mask.shape:
            return image, mask
        turned = "" if image.shape[1::-1] != mask.shape else ", perhaps turned by its EXIF tag: save it upright, or"
        raise DataError(
            f"mask {record.mask!r} is {mask.shape[1]} x {mask.shape[0]} but its image {record.image!r} is "
            f"{image.shape[1]} x {image.shape[0]} (width x height){turned or ':'} make them the same size"
        )


def files_in(folder: Path, endings: Iterable[str] = ENDINGS) -> Iterator[Path]:
    """Image files below a folder, hidden ones left out, in a fixed order."""
    endings = tuple(endings)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file():
            yield path


def require_folders(root: Path, names: Iterable[str], layout: str) -> None:
    """Refuse a root without the folders of a convention.

    Raises:
        DataError: names the folders that are missing, and those that are there.
    """
    if not root.is_dir():
        raise DataError(f"data.root {str(root)!r} is not a folder: give the folder that holds the images")
    missing = [name for name in names if not (root / name).is_dir()]
    if missing:
        there = ", ".join(sorted(path.name for path in root.iterdir())[:PREVIEW]) or "nothing"
        raise DataError(
            f"{str(root)!r} lacks {', '.join(missing)}, which the layout {layout!r} reads (it holds {there}): set "
            "data.root to the right folder, or data.layout to the layout that fits"
        )


def pair(
    images: Mapping[str, Path], masks: Mapping[str, Path], split: Side | None = None
) -> tuple[list[Record], list[Problem]]:
    """Match images with masks of the same key."""
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


def shown_twice(records: Iterable[Record]) -> list[Record]:
    """Validation images that are the test images too."""
    return [replace(record, split=side) for record in records for side in ("val", "test")]


def keyed(folder: Path, suffix: str = "", endings: Iterable[str] = ENDINGS) -> tuple[dict[str, Path], list[Problem]]:
    """Files below a folder by their path in it without ending and suffix; two files with one key are a problem.

    Args:
        folder: searched with all folders below.
        suffix: end of the stem that files must have, and that keys lack.
        endings: endings that count, in any case.
    """
    found: dict[str, Path] = {}
    problems = []
    for path in files_in(folder, endings):
        if not path.stem.endswith(suffix):
            continue
        key = path.relative_to(folder).with_suffix("").as_posix().removesuffix(suffix)
        if key in found:
            files = (str(found[key]), str(path))
            problems.append(Problem("same-stem", files, "they differ in their ending alone: remove one"))
        found[key] = path
    return found, problems


def class_names_for(num_classes: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """One name a channel, made up where none are given.

    Raises:
        ConfigError: for a number of names that does not fit.
    """
    if names is None:
        return ("crack",) if num_classes == 1 else tuple(f"class_{index}" for index in range(num_classes))
    if len(names) != num_classes:
        raise ConfigError(f"{len(names)} class_names for {num_classes} classes: give one name a class")
    return tuple(names)
