"""Samples as a pure function of (seed, epoch, index), and how they become a batch."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, default_collate

from cracklab.batch import Sample
from cracklab.data.augment import Policy
from cracklab.data.images import IGNORE, Array, crack_pixels
from cracklab.data.maps import compute_maps
from cracklab.data.transform import EvalTransform


class Pairs(Protocol):
    """Prepared pairs: position in the index -> image (H, W, 3) uint8 RGB, mask (H, W) uint8, and more of no concern."""

    def __getitem__(self, index: int) -> Sequence[Any]: ...


class CrackDataset(Dataset[Sample]):
    """Pairs as a net wants them.

    Args:
        pairs: prepared pairs.
        ids: name of each pair.
        positions: which pairs this data set shows; one that stands there twice is shown twice an epoch.
        transform: says how many channels an image has.
        num_classes: 1 for crack or not.
        seed: the run's seed.
        policy: augmentation; None for evaluation.
        crop: side of a random square, px; None: the whole image.
        crack_rate: share of the random squares that are placed around a crack, where there is one.
        maps: target maps to compute.
        map_options: see `cracklab.data.maps.OPTIONS`.
        mapped: the maps of each position, in that order, where they have been computed before.
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
        mapped: Pairs | None = None,
    ) -> None:
        self.pairs, self.ids, self.positions, self.transform = pairs, ids, positions, transform
        self.num_classes, self.seed, self.policy = num_classes, seed, policy
        self.crop, self.crack_rate = crop, crack_rate
        self.maps, self.map_options, self.mapped = tuple(maps), dict(map_options or {}), mapped

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, key: tuple[int, int] | int) -> Sample:
        """The sample of (epoch, index); an index alone is of epoch 0."""
        epoch, index = (0, key) if isinstance(key, int) else key
        position = self.positions[index]
        image, mask = self.pairs[position][:2]
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
        if self.mapped is not None:
            return {name: np.array(map) for name, map in zip(self.maps, self.mapped[index], strict=True)}
        classes = (
            mask == 1 if self.num_classes == 1 else mask == np.arange(self.num_classes, dtype=np.uint8)[:, None, None]
        )
        return compute_maps(classes, self.maps, None if valid.all() else valid, self.map_options)


def random_window(mask: Array, side: int, crack_rate: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """A random square, in a share of cases one that holds a crack pixel drawn at random; smaller at a small image."""
    height, width = mask.shape
    most = np.maximum((height - side, width - side), 0)
    top, left = rng.integers(0, most + 1)
    cracks = np.flatnonzero(crack_pixels(mask)) if rng.random() < crack_rate else ()
    if len(cracks):
        pixel = divmod(int(cracks[rng.integers(len(cracks))]), width)
        top, left = np.clip(pixel - rng.integers(0, side, 2), 0, most)
    return slice(int(top), int(top) + side), slice(int(left), int(left) + side)


class Collate:
    """Samples to a batch on the CPU, integers still; images of several sizes are padded at the bottom and the right.

    Images are padded by their mirror image, masks and maps by 0, and what is padded is not valid.

    Args:
        multiple: sides are padded to a multiple of this, px.
    """

    def __init__(self, multiple: int = 32) -> None:
        self.multiple = multiple

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """(B, C_in, H, W) uint8, (B, 1, H, W) uint8, (B, 1, H, W) bool or None where all are valid, maps, sizes."""
        sizes = [sample["size"] for sample in samples]
        height, width = (-(-max(side) // self.multiple) * self.multiple for side in zip(*sizes, strict=True))
        if any(size != (height, width) for size in sizes):
            samples = [_padded(sample, height, width) for sample in samples]
        valid = default_collate([sample["valid"] for sample in samples])
        return {
            "id": [sample["id"] for sample in samples],
            "image": default_collate([sample["image"] for sample in samples]),
            "mask": default_collate([sample["mask"] for sample in samples]),
            "valid": None if valid.all() else valid,
            "maps": {
                name: default_collate([sample["maps"][name] for sample in samples]) for name in samples[0]["maps"]
            },
            "size": torch.tensor(sizes),
        }


def _padded(sample: Sample, height: int, width: int) -> Sample:
    """A sample with rows and columns added at the bottom and the right."""
    down, across = height - sample["size"][0], width - sample["size"][1]

    def zeros(tensor: Tensor) -> Tensor:
        return functional.pad(tensor, (0, across, 0, down))

    mirrored = np.pad(sample["image"].numpy(), ((0, 0), (0, down), (0, across)), mode="reflect")
    return Sample(
        id=sample["id"],
        image=torch.from_numpy(mirrored),
        mask=zeros(sample["mask"]),
        valid=zeros(sample["valid"]),
        maps={name: zeros(map) for name, map in sample["maps"].items()},
        size=sample["size"],
    )


def one_thread(worker: int) -> None:
    """Workers are many: each keeps to one thread."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
