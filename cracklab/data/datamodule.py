"""The LightningDataModule: index, splits, cache, loaders, and the batch on its device."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from cracklab.batch import Batch, Sample
from cracklab.data import provenance
from cracklab.data.augment import POLICIES, Flips, Policy
from cracklab.data.columns import describing_columns
from cracklab.data.dataset import Collate, CrackDataset, one_thread
from cracklab.data.duplicates import near_duplicates
from cracklab.data.folds import SplitName, SplitPlan
from cracklab.data.groups import KnownOverlap, check_overlap, with_groups
from cracklab.data.images import Array, Interpolation
from cracklab.data.layouts import LAYOUTS, Layout
from cracklab.data.prepared import PreparedData
from cracklab.data.sampler import EpochSampler
from cracklab.data.samples import Record, Side, Splits, raise_faults, with_ids
from cracklab.data.statistics import Statistics, mask_statistics
from cracklab.data.transform import MEAN, STD, EvalTransform
from cracklab.errors import ConfigError, DataError

LAYOUTS.fill()
POLICIES.fill()

MEASURED = 300
"""So many training masks, evenly spread, are measured for statistics."""


class CrackDataModule(pl.LightningDataModule):
    """Photos and masks, from folders to batches.

    Args:
        layout: where images and masks lie and what masks mean; by name, see `cracklab/data/README.md`.
        root: folder of the data.
        batch_size: images a step and process.
        eval_batch_size: the same for validation and test.
        num_workers: processes that prepare samples; any number gives the same samples.
        channels: 3 for RGB, 1 for grey.
        split: `official` as published, validation taken from the training photos where none is published;
            `official-clean` leaves out training photos that the test side shows too; `holdout` makes parts of our own;
            `auto` is `official` where a split is published, else `holdout`.
        val_fraction: share of the images that becomes validation.
        test_fraction: share of the images that becomes the test set of a holdout.
        fold: number of the fold that is held out as the test set; None: no folds.
        folds: number of folds.
        fold_by: folds of photos, or one fold a source.
        folds_file: folds.json, which is read where there is one, else written.
        pool: make folds of the published test side too.
        train_images: so many images train and validate, whole photos, fewer ones among more ones; None: all.
        group: which images are of one photo: `auto` (the layout's groups, else `NAME-17` is a crop of `NAME`), a column
            of the layout's table, or a regular expression on the stem whose group in brackets names the photo.
        known_overlap: a published split with one photo on two sides is an error, or reported by name.
        crop: side of the square cut from the middle of every image, px.
        resize: (height, width) that follows, px, or the length of one side.
        resize_side: the side whose length `resize` is, where it is one number.
        interpolation: of photos that shrink: the mean over areas, or bicubic.
        pad: (height, width) that images are filled up to, black, at the bottom and the right, px, or one number for both.
        padding: pixels of the padding are background (class 0), or count nowhere.
        coverage: share of a pixel that has to be crack where a mask shrinks; None: 0.45 of the scale, which keeps
            lines of one pixel whole.
        train_crop: side of the random squares that training sees, px.
        crack_rate: share of the random squares that are placed around a crack.
        augment: augmentation policy of training, by name.
        maps: target maps to compute; taken from the loss.
        map_options: options of target maps.
        seed: taken from `seed_everything`.
        split_seed: other seeds, other splits and folds; the same for all runs that are to be compared.
        cache: prepared images are kept in memory, on disk, or not at all.
        cache_gb: most memory that the cache may take, 1e9 bytes; what is larger goes to disk.
        pin_memory: None: where there is a GPU.
        mean: subtracted from each channel, 0 to 1.
        std: divided by.

    Raises:
        ConfigError: for values that cannot work.
    """

    def __init__(
        self,
        layout: Layout,
        root: str | None = None,
        batch_size: int = 16,
        eval_batch_size: int = 16,
        num_workers: int = 0,
        channels: Literal[1, 3] = 3,
        split: SplitName = "auto",
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        fold: int | None = None,
        folds: int = 5,
        fold_by: Literal["photo", "source"] = "photo",
        folds_file: str | None = None,
        pool: bool = False,
        train_images: int | None = None,
        group: str = "auto",
        known_overlap: KnownOverlap = "error",
        crop: int | None = None,
        resize: int | tuple[int, int] | None = None,
        resize_side: Literal["shorter", "longer"] = "shorter",
        interpolation: Interpolation = "area",
        pad: int | tuple[int, int] | None = None,
        padding: Literal["background", "ignored"] = "ignored",
        coverage: float | None = None,
        train_crop: int | None = None,
        crack_rate: float = 0.5,
        augment: Policy = Flips(),  # noqa: B008 - never changed, and the CLI shows it
        maps: Sequence[str] = (),
        map_options: dict[str, float] | None = None,
        seed: int = 0,
        split_seed: int = 0,
        cache: Literal["memory", "disk", "none"] = "memory",
        cache_gb: float = 4.0,
        pin_memory: bool | None = None,
        mean: tuple[float, float, float] = MEAN,
        std: tuple[float, float, float] = STD,
    ) -> None:
        super().__init__()
        if root is None and layout.needs_root:
            raise ConfigError(
                f"data.root is not set: the layout {type(layout).__qualname__!r} reads a folder, give it with --data.root PATH"
            )
        if min(batch_size, eval_batch_size) < 1 or num_workers < 0:
            raise ConfigError(
                f"data.batch_size {batch_size}, data.eval_batch_size {eval_batch_size} and data.num_workers {num_workers} are too small"
            )
        self.layout, self.root = layout, Path(root or ".").expanduser()
        self.batch_size, self.eval_batch_size, self.num_workers = batch_size, eval_batch_size, num_workers
        self.split_plan = SplitPlan(
            split, val_fraction, test_fraction, fold, folds, fold_by, folds_file, pool, split_seed, train_images
        )
        self.group, self.known_overlap = group, known_overlap
        self.train_crop, self.crack_rate, self.augment = train_crop, crack_rate, augment
        self.maps, self.map_options, self.seed = tuple(maps), map_options, seed
        self.cache, self.cache_gb = cache, cache_gb
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.transform = EvalTransform(
            crop, resize, channels, mean, std, coverage, resize_side, interpolation, pad, padding
        )
        self.num_classes, self.class_names = layout.num_classes, layout.class_names
        self._resume: tuple[int, int] | None = None
        self._prepared: PreparedData | None = None
        self.records: list[Record] = []
        """The index after `setup`: every pair, with its id and its photo."""
        self.splits = Splits((), (), ())
        """What each image serves for, after `setup`."""

    # -- index and splits -------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Index, read and split the data, once; `fit`, `validate`, `test` and `predict` need the same.

        Raises:
            DataError: for everything that would spoil training.
        """
        if self._prepared is None:
            found, problems = self.layout.index(self.root)
            raise_faults(problems)
            self.records = with_ids(found)
            self._prepared = PreparedData(self.records, self.layout, self.transform, self.cache, self.cache_gb)
            duplicates = near_duplicates(self._prepared.thumbnails) if self.group == "auto" else ()
            self.records = with_groups(self.records, self.group, self.split_plan.parts, duplicates)
            self.splits = self.split_plan.assign(self.records, self._prepared.shares)
            check_overlap(self.records, self.splits, self.accepted_overlap)
            counts = ", ".join(f"{len(positions)} {side}" for side, positions in self.splits.by_side().items())
            rank_zero_info(f"data: {counts} images")

    @property
    def accepted_overlap(self) -> KnownOverlap:
        """`report` only for a published split that is used as it is: splits of ours never share a photo."""
        ours = self.split_plan.fold is not None or self.split_plan.split in ("holdout", "official-clean")
        return "error" if ours else self.known_overlap

    def ids(self, side: Side) -> list[str]:
        """Names of the images of one side, in the order of its loader."""
        return [self.records[i].id for i in self.splits.by_side()[side]]

    @property
    def fold_of(self) -> dict[int, int]:
        """Position in the index -> fold, of all images that folds are made of; after `setup`."""
        assert self._prepared is not None, "setup comes first"
        return self.split_plan.folds_of(self.records, self._prepared.shares)

    @cached_property
    def statistics(self) -> Statistics:
        """Crack share and widths of the training side, before augmentation."""
        step = max(1, len(self.splits.train) // MEASURED)
        assert self._prepared is not None, "setup comes first"
        pairs = self._prepared.pairs
        return mask_statistics(pairs[i][1] for i in self.splits.train[::step])

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What a checkpoint records of this data; see `cracklab.data.provenance`."""
        return provenance.describe(self.layout, self.records, self.splits, self.transform, self.thumbnails)

    def require_maps(self, names: Sequence[str]) -> None:
        """Compute these target maps too; the CLI sets `maps` from the loss, and a training in Python needs no link."""
        self.maps = tuple(dict.fromkeys([*self.maps, *names]))

    def describing_columns(self) -> dict[str, dict[str, float | str]]:
        """Return what per_image.csv tells of each image beside its scores, by id: photo, source, scale."""
        return describing_columns(self.records, keeps_size=self.transform.resize is None)

    def check_unseen(self, trained_on: Mapping[str, Any]) -> None:
        """Refuse test images that a checkpoint with this provenance was trained on.

        A published split that leaks may be used with `known_overlap="report"`.

        Raises:
            DataError: names such images.
        """
        if self.accepted_overlap != "report":
            provenance.check_unseen(trained_on, self.records, self.splits.test, self.thumbnails)

    def check_same(self, trained_on: Mapping[str, Any]) -> None:
        """Refuse to resume a run whose provenance names other training images.

        Raises:
            RunError: states the numbers of images.
        """
        provenance.check_same(trained_on, self.splits.train, self.thumbnails)

    @property
    def thumbnails(self) -> list[Array]:
        """A thumbnail (32, 32) uint8 of every image of the index, as it is on disk."""
        assert self._prepared is not None, "setup comes first"
        return self._prepared.thumbnails

    # -- loaders ----------------------------------------------------------------------------------------------------

    def resume(self, epoch: int, batches: int) -> None:
        """Let training begin in the middle: the next loader's first batch is number `batches` of `epoch`."""
        self._resume = epoch, batches

    def train_dataloader(self) -> DataLoader[Sample]:
        """Augmented samples in the order of (seed, epoch)."""
        positions = [i for i in self.splits.train for _ in range(self.records[i].weight)]
        data = self.dataset(positions, self.augment)
        sampler = EpochSampler(data, self.seed, True, *self._processes())
        if self._resume is not None:
            epoch, batches = self._resume
            self._resume = None
            sampler.set_epoch(epoch)
            sampler.start = batches * self.batch_size
        return self._loader(data, sampler, self.batch_size, drop_last=len(sampler) > self.batch_size)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Validation images, as they are."""
        return self._evaluation("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Test images, as they are."""
        return self._evaluation("test")

    def dataset(self, positions: Sequence[int], policy: Policy | None = None) -> CrackDataset:
        """Samples of some positions in the index; without a policy as evaluation sees them."""
        assert self._prepared is not None, "setup comes first"
        return CrackDataset(
            self._prepared.pairs,
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
        )

    def _evaluation(self, side: Side) -> DataLoader[Sample]:
        data = self.dataset(self.splits.by_side()[side])
        if not len(data):
            raise DataError(f"there is no {side} image: set data.split to 'holdout', or data.fold")
        if self.maps and self._prepared is not None:
            data.cached_maps = self._prepared.maps(data, side)
        return self._loader(data, EpochSampler(data, self.seed, False, *self._processes()), self.eval_batch_size)

    def _loader(
        self, data: CrackDataset, sampler: EpochSampler, batch_size: int, drop_last: bool = False
    ) -> DataLoader[Sample]:
        return DataLoader(
            data,
            batch_size=batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.pin_memory,
            collate_fn=Collate(),
            worker_init_fn=one_thread,
            generator=torch.Generator().manual_seed(self.seed),  # else each epoch would draw from the global one
        )

    def _processes(self) -> tuple[int, int]:
        """Number of processes, and this one's."""
        return (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)

    # -- on the device ----------------------------------------------------------------------------------------------

    def on_after_batch_transfer(self, batch: Mapping[str, Any], dataloader_idx: int) -> Batch:
        """Integers to what a net takes: images normalised, masks one channel a class."""
        mask: Tensor = batch["mask"]
        if self.num_classes > 1:
            mask = mask == torch.arange(self.num_classes, device=mask.device, dtype=mask.dtype)[:, None, None]
        return Batch(
            id=batch["id"],
            image=self.transform.normalise(batch["image"]),
            mask=mask.float(),
            valid=None if batch["valid"] is None else batch["valid"].float(),
            maps=batch["maps"],
            size=batch["size"],
        )

    def as_photo(self, image: Tensor) -> NDArray[np.uint8]:
        """A normalised image (C_in, H, W) of a batch as (H, W, 3) uint8 RGB, to be looked at."""
        return self.transform.denormalise(image)
