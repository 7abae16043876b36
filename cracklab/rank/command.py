"""`cracklab rank`: which photos to label next: those with cracks that look like many others."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cracklab.command_parser import CommandParser
from cracklab.data.image_files import MAX_MEGAPIXELS, check_limit
from cracklab.data.images import Array, read_image
from cracklab.data.photos import Photo, check_names, find_photos
from cracklab.data.resizing import resize_image
from cracklab.error_handler import one_line
from cracklab.errors import DataError
from cracklab.files import output_folder, remove_leftovers, write_image
from cracklab.pictures import side_by_side, stack_rows
from cracklab.predict.load import load
from cracklab.predict.options import add_model_options, trusted
from cracklab.predict.predictor import Predictor
from cracklab.progress import Progress
from cracklab.rank.score import Floats, by_gain, crack_weight, look
from cracklab.tables import write_csv
from cracklab.warning_filters import filter_warnings

TABLE, PICTURE = "rank.csv", "rank.jpg"
SHOWN, COLUMNS, SIDE = 12, 4, 256
"""Number of photos in the picture and in a row of it, and the height and width in px that a photo is fitted into."""


def parser(command: str = "rank") -> CommandParser:
    """Return the parser of the command's arguments.

    Example:
        >>> parser().parse(["walls", "--out", "next"]).photos
        ['walls']
    """
    arguments = CommandParser(command, __doc__)
    add = arguments.add_argument
    add("photos", nargs="+", metavar="PHOTOS", help="photos, folders of photos, or patterns such as 'walls/**/*.jpg'")
    add_model_options(arguments)
    add("--out", type=output_folder, required=True, help=f"folder for {TABLE} and {PICTURE}, the first {SHOWN} photos")
    add("--labelled", nargs="+", help="photos that are labelled already: those like them gain less")
    return arguments


def run(command: str, args: Sequence[str]) -> int:
    """Rank photos; return 1 if some of them could not be read."""
    filter_warnings()
    options = parser().parse(args)
    check_limit(options.max_megapixels)
    labelled = find_photos(options.labelled, options.out, "--labelled") if options.labelled else []
    photos = unlabelled(find_photos(options.photos, options.out, "PHOTOS"), labelled)
    predictor = load(options.ckpt_path, options.device, trust=trusted(options))
    remove_leftovers(options.out)
    seen = examine(photos, labelled, predictor, options.max_megapixels)
    order = by_gain(seen.weights, seen.looks, seen.labelled)
    if order:
        rows = [{"id": seen.photos[i].name, "score": float(f"{gain:.6g}")} for i, gain in order]
        write_csv(options.out / TABLE, ["id", "score"], rows)
        first = [seen.photos[i] for i, _ in order[:SHOWN]]
        write_image(options.out / PICTURE, contact_sheet(first, options.max_megapixels))
        print("label first:", *(f"  {row['score']:.3f}  {row['id']}" for row in rows[:SHOWN]), sep="\n")
    print(f"{len(order)} of {len(photos)} photos ranked, in {options.out}", flush=True)
    if seen.failed:
        reasons = [f"  {path}: {reason}" for path, reason in seen.failed.items()]
        print("\n".join([f"{len(seen.failed)} failed:", *reasons]), file=sys.stderr)
    return 1 if seen.failed else 0


def unlabelled(photos: Sequence[Photo], labelled: Sequence[Photo]) -> list[Photo]:
    """Return the photos that are not labelled.

    Raises:
        DataError: if there is none, two have the same id, or an id cannot be written.

    Example:
        >>> wall, pipe = Photo(Path("a/wall.jpg"), "wall"), Photo(Path("a/pipe.jpg"), "pipe")
        >>> [photo.name for photo in unlabelled([wall, pipe], [wall])]
        ['pipe']
        >>> unlabelled([wall, Photo(Path("b/wall.jpg"), "wall")], [])
        Traceback (most recent call last):
        cracklab.errors.DataError: a/wall.jpg and b/wall.jpg would both have the id 'wall': rename one, or give the folder above both
    """
    known = {photo.path.resolve() for photo in labelled}
    rest = [photo for photo in photos if photo.path.resolve() not in known]
    if not rest:
        raise DataError("every photo of PHOTOS is labelled already: give others")
    check_names(rest)
    return rest


@dataclass
class Seen:
    """The photos that could be read, as a few numbers each.

    Attributes:
        photos: those to rank.
        weights: how much they count.
        looks: their descriptions.
        labelled: descriptions of the labelled photos.
        failed: files that could not be read, with the reason.
    """

    photos: list[Photo] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    looks: list[Floats] = field(default_factory=list)
    labelled: list[Floats] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


def examine(
    photos: Sequence[Photo], labelled: Sequence[Photo], predictor: Predictor, max_megapixels: float = MAX_MEGAPIXELS
) -> Seen:
    """Read and score every photo, one at a time; labelled photos are read alone.

    A photo that fails does not stop the others.
    """
    seen = Seen()
    sizes = [photo.size() for photo in photos]
    pixels = [predictor.count_pixels(*size) if all(size) else 0 for size in sizes]
    with Progress([*(0 for _ in labelled), *pixels], "photos") as progress:  # labelled photos are only read
        for i, photo in enumerate([*labelled, *photos]):
            try:
                image = read_image(str(photo.path), max_megapixels)
                if i < len(labelled):
                    seen.labelled.append(look(image))
                else:
                    weight = weight_of(image, predictor, progress)
                    seen.looks.append(look(image))
                    seen.weights.append(weight)
                    seen.photos.append(photo)
            except Exception as error:  # reported at the end
                seen.failed[photo.path] = one_line(error)
            progress.finish_item(skipped=photo.path in seen.failed)
    return seen


def weight_of(image: Array, predictor: Predictor, progress: Progress) -> float:
    """Return how much a photo (H, W, 3) counts; with several classes, all but the first are crack."""
    found = predictor.predict(image, on_pixels=progress.advance)
    probability = found.probability
    if found.num_classes > 1:  # the probability is that of the most probable class
        np.subtract(1, probability, out=probability, where=found.mask == 0)
    return crack_weight(probability)


def contact_sheet(photos: Sequence[Photo], max_megapixels: float = MAX_MEGAPIXELS) -> Array:
    """Return small pictures of photos in rows of four, each with its place and id above."""
    tiles = []
    for photo in photos:
        image = read_image(str(photo.path), max_megapixels)
        scale = SIDE / max(image.shape[:2])
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        small = resize_image(image, height, width)
        tiles.append(np.pad(small, ((0, SIDE - height), (0, SIDE - width), (0, 0)), constant_values=255))
    titles = [f"{i}. {photo.name}" for i, photo in enumerate(photos, 1)]
    rows = range(0, len(tiles), COLUMNS)
    return stack_rows([side_by_side(tiles[i : i + COLUMNS], titles[i : i + COLUMNS]) for i in rows])
