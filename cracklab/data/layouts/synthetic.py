"""Drawn photos of cracks, without files."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from cracklab.bounds import NonNegativeInt, PositiveInt, bounded
from cracklab.data.images import Array
from cracklab.data.layouts.base import Index, Layout, register
from cracklab.data.samples import Record, Side
from cracklab.synthetic.draw import SMALLEST, draw
from cracklab.synthetic.randomized.draw import draw as draw_randomized

Domain = Literal["walls", "randomized"]
DrawnSide = Annotated[int, Ge(SMALLEST), Le(32_767)]
"""Height or width of a drawn photo, px."""


@register("synthetic")
@bounded
class Synthetic(Layout):
    """Photos of cracks, drawn from a seed; `data.root` is not read.

    Args:
        train: number of training images.
        val: number of validation images.
        test: number of test images.
        size: height and width, px.
        seed: different seeds give different images.
        domain: `walls`: photos of walls with branching cracks 1 to 6 px wide; `randomized`: photos of any surface with cracks
            from hairlines to 40 px, with objects that are not cracks and the faults of cameras, a fifth of them without cracks.
        redraw: redraw the training images in every epoch; those of epoch 0, and all validation and test images, are the
            ones of the fixed set.
    """

    needs_root = False

    def __init__(
        self,
        train: PositiveInt = 200,
        val: NonNegativeInt = 40,
        test: NonNegativeInt = 60,
        size: tuple[DrawnSide, DrawnSide] = (128, 128),
        seed: NonNegativeInt = 0,
        domain: Domain = "walls",
        redraw: bool = False,
    ) -> None:
        self.counts: dict[Side, int] = {"train": train, "val": val, "test": test}
        self.size, self.seed, self.domain, self.redraw = size, seed, domain, redraw

    def index(self, root: Path) -> Index:
        """Return the names of the images, each a photo of its own."""
        names = [(side, f"{side}-{i:05d}") for side, count in self.counts.items() for i in range(count)]
        return [Record(name, name, id=name, split=side, group=name, source="synthetic") for side, name in names], []

    def files(self, record: Record) -> tuple[str, ...]:
        """Return nothing, since no files are read."""
        return ()

    def read(self, record: Record) -> tuple[Array, Array]:
        """Draw one image of the fixed set and its mask."""
        return self._draw(record)

    def redrawn(self, record: Record, epoch: int) -> tuple[Array, Array] | None:
        """Redraw one image for an epoch; a function of (seed, side, number of the image, epoch)."""
        return self._draw(record, epoch) if self.redraw else None

    def _draw(self, record: Record, epoch: int = 0) -> tuple[Array, Array]:
        number = int(record.image.rpartition("-")[2])
        key = (self.seed, list(self.counts).index(record.split or "train"), number)
        words = np.random.SeedSequence(key, spawn_key=(epoch,) if epoch else ())
        if self.domain == "walls":
            return draw(int(words.generate_state(1)[0]), size=self.size)
        return draw_randomized(np.random.default_rng(words), self.size)

    def read_image(self, record: Record) -> Array:
        """Draw one image."""
        return self.read(record)[0]

    def read_mask(self, record: Record) -> Array:
        """Draw one mask."""
        return self.read(record)[1]
