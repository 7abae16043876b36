"""The prediction of one photo: probability, mask, overlay and cracks, and the files that they become."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cracklab import pictures
from cracklab.data.images import Array
from cracklab.data.resizing import fit_jpeg
from cracklab.errors import ConfigError, DataError
from cracklab.files import read_png_text, sha256, write_image
from cracklab.pictures.colours import CLASSES, CRACK
from cracklab.registry import nearest

if TYPE_CHECKING:  # both take a second to import, and masks need neither
    import pandas as pd

    from cracklab.measure import Measurement

ROWS = 256
"""Number of rows of a photo that are painted at once; painting takes several times their memory."""

Kind = Literal["probability", "overlay", "centre_lines", "mask"]
SUFFIXES: dict[Kind, str] = {
    "probability": "_probability.png",
    "overlay": "_overlay.jpg",
    "centre_lines": ".geojson",
    "mask": ".png",
}
"""Kind of file -> suffix after the photo's name. The mask is written last: if it exists, so do the others."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """A photo and the cracks that were found in it.

    Attributes:
        photo: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8: 255 on cracks, else 0; with several classes, the index of the most probable one. `cracklab predict`
            writes the same array.
        stored_probability: (H, W), 0 to 1 as float32 or 0 to 65535 as uint16; None if it was not kept.
        num_classes: number of classes; 1 for crack or not.
        path: file of the photo; None for an array.
        mm_per_px: scale of the photo; None if unknown.
        photo_sha256: checksum of the file of the photo, which the mask keeps for later starts of `cracklab predict`; None: nothing is kept.

    Example:
        >>> photo, mask = np.full((40, 60, 3), 200, np.uint8), np.zeros((40, 60), np.uint8)
        >>> mask[20, 10:51] = 255  # a crack of 1 x 41 px
        >>> result = Prediction(photo, mask, np.float32(mask / 255), mm_per_px=0.5)
        >>> result.probability.max()
        np.float32(1.0)
        >>> result.overlay()[[10, 20], 30].tolist()  # wall, crack
        [[200, 200, 200], [208, 136, 80]]
        >>> result.cracks[["crack", "length_px", "length_mm"]].round().to_dict("records")
        [{'crack': 1, 'length_px': 41.0, 'length_mm': 20.0}]
    """

    photo: Array = field(repr=False)
    mask: Array = field(repr=False)
    stored_probability: NDArray[np.float32] | NDArray[np.uint16] | None = field(repr=False)
    num_classes: int = 1
    path: Path | None = None
    mm_per_px: float | None = None
    photo_sha256: str | None = None

    @property
    def name(self) -> str:
        """Name of the files that `save` writes: that of the photo without its ending, `photo` for an array."""
        return "photo" if self.path is None else self.path.stem

    @property
    def probability(self) -> NDArray[np.float32]:
        """(H, W) float32, 0 to 1: probability of crack; with several classes, that of the most probable one.

        Raises:
            ConfigError: if the predictor was told not to keep it.
        """
        if self.stored_probability is None:
            raise ConfigError("probabilities were not kept: call predict() without keep_probability=None")
        if self.stored_probability.dtype == np.uint16:
            return np.divide(self.stored_probability, 65535, dtype=np.float32)
        return np.asarray(self.stored_probability, np.float32)

    @cached_property
    def measurement(self) -> "Measurement":
        """Centre lines, widths and summary of the cracks, px; with several classes, everything but the first is crack."""
        from cracklab.measure import measure_mask

        return measure_mask(self.mask > 0, self.mm_per_px)

    @property
    def cracks(self) -> "pd.DataFrame":
        """One row per crack, the longest first, with the columns of `cracklab measure`; mm columns only with `mm_per_px`."""
        frame = self.measurement.to_frame()
        in_mm = [name for name in frame.columns if name.endswith(("_mm", "_mm2"))]
        return frame if self.mm_per_px is not None else frame.drop(columns=in_mm)

    def overlay(self) -> Array:
        """Return the photo (H, W, 3) with cracks in colour; with several classes, every one but the first."""
        canvas = np.empty_like(self.photo)
        self._paint(canvas)
        return canvas

    def save(
        self,
        folder: str | Path,
        kinds: Sequence[Kind] = ("mask", "overlay"),
        name: str | None = None,
        *,
        reuse_photo: bool = False,
    ) -> list[Path]:
        """Write files as `cracklab predict` does, each whole or not at all.

        Args:
            folder: made if it is missing.
            kinds: `mask`: NAME.png; `overlay`: NAME_overlay.jpg; `probability`: NAME_probability.png, 16 bit, 65535 for 1;
                `centre_lines`: NAME.geojson, which takes several times the memory of the rest.
            name: of the files, without an ending; None: `name`.
            reuse_photo: paint the overlay over `photo`, which saves its memory and spoils it.

        Returns:
            The files, in the order in which they were written.

        Raises:
            ConfigError: for an unknown kind, or a probability that was not kept.
            DataError: if a file would replace the photo, or lead out of the folder by a link.
            OSError: if a file cannot be written.

        Example:
            >>> import tempfile
            >>> grey = np.zeros((20, 30), np.uint8)
            >>> result = Prediction(np.zeros((20, 30, 3), np.uint8), grey, None)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     [path.name for path in result.save(folder, name="wall")]
            ['wall_overlay.jpg', 'wall.png']
        """
        for kind in kinds:
            if kind not in SUFFIXES:
                raise ConfigError(f"no file of a prediction is called {kind!r}{nearest(kind, list(SUFFIXES))}")
        ordered = [kind for kind in SUFFIXES if kind in kinds]
        files = output_files(Path(folder), self.name if name is None else name, ordered)
        self._check_files(Path(folder), files)
        for kind, file in zip(ordered, files, strict=True):
            self._write(
                kind, file, reuse_photo, "" if self.photo_sha256 is None else _record(self.photo_sha256, ordered)
            )
        return files

    def _check_files(self, folder: Path, files: Sequence[Path]) -> None:
        for file in files:
            if not file.parent.resolve().is_relative_to(folder.resolve()):
                raise DataError(f"{file} leads out of {folder} by a link, to {file.parent.resolve()}: remove the link")
            if self.path is not None and os.path.realpath(file) == os.path.realpath(self.path):
                raise DataError(f"{file} is the photo, and would be overwritten: choose another folder")

    def _write(self, kind: Kind, file: Path, reuse_photo: bool, record: str) -> None:
        if kind == "mask":
            write_image(file, self.mask, png_text=record)
        elif kind == "probability":
            write_image(file, self._probability_16_bit())
        elif kind == "overlay":
            canvas = self.photo if reuse_photo else np.empty_like(self.photo)
            rgb = canvas[..., ::-1]  # written in OpenCV's order of colours, so that the file needs no copy
            self._paint(rgb)
            write_image(file, fit_jpeg(rgb))
        else:
            from cracklab.predict.geojson import write_centre_lines

            write_centre_lines(file, self.measurement)

    def _paint(self, canvas: Array) -> None:
        """Paint the overlay into an array (H, W, 3), a band at a time; the array may be a view of the photo itself."""
        several = self.num_classes > 1
        for top in range(0, len(self.photo), ROWS):
            rows = slice(top, top + ROWS)
            part, mask = self.photo[rows], self.mask[rows]
            for index in range(1, int(mask.max()) + 1) if several else (255,):
                colour = CLASSES[(index - 1) % len(CLASSES)] if several else CRACK
                part = pictures.overlay(part, mask == index, colour)
            canvas[rows] = part

    def _probability_16_bit(self) -> NDArray[np.uint16]:
        stored: NDArray[Any] | None = self.stored_probability
        if stored is not None and stored.dtype == np.uint16:
            return stored
        return np.rint(self.probability * 65535).astype(np.uint16)


def output_files(folder: Path, name: str, kinds: Sequence[Kind]) -> list[Path]:
    """Return the files of a photo's prediction.

    Example:
        >>> [path.as_posix() for path in output_files(Path("out"), "east/wall", ["overlay", "mask"])]
        ['out/east/wall_overlay.jpg', 'out/east/wall.png']
    """
    return [folder / f"{name}{SUFFIXES[kind]}" for kind in kinds]


def _record(photo_sha256: str, kinds: Sequence[Kind]) -> str:
    """Return what a mask keeps for later starts: the checksum of its photo, and the kinds of files that were made with it."""
    return json.dumps({"photo_sha256": photo_sha256, "files": list(kinds)})


def checksum_of(photo: Path) -> str | None:
    """Return the checksum of a photo; None if it cannot be read, or is no file."""
    try:
        return sha256(photo) if photo.is_file() else None  # reading a pipe would wait forever
    except OSError:
        return None


def is_done(photo: Path, files: Sequence[Path], kinds: Sequence[Kind] = ()) -> bool:
    """Return whether all files of a photo exist and were made from it; False if one cannot have its name.

    The mask says so by its record, whatever the times of the files. Without a record, in a mask of an earlier version or one
    that was saved by another program, no file may be older than the photo.

    Args:
        photo: its file.
        files: of the results, the mask last.
        kinds: of these files.

    Example:
        >>> is_done(Path(__file__), [Path(__file__)]), is_done(Path(__file__), [Path("missing.png")])
        (True, False)
    """
    try:
        if not all(file.is_file() for file in files):
            return False
        if record := read_png_text(files[-1]):
            known = json.loads(record)
            return {*kinds} <= {*known["files"]} and known["photo_sha256"] == checksum_of(photo)
        changed = photo.stat().st_mtime_ns
        return all(file.stat().st_mtime_ns >= changed for file in files)
    except (OSError, ValueError, LookupError, TypeError):  # a damaged record too
        return False


def check_scale(mm_per_px: float | None) -> None:
    """Check the scale of a photo; None is an unknown one.

    Raises:
        ConfigError: for a scale that is not a positive number.

    Example:
        >>> check_scale(-0.5)
        Traceback (most recent call last):
        cracklab.errors.ConfigError: mm_per_px is -0.5: give a positive number
    """
    if mm_per_px is not None and not 0 < mm_per_px < math.inf:
        raise ConfigError(f"mm_per_px is {mm_per_px}: give a positive number")
