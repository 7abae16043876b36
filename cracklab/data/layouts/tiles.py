"""Photos cut into squares."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cracklab.data.images import Array, crack_pixels
from cracklab.data.layouts.base import Layout, register
from cracklab.data.samples import Problem, Record
from cracklab.errors import ConfigError, DataError

PLACE = "tile"
"""Column of a record: where its square begins, `ROW,COLUMN`, px."""


@register("tiles")
class Tiles(Layout):
    """The photos of another layout, cut into squares side by side; what is left at the right and the bottom is dropped.

    A square is called `NAME_ROW_COLUMN` after where it begins, px, and is of the photo `NAME`, or of that photo's group.

    Args:
        layout: where the photos and their masks lie.
        side: of the squares, px.
        empty: whether squares without any crack are kept.
        photos: so many photos are taken, at random by `seed`; None: all.
        split: whether the photos' published sides are kept.
        seed: of the choice of photos.
    """

    def __init__(
        self,
        layout: Layout,
        side: int = 512,
        empty: bool = True,
        photos: int | None = None,
        split: bool = True,
        seed: int = 0,
    ) -> None:
        if side < 1 or (photos is not None and photos < 1):
            raise ConfigError(f"tiles of side {side} from {photos} photos: both must be at least 1")
        self.layout, self.side, self.empty, self.photos = layout, side, empty, photos
        self.split, self.seed = split, seed
        self.num_classes, self.class_names, self.needs_root = layout.num_classes, layout.class_names, layout.needs_root

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """One record a square; every mask is read for it."""
        records, problems = self.layout.index(root)
        records = sorted(records, key=lambda record: record.image)
        if self.photos is not None:
            if self.photos > len(records):
                raise DataError(f"layout tiles wants {self.photos} photos of {len(records)}: lower data.layout.photos")
            chosen = np.random.default_rng((self.seed, len(records))).permutation(len(records))[: self.photos]
            records = [records[i] for i in sorted(chosen)]
        return [tile for record in records for tile in self._cut(record)], problems

    def _cut(self, record: Record) -> list[Record]:
        mask = self.layout.read_mask(record)
        cracked = crack_pixels(mask)
        corners = [
            (top, left)
            for top in range(0, mask.shape[0] - self.side + 1, self.side)
            for left in range(0, mask.shape[1] - self.side + 1, self.side)
        ]
        return [
            replace(
                record,
                id=f"{record.id or record.stem}_{top}_{left}",
                group=record.group or record.stem,
                split=record.split if self.split else None,
                columns={**record.columns, PLACE: f"{top},{left}"},
            )
            for top, left in corners
            if self.empty or cracked[top : top + self.side, left : left + self.side].any()
        ]

    def files(self, record: Record) -> tuple[str, ...]:
        """As the photo's layout has it."""
        return self.layout.files(record)

    def read(self, record: Record) -> tuple[Array, Array]:
        """Decode the photo and its mask, and cut the square."""
        image, mask = self.layout.read(record)
        return self._square(image, record), self._square(mask, record)

    def read_image(self, record: Record) -> Array:
        """Decode the photo, and cut the square."""
        return self._square(self.layout.read_image(record), record)

    def read_mask(self, record: Record) -> Array:
        """Decode the mask, and cut the square."""
        return self._square(self.layout.read_mask(record), record)

    def _square(self, array: Array, record: Record) -> Array:
        top, left = map(int, record.columns[PLACE].split(","))
        return array[top : top + self.side, left : left + self.side]
