"""`cracklab predict`: masks and overlays for photos, from a checkpoint alone."""

import argparse
import sys
from collections.abc import Sequence
from glob import glob
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.progress import track

from cracklab import pictures, quiet
from cracklab.data.images import ENDINGS, Array, read_image
from cracklab.errors import ConfigError, CracklabError, DataError
from cracklab.predict.tiles import probabilities
from cracklab.restore import Restored, restore
from cracklab.run import written_whole


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    arguments = argparse.ArgumentParser(prog="cracklab predict", description=__doc__, allow_abbrev=False)
    arguments.add_argument(
        "--ckpt_path", required=True, help="checkpoint of a run, for instance RUN/checkpoints/best.ckpt"
    )
    arguments.add_argument(
        "--images", required=True, help="a photo, a folder of photos, or a pattern such as 'wall/*.jpg'"
    )
    arguments.add_argument("--out", type=Path, required=True, help="folder for NAME.png (mask) and NAME_overlay.jpg")
    arguments.add_argument(
        "--tile", type=int, default=512, help="side of the tiles, px at the net's scale (default 512)"
    )
    arguments.add_argument(
        "--overlap", type=float, default=0.25, help="share of a tile that its neighbour covers too (default 0.25)"
    )
    arguments.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:1, mps"
    )
    return arguments


def run(command: str, args: Sequence[str]) -> int:
    """Predict every photo; returns 1 if some of them failed."""
    quiet.hush()
    options = parser().parse_args(args)
    if not 0 <= options.overlap < 1 or options.tile < 32:
        raise ConfigError(
            f"--tile {options.tile} and --overlap {options.overlap}: at least 32 px, and a share from 0 to below 1, are needed"
        )
    photos = photos_at(options.images)
    restored = restore(options.ckpt_path)
    restored.module.to(options.device)
    failed: list[str] = []
    for path in track(photos, "predicting", disable=len(photos) == 1):
        try:
            photo = read_image(str(path))
            mask = predicted_mask(restored, photo, options.tile, options.overlap)
            write(options.out, path.stem, photo, mask)
        except (CracklabError, OSError, cv2.error) as error:
            failed.append(f"{path}: {error}")
    print(f"{len(photos) - len(failed)} of {len(photos)} photos predicted, in {options.out}")
    if failed:
        print("\n".join(["failed:", *failed]), file=sys.stderr)
    return 1 if failed else 0


def photos_at(where: str) -> list[Path]:
    """The photos that a path, a folder or a pattern names.

    Raises:
        DataError: where there is none, or two would write the same mask.
    """
    place = Path(where)
    found = [place] if place.is_file() else sorted(place.iterdir() if place.is_dir() else map(Path, glob(where)))
    photos = [path for path in found if path.suffix.lower() in ENDINGS and path.is_file()]
    if not photos:
        raise DataError(
            f"--images {where} names no photo: give a file, a folder or a pattern of {', '.join(sorted(ENDINGS))}"
        )
    stems: dict[str, Path] = {}
    for path in photos:
        if path.stem in stems:
            raise DataError(f"{stems[path.stem]} and {path} would both become {path.stem}.png: rename one of them")
        stems[path.stem] = path
    return photos


def predicted_mask(restored: Restored, photo: Array, tile: int, overlap: float) -> pictures.Mask:
    """(H, W): where a photo shows a crack; of several classes, where it shows any but class 0."""
    scores = probabilities(restored.module, restored.data.transform, photo, tile, overlap)
    mask: pictures.Mask = scores[0] > restored.module.evaluator.threshold if len(scores) == 1 else scores.argmax(0) > 0
    return mask


def write(folder: Path, stem: str, photo: Array, mask: pictures.Mask) -> None:
    """Write the mask, 0 / 255 of the photo's own size, and the photo with it laid over."""
    _write_image(folder / f"{stem}.png", mask.astype(np.uint8) * 255)
    _write_image(folder / f"{stem}_overlay.jpg", pictures.overlay(photo, mask)[..., ::-1])


def _write_image(path: Path, image: Array) -> None:
    with written_whole(path) as beside:
        if not cv2.imwrite(str(beside), image):
            raise DataError(f"{path} could not be written")
