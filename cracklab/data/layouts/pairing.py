"""Finding and pairing the files of a layout: images with masks, by folders and names, and the sides of a published split."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from cracklab.data.images import ENDINGS
from cracklab.data.layouts.base import Index
from cracklab.data.samples import Problem, Record, Side
from cracklab.errors import DataError

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

NAMES_SHOWN = 5
"""Maximum number of names that a message lists."""


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
