"""`cracklab predict`: masks and overlays for photos, from checkpoints alone."""

import argparse
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cracklab.command_parser import CommandParser
from cracklab.data.images import Array, read_image
from cracklab.data.photos import Photo, check_outputs, find_photos
from cracklab.errors import ConfigError, CracklabError
from cracklab.predict import settings as settings_file
from cracklab.predict.scorer import Scorer, load
from cracklab.predict.tiles import GRID, Tiling, probabilities
from cracklab.predict.writers import WRITERS, Result, is_done, outputs, write
from cracklab.progress import Progress
from cracklab.warning_filters import filter_warnings

AHEAD = 72_000_000
"""While one photo is scored, the next is read and the last is written, where the three have at most so many pixels."""


def parser() -> CommandParser:
    """The command's arguments."""
    arguments = CommandParser("predict", __doc__)
    add = arguments.add_argument
    add(
        "--ckpt_path",
        required=True,
        nargs="+",
        help="RUN/checkpoints/best.ckpt; several (folds of a kfold) are averaged",
    )
    add("--images", required=True, nargs="+", help="photos, folders of photos, or patterns such as 'walls/**/*.jpg'")
    add(
        "--out",
        type=Path,
        required=True,
        help="folder for NAME.png (mask) and NAME_overlay.jpg; goes on where it stopped",
    )
    add("--probability", action="store_true", help="write NAME_probability.png too: 16 bit, 65535 for 1")
    add(
        "--centre_lines", action="store_true", help="write NAME.geojson too: centre lines with the width along them, px"
    )
    add(
        "--tta",
        choices=["none", "flips"],
        default="none",
        help="score mirrored forms too, and take the mean: 4 x the time",
    )
    add(
        "--tile",
        type=int,
        help="side of the tiles, px at the net's scale (default: 512, more where the net reaches far)",
    )
    add("--overlap", type=int, help="what tiles share, px (default: twice the net's reach, which is measured)")
    add("--batch_size", type=int, help="tiles at a time (default: 1, on a GPU 8)")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:1, mps")
    return arguments


def run(command: str, args: Sequence[str]) -> int:
    """Predict every photo that is not done yet; returns 1 if some of them failed."""
    filter_warnings()
    options = parser().parse(args)
    check(options)
    kinds = [kind for kind in WRITERS if getattr(options, kind, True)]
    photos = find_photos(options.images, options.out)
    files = {photo.name: outputs(options.out, photo.name, kinds) for photo in photos}
    check_outputs([(photo, files[photo.name]) for photo in photos])
    scorer = load(options.ckpt_path, options.device, options.tta == "flips")
    settings = settings_file.settle(
        options.out, options.ckpt_path, scorer, options.tile, options.overlap, options.tta == "flips"
    )
    batch = options.batch_size or (1 if scorer.device.type == "cpu" else 8)
    tiling = settings_file.tiling(settings, batch)
    print(settings_file.as_text(settings), flush=True)
    missing = [photo for photo in photos if not is_done(photo.path, files[photo.name])]
    if len(missing) < len(photos):
        print(f"{len(photos) - len(missing)} of {len(photos)} photos are done already", flush=True)
    failed = predict(missing, scorer, tiling, options.out, kinds)
    print(f"{len(missing) - len(failed)} of {len(missing)} photos predicted, in {options.out}", flush=True)
    if failed:
        reasons = [f"  {photo.path}: {reason}" for photo, reason in failed.items()]
        print("\n".join([f"{len(failed)} failed:", *reasons]), file=sys.stderr)
    return 1 if failed else 0


def check(options: argparse.Namespace) -> None:
    """Refuse numbers that cannot work.

    Raises:
        ConfigError: naming them.
    """
    if options.tile is not None and (options.tile < 2 * GRID or options.tile % GRID):
        raise ConfigError(f"--tile {options.tile}: a multiple of {GRID} px is needed, at least {2 * GRID}")
    if options.overlap is not None and not 0 <= options.overlap <= (options.tile or settings_file.TILE) - GRID:
        raise ConfigError(f"--overlap {options.overlap}: from 0 px to {GRID} px less than a tile is needed")
    if options.batch_size is not None and options.batch_size < 1:
        raise ConfigError(f"--batch_size {options.batch_size}: 1 or more is needed")
    try:
        torch.zeros(1, device=options.device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"--device {options.device} cannot be used: {str(error).splitlines()[0]}") from error


def predict(photos: Sequence[Photo], scorer: Scorer, tiling: Tiling, out: Path, kinds: list[str]) -> dict[Photo, str]:
    """Predict and write photos; the next is read and the last is written meanwhile, where memory allows.

    Returns:
        The photos that failed, with the reason.
    """
    failed: dict[Photo, str] = {}
    sizes = [photo.size() for photo in photos]
    tiles = [tiling.number(scorer.scaled_size(*size)) if all(size) else 0 for size in sizes]
    pixels = [height * width or AHEAD + 1 for height, width in sizes]  # what cannot be told may be large
    with (
        Progress(len(photos), "photos", sum(tiles)) as progress,
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as writer,
    ):
        reading: Future[Array] | None = None
        writing: Future[None] | None = None
        for i, photo in enumerate(photos):
            reading = reading or reader.submit(read_image, str(photo.path))
            try:
                image = reading.result()
                reading = None
                if i + 1 < len(photos) and sum(pixels[max(i - 1, 0) : i + 2]) <= AHEAD:
                    reading = reader.submit(read_image, str(photos[i + 1].path))
                result = scored(scorer, image, tiling, "probability" in kinds, progress.advance)
                if writing is not None:
                    writing.result()
                writing = writer.submit(_guarded, failed, photo, write, out, photo.name, kinds, result)
                del image, result
            except Exception as error:  # whatever is wrong with one photo, the others are done
                failed[photo] = reason(error)
                reading = None
            if reading is None and writing is not None:
                writing.result()
            progress.finish_item(worked=sum(tiles[: i + 1]))
    return failed


def scored(scorer: Scorer, photo: Array, tiling: Tiling, probability: bool, advance: Callable[[int], None]) -> Result:
    """Mask, and on request probabilities, of a photo (H, W, 3) RGB."""

    def score(tiles: Array) -> Any:
        scores = scorer(tiles)
        advance(len(tiles))
        return scores

    size = (photo.shape[0], photo.shape[1])
    mask = np.empty(size, np.uint8)
    sure = np.empty(size, np.uint16) if probability else None
    for rows, scores in probabilities(score, scorer.at_its_scale(photo), size, tiling):
        mask[rows] = (scores[0] > scorer.threshold) * np.uint8(255) if scorer.classes == 1 else scores.argmax(0)
        if sure is not None:
            sure[rows] = np.rint(scores.max(0) * 65535)
    return Result(photo, mask, sure, scorer.classes > 1)


def _guarded(failed: dict[Photo, str], photo: Photo, work: Callable[..., None], *arguments: Any) -> None:
    try:
        work(*arguments)
    except Exception as error:  # named at the end, with the others
        failed[photo] = reason(error)


def reason(error: Exception) -> str:
    """What went wrong, in one line."""
    said = " ".join(str(error).split())
    return said if isinstance(error, CracklabError | OSError) else f"{type(error).__name__}: {said}"
