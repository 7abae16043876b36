"""Pairs read, cropped and resized, once per machine; and the target maps of what is never augmented."""

import hashlib
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cracklab.data import cache
from cracklab.data.dataset import CrackDataset, Pairs
from cracklab.data.duplicates import thumbnail
from cracklab.data.images import Array, crack_pixels
from cracklab.data.layouts import Layout
from cracklab.data.samples import Record, Side
from cracklab.data.transform import EvalTransform


class Preparation:
    """Reads and prepares a pair: what a cache is made from, and what stands in for it where there is none.

    With each pair come the crack share of the mask, (), and a thumbnail of the image, (32, 32), as they are on disk:
    folds must not depend on the resize.
    """

    def __init__(self, records: Sequence[Record], layout: Layout, transform: EvalTransform) -> None:
        self.records, self.layout, self.transform = records, layout, transform

    def __getitem__(self, index: int) -> tuple[Array, Array, NDArray[np.float64], Array]:
        image, mask = self.layout.read(self.records[index])
        share = np.asarray(crack_pixels(mask).mean(), np.float64)
        return *self.transform.prepare(image, mask, self.layout.num_classes), share, thumbnail(image)


class Prepared:
    """All pairs of an index, prepared, from the cache where there is one.

    Args:
        records: the index.
        layout: how its files are read.
        transform: how pairs are prepared.
        place: where the cache lies.
        limit_gb: most memory that it may take, 1e9 bytes.

    Raises:
        DataError: every file that cannot be read, at once.
    """

    def __init__(
        self,
        records: Sequence[Record],
        layout: Layout,
        transform: EvalTransform,
        place: Literal["memory", "disk", "none"],
        limit_gb: float,
    ) -> None:
        self.place, self.limit_gb = place, limit_gb
        self._stores: dict[str, cache.Store] = {}
        direct, number = Preparation(records, layout, transform), len(records)
        self.pairs: Pairs = direct
        """Position in the index -> image and mask, as a net sees them before augmentation."""
        if place == "none":
            facts: list[Sequence[Any]] = list(cache.in_order(lambda i: direct[i][2:], number, "Reading images"))
        else:
            self._key = _hash(records, layout, transform)
            self.pairs = self._stores["all"] = cache.build(self._key, number, direct.__getitem__, place, limit_gb)
            facts = [self._stores["all"][i][2:] for i in range(number)]
        self.shares: NDArray[np.float64] = np.array([float(share) for share, _ in facts])
        """(N,) crack share of each mask as it is on disk."""
        self.thumbnails: list[Array] = [small for _, small in facts]
        """Thumbnail of each image as it is on disk."""

    def maps(self, data: CrackDataset, side: Side) -> Pairs | None:
        """The target maps of a side that is not augmented, in what is left of the cache's memory; None without a cache."""
        if self.place != "none" and side not in self._stores:
            wanted = repr((side, data.positions, data.maps, data.map_options))
            key = hashlib.sha256((self._key + wanted).encode()).hexdigest()[:24]
            left = self.limit_gb - sum(store.gigabytes for store in self._stores.values() if store.temporary)

            def make(index: int) -> list[NDArray[Any]]:
                return [map.numpy() for map in data[index]["maps"].values()]

            self._stores[side] = cache.build(key, len(data), make, self.place, left, "Computing target maps")
        return self._stores.get(side)


def _hash(records: Sequence[Record], layout: Layout, transform: EvalTransform) -> str:
    """A name for all that the pairs depend on: files, settings, and the code that reads them."""
    digest = hashlib.sha256(pickle.dumps((layout, transform)))
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    for record in records:
        for path in layout.files(record):
            state = os.stat(path)
            digest.update(repr((path, state.st_mtime_ns, state.st_size)).encode())
        digest.update(record.id.encode())
    return digest.hexdigest()[:24]
