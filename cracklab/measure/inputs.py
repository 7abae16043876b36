"""The inputs of `cracklab measure`: masks, their photos, scales and true masks, found from the options."""

import argparse
import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from cracklab.data.image_files import MAX_MEGAPIXELS, check_limit
from cracklab.data.images import IGNORE, crack_pixels, read_classes, read_mask
from cracklab.data.photos import Photo, check_names, find_photos
from cracklab.errors import ConfigError, DataError
from cracklab.geometry.masks import Mask
from cracklab.measure import figure
from cracklab.measure.measurement import Measurement
from cracklab.measure.picture import SUFFIX
from cracklab.measure.scale import positive, read_scales, scale_from_exif
from cracklab.measure.trace import measure_mask
from cracklab.tables import read_csv

OVERLAY = "_overlay.jpg"
"""End of the names of the pictures that every `predict` writes beside its masks."""
NOT_MASKS = (OVERLAY, "_probability.png", SUFFIX, figure.SUFFIXES["png"])
"""Ends of the names of files that `predict` and `measure` write beside masks."""

Scale = Callable[[str], float | None]
"""From the name of a mask to mm per px; None if it is not known."""


@dataclass(frozen=True)
class Inputs:
    """The settings and files of one call.

    Example:
        >>> Inputs(scale=lambda name: 0.4, photos={}, truths=None, bridge_px=6.0).scale("wall")
        0.4
    """

    scale: Scale
    photos: Mapping[str, Path]
    """By the names of the masks."""
    truths: Mapping[str, Path] | None
    """True masks, by the same names; None if there is nothing to compare with."""
    bridge_px: float = 0.0
    """Gaps of at most this length are bridged, px."""
    min_length: float = 0.0
    """Shorter cracks are ignored, in `min_length_unit`."""
    min_length_unit: Literal["px", "mm"] = "px"
    classes: bool = False
    """Whether masks hold class indices, of which all but 0 and 255 are crack."""
    max_megapixels: float = MAX_MEGAPIXELS
    """Larger masks and photos are refused, 1e6 px."""
    out: Path | None = None
    """Folder of the results; None for none."""
    pictures: bool = True
    """Whether pictures are written to it."""
    figures: Sequence[str] = ()
    """Formats of the figures, keys of `figure.SUFFIXES`."""

    def read(self, mask: Path) -> Mask:
        """Return where a mask shows a crack.

        Raises:
            DataError: if it cannot be read.
        """
        if self.classes:
            return crack_pixels(read_classes(str(mask), num_classes=IGNORE, max_megapixels=self.max_megapixels))
        return read_mask(str(mask), max_megapixels=self.max_megapixels) > 0

    def measure(self, mask: Mask, mm_per_px: float | None) -> Measurement:
        """Measure a mask with these limits."""
        min_length_px = self.min_length
        if self.min_length_unit == "mm":
            assert mm_per_px is not None
            min_length_px /= mm_per_px
        return measure_mask(mask, mm_per_px, self.bridge_px, min_length_px)


def find_masks(places: Sequence[str], out: Path | None, option: str = "MASKS") -> tuple[list[Photo], list[Photo]]:
    """Return the masks that files, folders and patterns name, and the overlays and other pictures of masks that are left out.

    Raises:
        DataError: if there is none, or names cannot be ids.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     for name in ("wall.png", "wall_overlay.jpg", "crack_figure.png"):
        ...         _ = (Path(folder) / name).write_bytes(b"")
        ...     masks, pictures = find_masks([folder], None)
        ...     [mask.name for mask in masks], [picture.name for picture in pictures]
        (['crack_figure', 'wall'], ['wall_overlay'])
    """
    images = find_photos(places, out, option)
    stems = {image.path.with_suffix("") for image in images}
    results = cache(_names_of_results)
    is_picture = {image: _is_picture(image.path, stems, results) for image in images}
    masks, pictures = ([image for image in images if is_picture[image] is wanted] for wanted in (False, True))
    check_names(masks)
    return masks, pictures


def _is_picture(path: Path, stems: Collection[Path], results: Callable[[Path], Collection[str]]) -> bool:
    """Return whether a file is a picture of a mask beside it, or of one that the results around it list."""
    end = next((end for end in NOT_MASKS if path.name.endswith(end)), None)
    if end is None:
        return False
    stem = Path(path.as_posix().removesuffix(end))
    return stem in stems or any(stem.relative_to(folder).as_posix() in results(folder) for folder in stem.parents)


def _names_of_results(folder: Path) -> set[str]:
    """Return the names of the masks whose results `measure` wrote to a folder."""
    try:
        return {row.get("id", "") for row in read_csv(folder / "photos.csv")}
    except (OSError, ValueError, csv.Error):
        return set()


def inputs_from(options: argparse.Namespace) -> Inputs:
    """Return the settings that the options give, with the files that they name.

    Raises:
        CracklabError: for invalid values.

    Example:
        >>> from cracklab.measure.command import parser
        >>> inputs = inputs_from(parser().parse(["masks", "--mm-per-px", "0.4", "--bridge-px", "6"]))
        >>> inputs.scale("wall"), inputs.bridge_px
        (0.4, 6.0)
    """
    photos: dict[str, Path] = {}
    if options.photos:
        found = find_photos(options.photos, None, "--photos")
        check_names(found)
        photos = {photo.name: photo.path for photo in found}
    scale = scale_from(options, photos)
    truths = None
    if options.truth:
        truths = {mask.name: mask.path for mask in find_masks(options.truth, None, "--truth")[0]}
    unit: Literal["px", "mm"] = "px" if options.min_length_mm is None else "mm"
    if options.figures and options.out is None:
        raise ConfigError("--figures needs a folder: give --out")
    for option, given in (("--min_length_mm", unit == "mm"), ("--figures", options.figures)):
        if given and options.mm_per_px is options.scale_csv is options.distance_mm is None:
            raise ConfigError(f"{option} needs the scale of the photos: give --mm_per_px, --scale_csv or --distance_mm")
    return Inputs(
        scale=scale,
        photos=photos,
        truths=truths,
        bridge_px=_length(options.bridge_px, "--bridge_px"),
        min_length=_length(getattr(options, f"min_length_{unit}"), f"--min_length_{unit}"),
        min_length_unit=unit,
        classes=options.classes,
        max_megapixels=check_limit(options.max_megapixels),
        out=options.out,
        pictures=not options.no_pictures,
        figures=options.figures,
    )


def _length(value: str, option: str) -> float:
    unit = option[-2:]
    try:
        number = float(value)
    except ValueError:
        raise ConfigError(f"{option} {value} is not a number: give {unit}") from None
    if not 0 <= number < float("inf"):
        raise ConfigError(f"{option} {value}: give 0 or more {unit}")
    return number


def scale_from(options: argparse.Namespace, photos: Mapping[str, Path]) -> Scale:
    """Return the scale of every mask: the same for all, from a table, or from the EXIF of its photo.

    Raises:
        ConfigError: for an invalid scale, table or distance, or a distance without photos.

    Example:
        >>> from cracklab.measure.command import parser
        >>> scale_from(parser().parse(["masks"]), {})("wall") is None
        True
    """
    if options.mm_per_px is not None:
        scale = positive(options.mm_per_px, "--mm_per_px")
        return lambda name: scale
    if options.scale_csv is not None:
        table = read_scales(options.scale_csv)

        def look_up(name: str) -> float:
            if name not in table:
                raise DataError(f"{options.scale_csv} has no row with the id {name!r}: add its mm_per_px")
            return table[name]

        return look_up
    if options.distance_mm is None:
        return lambda name: None
    distance = positive(options.distance_mm, "--distance_mm")
    if not photos:
        raise ConfigError("--distance_mm needs the focal length of the photos: give their folder by --photos")
    return lambda name: scale_from_exif(file_of(name, photos, "--photos"), distance)


def file_of(name: str, files: Mapping[str, Path], option: str) -> Path:
    """Return the photo or true mask with the name of a mask.

    Raises:
        DataError: if there is none.

    Example:
        >>> file_of("north", {"north": Path("photos/north.jpg")}, "--photos").name
        'north.jpg'
    """
    if name not in files:
        raise DataError(f"{option} has no image called {name!r}: add it, or leave its mask out")
    return files[name]
