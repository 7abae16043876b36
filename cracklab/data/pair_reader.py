"""Reading and preparing one pair of image and mask."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cracklab.data.duplicates import thumbnail
from cracklab.data.images import Array, crack_pixels
from cracklab.data.layouts import Layout
from cracklab.data.samples import Record
from cracklab.data.transform import EvalTransform


class PairReader:
    """Reads and prepares the pair at a position in the index; a cache holds exactly these arrays.

    An item is the prepared image and mask, then the crack share of the mask, (), and a thumbnail of the image, (32, 32).
    Share and thumbnail are of the files as they are on disk, because folds must not depend on the resize.
    """

    def __init__(self, records: Sequence[Record], layout: Layout, transform: EvalTransform) -> None:
        self.records, self.layout, self.transform = records, layout, transform

    def __getitem__(self, position: int) -> tuple[Array, Array, NDArray[np.float64], Array]:
        image, mask = self.layout.read(self.records[position])
        share = np.asarray(crack_pixels(mask).mean(), np.float64)
        return *self.transform.prepare(image, mask, self.layout.num_classes), share, thumbnail(image)

    def redrawn(self, position: int, epoch: int) -> tuple[Array, Array] | None:
        """Return the prepared image and mask that the layout redraws for an epoch; None if it does not."""
        pair = self.layout.redrawn(self.records[position], epoch)
        return None if pair is None else self.transform.prepare(*pair, self.layout.num_classes)
