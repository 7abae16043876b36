"""What is written for a photo: mask, overlay, and on request probability and centre lines."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab import pictures
from cracklab.data.images import Array
from cracklab.errors import DataError
from cracklab.files import atomic_write
from cracklab.pictures.colours import CLASSES, CRACK

ROWS = 256
"""So many rows of a photo are painted at once."""


@dataclass
class Result:
    """A photo and what was found in it."""

    photo: Array
    """(H, W, 3) RGB; painted over where the overlay is written."""
    mask: Array
    """(H, W): 0 / 255, or the index of the most probable of several classes."""
    probability: NDArray[np.uint16] | None
    """(H, W), 65535 for 1: of a crack, or of the most probable class."""
    several: bool
    """Whether there are several classes."""


def write_overlay(path: Path, result: Result) -> None:
    """The photo with cracks, or every class but the first, in colour; its memory is used for that."""
    for top in range(0, len(result.photo), ROWS):
        rows = slice(top, top + ROWS)
        part, mask = result.photo[rows], result.mask[rows]
        for index in range(1, int(mask.max()) + 1) if result.several else (255,):
            part = pictures.overlay(
                part, mask == index, CLASSES[(index - 1) % len(CLASSES)] if result.several else CRACK
            )
        result.photo[rows] = part[..., ::-1]
    write_image(path, result.photo)


def write_mask(path: Path, result: Result) -> None:
    """One channel: 0 / 255, or class indices."""
    write_image(path, result.mask)


def write_probability(path: Path, result: Result) -> None:
    """One channel of 16 bit, 65535 for 1."""
    assert result.probability is not None
    write_image(path, result.probability)


def write_lines(path: Path, result: Result) -> None:
    """Centre lines of the mask with their widths; takes several times the memory of the rest."""
    from cracklab.predict.geojson import write_centre_lines  # a second of imports that few ask for

    write_centre_lines(path, result.mask)


def write_image(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write a picture whole or not at all; three channels are blue, green, red."""
    with atomic_write(path) as beside:
        if not cv2.imwrite(str(beside), image):
            raise DataError(f"{path} could not be written: look whether there is space, and whether it may be written")


WRITERS: dict[str, tuple[str, Callable[[Path, Result], None]]] = {
    "probability": ("_probability.png", write_probability),
    "overlay": ("_overlay.jpg", write_overlay),
    "centre_lines": (".geojson", write_lines),
    "mask": (".png", write_mask),
}
"""Kind of result -> what follows a photo's name, and who writes it. The mask comes last: where it is, all are."""


def outputs(folder: Path, name: str, kinds: list[str]) -> list[Path]:
    """The files that a photo becomes."""
    return [folder / f"{name}{WRITERS[kind][0]}" for kind in kinds]


def is_done(photo: Path, files: list[Path]) -> bool:
    """Whether all files of a photo are there, and none is older than the photo."""
    changed = photo.stat().st_mtime_ns
    return all(file.is_file() and file.stat().st_mtime_ns >= changed for file in files)


def write(folder: Path, name: str, kinds: list[str], result: Result) -> None:
    """Write what is wanted of a photo.

    Raises:
        DataError: where a link leads out of the folder.
    """
    for kind, path in zip(kinds, outputs(folder, name, kinds), strict=True):
        if not path.parent.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{path} leads out of {folder} by a link, to {path.parent.resolve()}: remove the link")
        WRITERS[kind][1](path, result)
