"""Photos cut into tiles."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cracklab.bounds import NonNegativeInt, PositiveInt, SidePx, bounded
from cracklab.data.images import Array, crack_pixels
from cracklab.data.layouts.base import Index, Layout, register
from cracklab.data.samples import Record
from cracklab.errors import DataError

CORNER = "tile"
"""Column of a record with the top left corner of its tile, `ROW,COLUMN`, px."""


@register("tiles")
@bounded
class Tiles(Layout):
    """The photos of another layout, cut into adjacent square tiles; incomplete tiles at the right and the bottom are dropped.

    The tile `NAME_ROW_COLUMN` has its top left corner at that row and column of the photo `NAME`, px. Its group is that of the
    photo, or `NAME`.

    Args:
        layout: of the photos and their masks.
        side: of a tile, px.
        empty: whether to keep tiles without crack.
        photos: use only this many photos, chosen at random by `seed`; None: all.
        split: whether to keep the published sides of the photos.
        seed: of the choice of photos.
    """

    def __init__(
        self,
        layout: Layout,
        side: SidePx = 512,
        empty: bool = True,
        photos: PositiveInt | None = None,
        split: bool = True,
        seed: NonNegativeInt = 0,
    ) -> None:
        self.layout, self.side, self.empty, self.photos = layout, side, empty, photos
        self.split, self.seed = split, seed
        self.num_classes, self.class_names, self.needs_root = layout.num_classes, layout.class_names, layout.needs_root

    def index(self, root: Path) -> Index:
        """Return one record for each tile; reads every mask."""
        records, problems = self.layout.index(root)
        records = sorted(records, key=lambda record: record.image)
        if self.photos is not None:
            if self.photos > len(records):
                raise DataError(
                    f"data.layout.photos is {self.photos}, but there are only {len(records)} photos: lower it"
                )
            chosen = np.random.default_rng((self.seed, len(records))).permutation(len(records))[: self.photos]
            records = [records[i] for i in sorted(chosen)]
        return [tile for record in records for tile in self._tiles(record)], problems

    def _tiles(self, record: Record) -> list[Record]:
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
                columns={**record.columns, CORNER: f"{top},{left}"},
            )
            for top, left in corners
            if self.empty or cracked[top : top + self.side, left : left + self.side].any()
        ]

    def files(self, record: Record) -> tuple[str, ...]:
        """Return all files that the photo and its mask are read from."""
        return self.layout.files(record)

    def read(self, record: Record) -> tuple[Array, Array]:
        """Decode the photo and its mask, and cut out the tile."""
        image, mask = self.layout.read(record)
        return self._cut(image, record), self._cut(mask, record)

    def redrawn(self, record: Record, epoch: int) -> tuple[Array, Array] | None:
        """Redraw the photo and its mask with their layout, and cut out the tile; tiles of a photo are cut from the same one."""
        pair = self.layout.redrawn(record, epoch)
        return None if pair is None else (self._cut(pair[0], record), self._cut(pair[1], record))

    def read_image(self, record: Record) -> Array:
        """Decode the photo, and cut out the tile."""
        return self._cut(self.layout.read_image(record), record)

    def read_mask(self, record: Record) -> Array:
        """Decode the mask, and cut out the tile."""
        return self._cut(self.layout.read_mask(record), record)

    def _cut(self, array: Array, record: Record) -> Array:
        top, left = map(int, record.columns[CORNER].split(","))
        return array[top : top + self.side, left : left + self.side]
