"""The data loaders of a data module: training samples in an order of their own for every epoch, and images to evaluate."""

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from torch.utils.data import DataLoader

from cracklab.batch import Sample
from cracklab.data.augment import Policy
from cracklab.data.dataset import CrackDataset
from cracklab.data.loader import data_loader
from cracklab.data.prepared import PreparedData
from cracklab.data.sampler import EpochSampler
from cracklab.data.samples import Record, Side, Splits, raise_faults
from cracklab.data.transform import EvalTransform
from cracklab.errors import DataError, RunError


class DataLoaders(pl.LightningDataModule):
    """The part of `CrackDataModule` that follows its `setup`: from prepared pairs and their sides to data loaders."""

    records: list[Record]
    splits: Splits
    transform: EvalTransform
    num_classes: int
    batch_size: int
    eval_batch_size: int
    repeat: int
    num_workers: int
    pin_memory: bool
    train_crop: int | None
    crack_rate: float
    augment: Policy
    maps: tuple[str, ...]
    map_options: dict[str, float] | None
    seed: int

    _prepared: PreparedData | None = None
    _given_batch_size = 0
    _resume: tuple[int, int] | None = None

    @property
    def prepared(self) -> PreparedData:
        """All pairs, prepared, with their crack shares and thumbnails.

        Raises:
            RuntimeError: before `setup`.
        """
        if self._prepared is None:
            raise RuntimeError('the data is not read yet: call setup("fit") first')
        return self._prepared

    def resume(self, epoch: int, batches: int) -> None:
        """Let the next training data loader start in the middle of an epoch, after this number of batches."""
        self._resume = epoch, batches

    def state_dict(self) -> dict[str, Any]:
        """Return the batch size for a checkpoint, if it was searched by Lightning's `BatchSizeFinder`."""
        return {} if self.batch_size == self._given_batch_size else {"batch_size": self.batch_size}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a batch size that was searched; a resumed run keeps it.

        Raises:
            RunError: if it is not a positive number.
        """
        size = state_dict.get("batch_size")
        if type(size) is not int or size < 1:
            raise RunError(f"the batch size in the checkpoint is {size!r}: give one that `cracklab fit` wrote")
        self.batch_size = size

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return the data loader of augmented training samples, in an order that depends on (seed, epoch) only.

        Raises:
            DataError: if there is no training image.
        """
        positions = [i for i in self.splits.train for _ in range(self.repeat * self.records[i].weight)]
        data = self.dataset(positions, self.augment)
        raise_faults(self.splits.problems())
        sampler = EpochSampler(data, self.seed, True, *self._processes())
        if self._resume is not None:
            epoch, batches = self._resume
            self._resume = None
            sampler.set_epoch(epoch)
            sampler.start = batches * self.batch_size
        drop_last = len(sampler) > self.batch_size
        return data_loader(data, sampler, self.batch_size, self.num_workers, self.pin_memory, drop_last)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Return the data loader of validation images, without augmentation."""
        return self._evaluation("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Return the data loader of test images, without augmentation."""
        return self._evaluation("test")

    def dataset(self, positions: Sequence[int], policy: Policy | None = None) -> CrackDataset:
        """Return the data set of some positions in the index; without a policy, for evaluation.

        Args:
            positions: positions in the index.
            policy: augmentation policy; None: neither random crops nor augmentation.
        """
        return CrackDataset(
            self.prepared.pairs,
            [record.id for record in self.records],
            positions,
            self.transform,
            num_classes=self.num_classes,
            seed=self.seed,
            policy=policy,
            crop=None if policy is None else self.train_crop,
            crack_rate=self.crack_rate,
            maps=self.maps,
            map_options=self.map_options,
            redrawn=None if policy is None else self.prepared.reader.redrawn,
        )

    def _evaluation(self, side: Side) -> DataLoader[Sample]:
        data = self.dataset(self.splits.by_side()[side])
        if not len(data):
            raise DataError(f"there are no {side} images: set data.split to 'holdout', or set data.fold")
        if self.maps:
            data.cached_maps = self.prepared.maps(data, side)
        sampler = EpochSampler(data, self.seed, False, *self._processes())
        return data_loader(data, sampler, self.eval_batch_size, self.num_workers, self.pin_memory)

    def _processes(self) -> tuple[int, int]:
        """Return the number of processes, and the rank of this one."""
        return (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)
