"""Drawn cracks, without files."""

from pathlib import Path

import numpy as np

from cracklab.data.images import Array
from cracklab.data.layouts.base import Layout, register
from cracklab.data.samples import Problem, Record, Side
from cracklab.errors import ConfigError
from cracklab.synthetic.draw import draw


@register("synthetic")
class Synthetic(Layout):
    """Facade-like textures with branching cracks of 1 to 6 px, drawn from a seed; `data.root` is not read.

    Args:
        train: number of training images.
        val: number of validation images.
        test: number of test images.
        size: height and width, px.
        seed: other seeds, other images.
    """

    needs_root = False

    def __init__(
        self, train: int = 200, val: int = 40, test: int = 60, size: tuple[int, int] = (128, 128), seed: int = 0
    ) -> None:
        if min(train, val, test) < 0 or train < 1 or min(size) < 16:
            raise ConfigError(
                f"{train}, {val}, {test} images of {size} px: at least one for training, and 16 px, are needed"
            )
        self.numbers: dict[Side, int] = {"train": train, "val": val, "test": test}
        self.size, self.seed = size, seed

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Names of the images, every one a photo of its own."""
        names = [(split, f"{split}-{i:05d}") for split, number in self.numbers.items() for i in range(number)]
        return [Record(name, name, id=name, split=split, group=name, source="synthetic") for split, name in names], []

    def files(self, record: Record) -> tuple[str, ...]:
        """None."""
        return ()

    def read(self, record: Record) -> tuple[Array, Array]:
        """Draw one image and its mask."""
        number = record.image.rpartition("-")[2]
        key = np.random.SeedSequence((self.seed, list(self.numbers).index(record.split or "train"), int(number)))
        return draw(int(key.generate_state(1)[0]), size=self.size)

    def read_image(self, record: Record) -> Array:
        """Draw one image, without its mask."""
        return self.read(record)[0]

    def read_mask(self, record: Record) -> Array:
        """Draw one image, and keep its mask."""
        return self.read(record)[1]
