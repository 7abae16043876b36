"""The data set, whose samples are a pure function of (seed, epoch, index)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cracklab.batch import Sample
from cracklab.data.augment import Policy
from cracklab.data.images import IGNORE, Array, crack_pixels
from cracklab.data.maps import compute_maps
from cracklab.data.transform import EvalTransform


class Pairs(Protocol):
    """Prepared pairs: position in the index -> image (H, W, 3) uint8 RGB and mask (H, W) uint8; further items are ignored."""

    def __getitem__(self, index: int) -> Sequence[Any]: ...


class CrackDataset(Dataset[Sample]):
    """Prepared pairs as samples: cropped at random, augmented, and with target maps.

    Args:
        pairs: prepared pairs.
        ids: id of each pair.
        positions: positions in `pairs` of the samples; a repeated position is a sample of its own, augmented differently.
        transform: converts images to the channels that the net reads.
        num_classes: 1 for crack or not.
        seed: the run's seed.
        policy: augmentation; None for evaluation, which does not crop either.
        crop: side of the random square crop, px; None: the whole image.
        crack_rate: share of the random crops that are placed around a crack pixel, if the image has one.
        maps: names of the target maps to compute.
        map_options: see `cracklab.data.maps.OPTIONS`.
        cached_maps: the target maps of each sample, in the order of `maps`, if they were computed before.
        redrawn: returns the pair of (position, epoch) that is redrawn for the epoch, or None for the pair of `pairs`.
    """

    def __init__(
        self,
        pairs: Pairs,
        ids: Sequence[str],
        positions: Sequence[int],
        transform: EvalTransform,
        num_classes: int = 1,
        seed: int = 0,
        policy: Policy | None = None,
        crop: int | None = None,
        crack_rate: float = 0.5,
        maps: Sequence[str] = (),
        map_options: Mapping[str, float] | None = None,
        cached_maps: Pairs | None = None,
        redrawn: Callable[[int, int], tuple[Array, Array] | None] | None = None,
    ) -> None:
        self.pairs, self.ids, self.positions, self.transform = pairs, ids, positions, transform
        self.num_classes, self.seed, self.policy = num_classes, seed, policy
        self.crop, self.crack_rate = crop, crack_rate
        self.maps, self.map_options, self.cached_maps = tuple(maps), dict(map_options or {}), cached_maps
        self.redrawn = redrawn

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, key: tuple[int, int] | int) -> Sample:
        """Return the sample of (epoch, index); an index alone means epoch 0."""
        epoch, index = (0, key) if isinstance(key, int) else key
        position = self.positions[index]
        image, mask = (self.redrawn and self.redrawn(position, epoch)) or self.pairs[position][:2]
        if self.policy is not None:
            rng = np.random.default_rng((self.seed, epoch, index))
            if self.crop is not None:
                window = random_window(mask, self.crop, self.crack_rate, rng)
                image, mask = image[window], mask[window]
            image, mask = self.policy(image, mask, rng, self.num_classes)
        valid = mask != IGNORE
        mask = mask * valid
        return Sample(
            id=self.ids[position],
            image=torch.from_numpy(self.transform.planes(image)),
            mask=torch.from_numpy(mask)[None],
            valid=torch.from_numpy(valid)[None],
            maps={name: torch.from_numpy(map) for name, map in self._maps(index, mask, valid).items()},
            size=(mask.shape[0], mask.shape[1]),
        )

    def _maps(self, index: int, mask: Array, valid: NDArray[np.bool_]) -> Mapping[str, NDArray[np.float32]]:
        if not self.maps:
            return {}
        if self.cached_maps is not None:
            return {name: np.array(map) for name, map in zip(self.maps, self.cached_maps[index], strict=True)}
        classes = (
            mask == 1 if self.num_classes == 1 else mask == np.arange(self.num_classes, dtype=np.uint8)[:, None, None]
        )
        return compute_maps(classes, self.maps, None if valid.all() else valid, self.map_options)


def random_window(mask: Array, side: int, crack_rate: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw a random square crop, as slices of rows and columns; it is no larger than the image.

    Args:
        mask: (H, W) uint8 class index.
        side: side of the square, px.
        crack_rate: probability that the square contains a randomly drawn crack pixel, if the mask has one.
        rng: random generator.

    Example:
        >>> random_window(np.zeros((8, 9), np.uint8), side=8, crack_rate=0, rng=np.random.default_rng(0))[0]
        slice(0, 8, None)
    """
    height, width = mask.shape
    most = np.maximum((height - side, width - side), 0)
    top, left = rng.integers(0, most + 1)
    cracks = np.flatnonzero(crack_pixels(mask)) if rng.random() < crack_rate else ()
    if len(cracks):
        pixel = divmod(int(cracks[rng.integers(len(cracks))]), width)
        top, left = np.clip(pixel - rng.integers(0, side, 2), 0, most)
    return slice(int(top), int(top) + side), slice(int(left), int(left) + side)
