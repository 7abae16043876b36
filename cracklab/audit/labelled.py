"""A labelled data set with the probabilities of nets that never saw the image: of a finished kfold, or of a checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from cracklab import run_folder
from cracklab.audit.agreement import Floats
from cracklab.data.image_files import stored_size
from cracklab.data.images import IGNORE, Array, read_values
from cracklab.data.layouts import Layout
from cracklab.data.parallel import THREADS
from cracklab.data.samples import Record
from cracklab.data.transform import EvalTransform
from cracklab.errors import DataError
from cracklab.geometry.masks import Mask

BYTES_PER_PX = 64
"""Memory that comparing one image takes at its peak, per pixel, with the image itself."""


@dataclass(frozen=True)
class Labelled:
    """Images and masks, and for each image files of probabilities.

    Attributes:
        layout: reads images and masks.
        records: the images.
        files: id -> files of probabilities, 8 bit, whose mean counts.
        thresholds: id -> probability above which the net predicts crack.
        crop: side of the square in the centre of the image that the net saw, px; None: the whole image.
        exclude: list of the images that are left out already; None: no list.
    """

    layout: Layout
    records: Sequence[Record]
    files: Mapping[str, Sequence[Path]]
    thresholds: Mapping[str, float]
    crop: int | None = None
    exclude: str | None = None

    def photo(self, record: Record) -> Array:
        """Return the photo, (H, W, 3) uint8 RGB."""
        return EvalTransform(crop=self.crop).cropped(self.layout.read(record)[0])

    def mask(self, record: Record) -> tuple[Mask, Mask, tuple[int, int]]:
        """Return the mask (H, W), whether each of its pixels counts, and the x and y of its corner in the image, px."""
        whole = self.layout.read(record)[1]
        mask = EvalTransform(crop=self.crop).cropped(whole)
        y, x = (max(0, (outer - inner) // 2) for outer, inner in zip(whole.shape, mask.shape, strict=True))
        return mask == 1, mask != IGNORE, (x, y)

    def probability(self, record: Record, shape: tuple[int, int]) -> Floats:
        """Return the mean of the probabilities of an image, (H, W).

        Raises:
            DataError: for a file that is damaged, or of another size than the mask.
        """
        total = np.zeros(shape, np.float32)
        for file in self.files[record.id]:
            try:
                stored = read_values(str(file), max_megapixels=max(1.0, shape[0] * shape[1] / 1e6))
                found = f"{stored.dtype} of shape {stored.shape}"
            except DataError as error:
                stored, found = None, f"unreadable ({str(error).partition(': ')[0]})"
            if stored is None or stored.dtype != np.uint8 or stored.shape != shape:
                raise DataError(
                    f"the probabilities {str(file)!r} are {found} instead of uint8 of shape {shape}: remove {run_folder.TEST_METRICS} "
                    "beside them and run kfold again with --redo, or audit into another --out"
                )
            total += stored
        return total / np.float32(255 * len(self.files[record.id]))

    def num_threads(self) -> int:
        """Return the number of threads whose images fit into half of the free memory, by the largest image."""
        largest = max((_pixels(files[0]) for files in self.files.values()), default=0)
        return threads_for(largest, psutil.virtual_memory().available / 2)


def threads_for(pixels: int, memory: float) -> int:
    """Return the number of threads, at least 1, whose images of this number of pixels fit into some bytes of memory.

    Example:
        >>> threads_for(100_000_000, 8e9)
        1
    """
    return int(min(THREADS, max(1, memory // (BYTES_PER_PX * max(pixels, 1)))))


def _pixels(path: Path) -> int:
    """Return the number of pixels of an image file; 0 if it cannot be read, which is reported where it is needed."""
    try:
        with path.open("rb") as file:
            height, width = stored_size(file)
    except OSError:
        return 0
    return height * width


def one_class(layout: Any) -> None:
    """Check that a layout has crack masks.

    Raises:
        DataError: for several classes.
    """
    if layout.num_classes > 1:
        raise DataError(
            f"the masks have {layout.num_classes} classes, and an audit compares masks of crack and background: audit data of one class"
        )
