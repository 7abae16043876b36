"""`cracklab measure`: length, width, direction, tips and branch points of cracks, from masks."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from cracklab.command_parser import CommandParser
from cracklab.data.images import Array, read_image, read_mask
from cracklab.data.photos import Photo, find_photos
from cracklab.errors import ConfigError, CracklabError, DataError
from cracklab.files import write_image, write_json
from cracklab.geometry.masks import Mask
from cracklab.measure import compare, tables
from cracklab.measure.measurement import Measurement
from cracklab.measure.picture import picture
from cracklab.measure.scale import from_exif, positive, read_table
from cracklab.measure.trace import measure_mask
from cracklab.progress import Progress

ENDING = "_measured.jpg"
COMPANIONS = ("_overlay.jpg", "_probability.png", ENDING)
"""Ends of the names of what `predict` and `measure` write, and no masks."""

Scale = Callable[[str], float | None]
"""From a mask's name to mm per px."""


@dataclass(frozen=True)
class Sources:
    """What belongs to a mask, found by its name."""

    scale: Scale
    photos: Mapping[str, Path]
    truths: Mapping[str, Path] | None


def parser() -> CommandParser:
    """The command's arguments."""
    arguments = CommandParser("measure", __doc__)
    add = arguments.add_argument
    add("masks", nargs="+", metavar="MASKS", help="masks, folders of masks, or patterns such as 'masks/*.png'")
    add("--out", type=Path, help="folder for photos.csv, cracks.csv, measurements.json and NAME_measured.jpg")
    scale = arguments.add_mutually_exclusive_group()
    scale.add_argument("--mm_per_px", help="scale of all photos")
    scale.add_argument("--scale_csv", type=Path, help="scale of each photo: a table with the columns id and mm_per_px")
    scale.add_argument(
        "--distance_mm", help="distance from camera to wall; with --photos, whose EXIF has the focal length"
    )
    add("--photos", nargs="+", help="the photos of the masks, by name: for --distance_mm, and below the pictures")
    add("--bridge_px", default="0", help="join cracks over gaps of at most this, px (default 0)")
    add("--min_length_px", default="0", help="leave shorter cracks out, px (default 0)")
    add("--truth", nargs="+", help="true masks by the same names: prints the error of the measurements")
    add("--no_pictures", action="store_true", help="leave the pictures out")
    return arguments


def run(command: str, args: Sequence[str]) -> int:
    """Measure every mask; returns 1 if some of them failed."""
    options = parser().parse(args)
    masks = masks_at(options.masks, options.out)
    sources = Sources(
        scale_of(options),
        {photo.name: photo.path for photo in find_photos(options.photos, None, "--photos")} if options.photos else {},
        {mask.name: mask.path for mask in masks_at(options.truth, None, "--truth")} if options.truth else None,
    )
    limits = {"bridge_px": _number(options.bridge_px, "--bridge_px")}
    limits["min_length_px"] = _number(options.min_length_px, "--min_length_px")
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise ConfigError(f"--out {options.out} is a file: give a folder")
    measured: dict[str, Measurement] = {}
    errors: list[compare.Row] = []
    failed: dict[Path, str] = {}
    sizes = [mask.size() for mask in masks]
    pixels = 0
    with Progress(len(masks), "masks", sum(height * width for height, width in sizes)) as progress:
        for mask, (height, width) in zip(masks, sizes, strict=True):
            try:
                one = measure(mask, sources, limits, None if options.no_pictures else options.out)
                if sources.truths is not None:
                    errors.append(compare.row(mask.name, one, true_measurement(mask.name, one, sources.truths, limits)))
                measured[mask.name] = one
            except (CracklabError, OSError, cv2.error, MemoryError) as error:
                failed[mask.path] = str(error) or type(error).__name__
            pixels += height * width
            progress.finish_item(worked=pixels)
    report(measured, errors, options.out)
    if failed:
        reasons = [f"  {path}: {reason}" for path, reason in failed.items()]
        print("\n".join([f"{len(failed)} of {len(masks)} failed:", *reasons]), file=sys.stderr)
    return 1 if failed else 0


def masks_at(places: Sequence[str], out: Path | None, option: str = "MASKS") -> list[Photo]:
    """The masks that files, folders and patterns name, without the overlays and the like beside them.

    Raises:
        DataError: where there is none.
    """
    masks = [image for image in find_photos(places, out, option) if not image.path.name.endswith(COMPANIONS)]
    if not masks:
        raise DataError(f"{option} {' '.join(places)} names no mask, only files of {', '.join(COMPANIONS)}: give masks")
    return masks


def _number(value: str, name: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ConfigError(f"{name} {value} is not a number: give px") from None
    if not 0 <= number < float("inf"):
        raise ConfigError(f"{name} {value}: give 0 or more px")
    return number


def scale_of(options: argparse.Namespace) -> Scale:
    """Where the scale comes from."""
    if options.mm_per_px is not None:
        scale = positive(options.mm_per_px, "--mm_per_px")
        return lambda name: scale
    if options.scale_csv is not None:
        table = read_table(options.scale_csv)

        def listed(name: str) -> float:
            if name not in table:
                raise DataError(f"{options.scale_csv} has no row with the id {name!r}: add its mm_per_px")
            return table[name]

        return listed
    if options.distance_mm is None:
        return lambda name: None
    distance = positive(options.distance_mm, "--distance_mm")
    if not options.photos:
        raise ConfigError("--distance_mm needs the focal length of the photos: give their folder by --photos")
    photos = {photo.name: photo.path for photo in find_photos(options.photos, None, "--photos")}
    return lambda name: from_exif(beside(photos, name, "--photos"), distance)


def beside(files: Mapping[str, Path], name: str, option: str) -> Path:
    """The file of a mask's name.

    Raises:
        DataError: where there is none.
    """
    if name not in files:
        raise DataError(f"{option} has no image called {name!r}: add it, or leave its mask out")
    return files[name]


def measure(mask: Photo, sources: Sources, limits: Mapping[str, float], pictures: Path | None) -> Measurement:
    """Measure one mask, and write its picture into the folder `pictures`."""
    cracks = read_mask(str(mask.path)) > 0
    measured = measure_mask(cracks, sources.scale(mask.name), **limits)
    photo = None
    if sources.photos:
        photo = read_image(str(beside(sources.photos, mask.name, "--photos")))
        _same_size(cracks.shape, photo.shape[:2], "its photo")
    if pictures is not None:
        write_picture(pictures, mask.name, measured, cracks, photo)
    return measured


def true_measurement(
    name: str, measured: Measurement, truths: Mapping[str, Path], limits: Mapping[str, float]
) -> Measurement:
    """The same, of the true mask of that name."""
    truth = read_mask(str(beside(truths, name, "--truth"))) > 0
    _same_size((measured.height, measured.width), truth.shape, "the true mask")
    return measure_mask(truth, measured.mm_per_px, **limits)


def _same_size(mask: tuple[int, ...], other: tuple[int, ...], what: str) -> None:
    if mask != other:
        raise DataError(f"the mask is {mask[1]} x {mask[0]} px but {what} {other[1]} x {other[0]}: give both one size")


def write_picture(folder: Path, name: str, measured: Measurement, mask: Mask, photo: Array | None) -> None:
    """Write what was measured as a picture.

    Raises:
        DataError: where a link leads out of the folder, or it cannot be written.
    """
    path = folder / f"{name}{ENDING}"
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{path} leads out of {folder} by a link, to {path.parent.resolve()}: remove the link")
    write_image(path, picture(measured, mask, photo), quality=92)


def report(measured: Mapping[str, Measurement], errors: Sequence[compare.Row], out: Path | None) -> None:
    """Print what was found, and write it to the folder `out`."""
    if out is not None and measured:
        tables.write(out, measured)
    if len(measured) == 1:
        ((name, one),) = measured.items()
        print(tables.as_text(tables.crack_rows(name, one)) if one.cracks else f"{name}: no crack")
    elif measured:
        print(tables.as_text([tables.photo_row(name, one) for name, one in measured.items()]))
    if errors:
        result = compare.summary(errors)
        print(compare.as_text(result))
        if out is not None:
            tables.write_csv(out / "comparison.csv", errors, compare.COLUMNS)
            write_json(out / "comparison.json", result)
    if out is not None and measured:
        print(f"{len(measured)} measured, in {out}")
