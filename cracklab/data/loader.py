"""Data loaders: samples collated to batches on the CPU, in the order of a sampler."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, default_collate

from cracklab.batch import GRID, Sample
from cracklab.data.dataset import CrackDataset
from cracklab.data.sampler import EpochSampler


def data_loader(
    data: CrackDataset, sampler: EpochSampler, batch_size: int, workers: int, pin_memory: bool, drop_last: bool = False
) -> DataLoader[Sample]:
    """Return a data loader whose batches do not depend on the number of workers.

    Args:
        data: the data set.
        sampler: the order of its samples.
        batch_size: number of samples per batch.
        workers: number of processes that prepare samples; 0: this process does.
        pin_memory: whether batches are copied to pinned memory.
        drop_last: whether a last batch that is smaller is left out.
    """
    return DataLoader(
        data,
        batch_size=batch_size,
        sampler=sampler,
        drop_last=drop_last,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
        collate_fn=collate,
        worker_init_fn=_one_thread,
        generator=torch.Generator().manual_seed(
            sampler.seed
        ),  # otherwise each epoch would draw from the global generator
    )


def collate(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return samples as a batch on the CPU, still of integers; images are padded to a common size, multiples of `GRID`.

    Padding is added at the bottom and the right: images are reflected, masks and maps are filled with 0, and padding pixels
    are not valid.

    Returns:
        Image (B, C_in, H, W) uint8, mask (B, 1, H, W) uint8, valid (B, 1, H, W) bool or None if every pixel is valid, maps,
        and sizes.
    """
    sizes = [sample["size"] for sample in samples]
    height, width = (-(-max(side) // GRID) * GRID for side in zip(*sizes, strict=True))
    if any(size != (height, width) for size in sizes):
        samples = [_padded(sample, height, width) for sample in samples]
    valid = default_collate([sample["valid"] for sample in samples])
    return {
        "id": [sample["id"] for sample in samples],
        "image": default_collate([sample["image"] for sample in samples]),
        "mask": default_collate([sample["mask"] for sample in samples]),
        "valid": None if valid.all() else valid,
        "maps": {name: default_collate([sample["maps"][name] for sample in samples]) for name in samples[0]["maps"]},
        "size": torch.tensor(sizes),
    }


def _padded(sample: Sample, height: int, width: int) -> Sample:
    """Return a sample padded to a height and a width, px."""
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


def _one_thread(worker: int) -> None:
    """Limit a worker process to one thread, since there are several workers."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
