"""Drawn photos of cracks, without files."""

from pathlib import Path

import numpy as np

from cracklab.data.images import Array
from cracklab.data.layouts.base import Index, Layout, register
from cracklab.data.samples import Record, Side
from cracklab.errors import ConfigError
from cracklab.synthetic.draw import draw


@register("synthetic")
class Synthetic(Layout):
    """Photos of walls with branching cracks 1 to 6 px wide, drawn from a seed; `data.root` is not read.

    Args:
        train: number of training images.
        val: number of validation images.
        test: number of test images.
        size: height and width, px.
        seed: different seeds give different images.
    """

    needs_root = False

    def __init__(
        self, train: int = 200, val: int = 40, test: int = 60, size: tuple[int, int] = (128, 128), seed: int = 0
    ) -> None:
        if min(train, val, test) < 0 or train < 1 or min(size) < 16:
            raise ConfigError(
                f"synthetic data of {train} training, {val} validation and {test} test images, {size[0]} x {size[1]} px: "
                "give at least 1 training image, no negative number, and at least 16 x 16 px"
            )
        self.counts: dict[Side, int] = {"train": train, "val": val, "test": test}
        self.size, self.seed = size, seed

    def index(self, root: Path) -> Index:
        """Return the names of the images, each a photo of its own."""
        names = [(side, f"{side}-{i:05d}") for side, count in self.counts.items() for i in range(count)]
        return [Record(name, name, id=name, split=side, group=name, source="synthetic") for side, name in names], []

    def files(self, record: Record) -> tuple[str, ...]:
        """Return nothing, since no files are read."""
        return ()

    def read(self, record: Record) -> tuple[Array, Array]:
        """Draw one image and its mask."""
        number = record.image.rpartition("-")[2]
        key = np.random.SeedSequence((self.seed, list(self.counts).index(record.split or "train"), int(number)))
        return draw(int(key.generate_state(1)[0]), size=self.size)

    def read_image(self, record: Record) -> Array:
        """Draw one image."""
        return self.read(record)[0]

    def read_mask(self, record: Record) -> Array:
        """Draw one mask."""
        return self.read(record)[1]
