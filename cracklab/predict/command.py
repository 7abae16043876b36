"""`cracklab predict`: masks and overlays for photos, from checkpoints alone."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cracklab.command_parser import CommandParser
from cracklab.data.image_files import MAX_MEGAPIXELS, check_limit
from cracklab.data.images import Array, read_image
from cracklab.data.photos import Photo, check_outputs, find_photos
from cracklab.error_handler import DISK_FULL, one_line
from cracklab.errors import ConfigError
from cracklab.files import output_folder, remove_leftovers
from cracklab.predict import settings as folder_settings
from cracklab.predict.annotation_files import WRITERS
from cracklab.predict.annotations import FORMS, Annotations
from cracklab.predict.load import load
from cracklab.predict.options import add_model_options, trusted
from cracklab.predict.prediction import SUFFIXES, Kind, checksum_of, is_done, output_files
from cracklab.predict.predictor import Predictor
from cracklab.predict.scales import parse_scales
from cracklab.predict.tiles import Tiling
from cracklab.progress import Progress
from cracklab.warning_filters import filter_warnings

MAX_PIXELS_AT_ONCE = 72_000_000
"""While one photo is scored, the next is read and the last is written, if the three have at most this number of pixels."""


def parser(command: str = "predict") -> CommandParser:
    """Return the parser of the command's arguments.

    Example:
        >>> parser().parse(["--ckpt-path", "best.ckpt", "--images", "walls", "--out", "masks"]).images
        ['walls']
    """
    arguments = CommandParser(command, __doc__)
    add = arguments.add_argument
    add_model_options(arguments)
    add("--images", required=True, nargs="+", help="photos, folders of photos, or patterns such as 'walls/**/*.jpg'")
    add(
        "--out",
        type=output_folder,
        required=True,
        help="folder for NAME.png (mask) and NAME_overlay.jpg; run again, it predicts the missing photos",
    )
    add("--probability", action="store_true", help="write NAME_probability.png too: 16 bit, 65535 for 1")
    add(
        "--centre_lines", action="store_true", help="write NAME.geojson too: centre lines with the width along them, px"
    )
    add(
        "--annotations",
        nargs="+",
        choices=list(WRITERS),
        default=[],
        help="write the masks as polygons that these tools open: annotations.json, labelme/NAME.json, annotations.xml",
    )
    add(
        "--annotation_shapes",
        choices=FORMS,
        default="polygons",
        help="lines: centre lines with their median width instead, for labelme and cvat (default: %(default)s)",
    )
    add(
        "--tta",
        choices=["none", "flips"],
        default="none",
        help="flips: score mirrored forms too and take the mean, in 4 x the time",
    )
    add(
        "--scales",
        type=parse_scales,
        help="such as 1,0.5,0.25: sizes of the photo whose probabilities are fused (default: 1; of cracklab:cracks, those of its card)",
    )
    add(
        "--high_threshold",
        type=float,
        metavar="PROBABILITY",
        help="keep a connected piece of crack only if it reaches this somewhere (default: 0, all)",
    )
    add(
        "--tile",
        type=int,
        help="largest side of the tiles, px at the net's scale (default: as large as the memory allows)",
    )
    add(
        "--overlap",
        type=int,
        help="of neighbouring tiles, px (default: twice the net's reach, which is measured; at most half a tile)",
    )
    add("--batch_size", type=int, help="number of tiles at a time (default: 1; 8 on a GPU for a net without a reach)")
    add(
        "--memory_gb",
        type=float,
        help="memory for the tiles of a net with a reach, 1e9 bytes (default: 3.5, or half of what is free if less)",
    )
    return arguments


def run(command: str, args: Sequence[str]) -> int:
    """Predict every photo that is not done yet; return 1 if some of them failed."""
    filter_warnings()
    options = parser().parse(args)
    check_limit(options.max_megapixels)
    if options.out.exists() and not options.out.is_dir():
        raise ConfigError(f"--out {options.out} is a file: give a folder")
    kinds = [kind for kind in SUFFIXES if getattr(options, kind, True)]
    photos = find_photos(options.images, options.out)
    files = {photo.name: output_files(options.out, photo.name, kinds) for photo in photos}
    check_outputs([(photo, files[photo.name]) for photo in photos])
    annotations = None
    if options.annotations:
        annotations = Annotations(options.annotations, options.annotation_shapes, photos, options.out)
    elif options.annotation_shapes != FORMS[0]:
        raise ConfigError(f"--annotation_shapes {options.annotation_shapes} needs --annotations: give it too")
    predictor = load(
        options.ckpt_path,
        options.device,
        flips=options.tta == "flips",
        tile=options.tile,
        overlap=options.overlap,
        batch_size=options.batch_size,
        memory_gb=options.memory_gb,
        scales=options.scales,
        high_threshold=options.high_threshold,
        trust=trusted(options),
    )
    settings = folder_settings.settings_of(options.out, predictor, options.tile, options.overlap)
    predictor.tiling = Tiling(settings["tile"], settings["overlap"], predictor.batch_size)
    print(folder_settings.as_text(settings), flush=True)
    for place in {options.out, *(path.parent for paths in files.values() for path in paths)}:
        remove_leftovers(place)
    missing = [photo for photo in photos if not is_done(photo.path, files[photo.name], kinds)]
    if len(missing) < len(photos):
        print(f"{len(photos) - len(missing)} of {len(photos)} photos are done already", flush=True)
    failed = predict(missing, predictor, options.out, kinds, options.max_megapixels)
    print(f"{len(missing) - len(failed)} of {len(missing)} photos predicted, in {options.out}", flush=True)
    if annotations is not None:
        done = [photo for photo in photos if photo not in failed]
        failed |= annotations.write(done, predictor.class_names, options.max_megapixels)
        print(annotations.summary(), flush=True)
    if failed:
        reasons = [f"  {photo.path}: {reason}" for photo, reason in failed.items()]
        print("\n".join([f"{len(failed)} failed:", *reasons]), file=sys.stderr)
    return 1 if failed else 0


def predict(
    photos: Sequence[Photo],
    predictor: Predictor,
    out: Path,
    kinds: Sequence[Kind],
    max_megapixels: float = MAX_MEGAPIXELS,
) -> dict[Photo, str]:
    """Predict and write photos; meanwhile read the next one and write the last one, if memory allows.

    Returns:
        The photos that failed, with the reason.

    Raises:
        OSError: if no further file can be written, because the disk is full.
    """
    failed: dict[Photo, str] = {}
    sizes = [photo.size() for photo in photos]
    work = [predictor.count_pixels(*size) if all(size) else 0 for size in sizes]
    pixels = [height * width or MAX_PIXELS_AT_ONCE + 1 for height, width in sizes]  # an unknown size may be large
    read = partial(_read, max_megapixels=max_megapixels)
    with (
        Progress(work, "photos") as progress,
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as writer,
    ):
        reading: Future[tuple[Array, str | None]] | None = None
        writing: Future[None] | None = None
        for i, photo in enumerate(photos):
            reading = reading or reader.submit(read, photo.path)
            try:
                image, checksum = reading.result()
                reading = None
                if i + 1 < len(photos) and sum(pixels[max(i - 1, 0) : i + 2]) <= MAX_PIXELS_AT_ONCE:
                    reading = reader.submit(read, photos[i + 1].path)
                prediction = predictor.predict(
                    image, keep_probability="uint16" if "probability" in kinds else None, on_pixels=progress.advance
                )
                if writing is not None:
                    writing.result()
                prediction = replace(prediction, photo_sha256=checksum)
                save = partial(prediction.save, out, kinds, photo.name, reuse_photo=True)
                writing = writer.submit(_guarded, failed, photo, save)
                del image, prediction, save
            except Exception as error:  # a photo that fails does not stop the others
                _note(failed, photo, error)
                reading = None
            if reading is None and writing is not None:
                writing.result()
            progress.finish_item(skipped=photo in failed)
    return failed


def _read(photo: Path, max_megapixels: float) -> tuple[Array, str | None]:
    """Return a photo and its checksum, which is taken first: a later start notices a change in between."""
    checksum = checksum_of(photo)
    return read_image(str(photo), max_megapixels), checksum


def _guarded(failed: dict[Photo, str], photo: Photo, work: Callable[[], Any]) -> None:
    try:
        work()
    except Exception as error:  # reported at the end
        _note(failed, photo, error)


def _note(failed: dict[Photo, str], photo: Photo, error: Exception) -> None:
    """Keep the reason why a photo failed; raise the error if all further ones would fail too."""
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        raise error
    failed[photo] = one_line(error)
