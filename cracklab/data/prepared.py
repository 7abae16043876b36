"""All pairs of an index, prepared once per machine, and the target maps of images that are never augmented."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cracklab.data import cache
from cracklab.data.cache_key import maps_key, pairs_key
from cracklab.data.dataset import CrackDataset, Pairs
from cracklab.data.images import Array
from cracklab.data.layouts import Layout
from cracklab.data.pair_reader import PairReader
from cracklab.data.parallel import parallel_map
from cracklab.data.samples import Record, Side
from cracklab.data.transform import EvalTransform


class PreparedData:
    """All pairs of an index, prepared; read from the cache, or from their files if there is no cache.

    Args:
        records: the index.
        layout: reads the files.
        transform: prepares the pairs.
        place: where the cache is kept.
        limit_gb: the most memory that the cache may take, 1e9 bytes.

    Raises:
        DataError: for files that cannot be read; names all of them.
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
        reader, number = PairReader(records, layout, transform), len(records)
        self.reader = reader
        """Reads pairs without the cache, and redraws pairs for an epoch."""
        self.pairs: Pairs = reader
        """Position in the index -> image and mask, as a net sees them before augmentation."""
        if place == "none":
            facts: list[Sequence[Any]] = list(parallel_map(lambda i: reader[i][2:], number, "Reading images"))
        else:
            self._key = pairs_key(records, layout, transform)
            self.pairs = self._stores["all"] = cache.open_store(self._key, number, reader.__getitem__, place, limit_gb)
            facts = [self._stores["all"][i][2:] for i in range(number)]
        self.shares: NDArray[np.float64] = np.array([float(share) for share, _ in facts])
        """(N,) crack share of each mask as it is on disk."""
        self.thumbnails: list[Array] = [small for _, small in facts]
        """Thumbnail of each image as it is on disk."""

    def maps(self, data: CrackDataset, side: Side) -> Pairs | None:
        """Return the cached target maps of a side that is not augmented; None without a cache.

        The maps take what is left of `limit_gb`, or go to disk.
        """
        name = f"{side}: {', '.join(data.maps)}"
        if self.place != "none" and name not in self._stores:
            left = self.limit_gb - sum(store.gigabytes for store in self._stores.values() if store.temporary)

            def make(index: int) -> list[NDArray[Any]]:
                return [map.numpy() for map in data[index]["maps"].values()]

            key = maps_key(self._key, data)
            self._stores[name] = cache.open_store(key, len(data), make, self.place, left, "Computing target maps")
        return self._stores.get(name)
