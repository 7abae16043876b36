"""The LightningDataModule: index, splits, cache, plan, and the batch on its device; the data loaders are in `loaders.py`."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor

from cracklab.batch import Batch
from cracklab.bounds import (
    NonNegativeFloat,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveInt,
    SidePx,
    UnitInterval,
    bounded,
)
from cracklab.data import plan
from cracklab.data.augment import POLICIES, Flips, Policy
from cracklab.data.columns import describing_columns
from cracklab.data.duplicates import near_duplicates
from cracklab.data.exclude import without_excluded
from cracklab.data.folds import NumberOfFolds, SplitName, SplitPlan
from cracklab.data.groups import KnownOverlap, check_overlap, with_groups
from cracklab.data.layouts import LAYOUTS, Layout
from cracklab.data.loaders import DataLoaders
from cracklab.data.maps import check_options
from cracklab.data.native import NativeSize
from cracklab.data.prepared import PreparedData
from cracklab.data.provenance import Provenance
from cracklab.data.resizing import Interpolation
from cracklab.data.samples import Problem, Record, Side, Splits, raise_faults, with_ids
from cracklab.data.statistics import Statistics, mask_statistics
from cracklab.data.transform import MEAN, STD, Coverage, Deviations, EvalTransform, Levels
from cracklab.errors import ConfigError

T = TypeVar("T")

LAYOUTS.fill()
POLICIES.fill()

if TYPE_CHECKING:
    LayoutOrName = Layout | str
    PolicyOrName = Policy | str
else:  # with `str`, the command line would take a misspelt name or a wrong option for a string, without an error
    LayoutOrName, PolicyOrName = Layout, Policy


@bounded
class CrackDataModule(DataLoaders):
    """Photos and masks, from folders to batches.

    Args:
        layout: convention of folders and masks, see `cracklab/data/README.md`: a layout, or the name of one with its defaults.
        root: folder of the data.
        batch_size: number of training images per step and process; `auto`: 2 to 16, by the size of the images (`cracklab.data.plan`).
        eval_batch_size: the same for validation and test.
        repeat: how often each training image is drawn in an epoch, with a crop and an augmentation of its own each time.
        num_workers: number of processes that prepare samples; the samples do not depend on it.
        channels: 3 for RGB, 1 for grey.
        split: `official` is the published split, with validation from the training photos if none is published;
            `official-clean` also leaves out training photos that the test side shows; `holdout` makes a new split;
            `auto` is `official` if a split is published, else `holdout`.
        val_fraction: share of the images that becomes validation; `auto`: a tenth, and up to a fifth of fewer than 100 images.
        test_fraction: share of the images that becomes the test set of a holdout.
        fold: number of the fold that is held out as the test set; None: no folds.
        folds: number of folds.
        fold_by: whether folds consist of photos, or each fold is one source.
        folds_file: folds.json, which is read if it exists, else written.
        pool: make folds of the published test side too.
        exclude: text file of the ids of images to leave out, for instance `exclude.txt` of `cracklab audit`: on each line an id,
            or a pattern such as `forest_*`; text after `#` is a comment.
        train_images: use only this many training and validation images; smaller subsets are nested in larger ones. None: all.
        group: which images are of one photo: `auto` (the layout's groups; otherwise `NAME-17` is a crop of `NAME`, and
            near duplicates are one photo), a column of the layout's table, or a regular expression on the stem whose group
            in brackets names the photo.
        known_overlap: whether a published split with one photo on two sides is an error or a warning that names the files.
        crop: side of the square cut from the centre of every image, px.
        resize: (height, width) after the crop, px, or the length of one side.
        resize_side: the side that a single number in `resize` refers to.
        interpolation: interpolation of photos resized to a smaller size: area averaging or bicubic.
        pad: (height, width) up to which images are padded, black, at the bottom and the right, px, or one number for both.
        padding: whether padding pixels are background (class 0) or ignored.
        coverage: share of a pixel that must be crack in a mask resized to a smaller size; None: 0.45 times the scale, which
            keeps lines one pixel wide connected.
        train_crop: side of the random square crops in training, px; null: none; `auto`: by the size of the images and the width of the
            cracks, or none after `resize` and with several classes.
        crack_rate: share of the random crops that are placed around a crack.
        augment: augmentation policy for training: a policy, or the name of one with its defaults.
        maps: names of the target maps to compute; the command line takes them from the loss.
        map_options: options of target maps, see `cracklab.data.maps.OPTIONS`.
        seed: seed of order and augmentation; the command line takes it from `seed_everything`.
        split_seed: seed of splits and folds; keep it the same for all runs that are to be compared.
        cache: whether prepared images are kept in memory, on disk, or not at all.
        cache_gb: the most memory that the cache may take, 1e9 bytes; a larger one goes to disk.
        pin_memory: whether batches are copied to pinned memory; None: if there is a GPU.
        mean: mean of each channel, subtracted, 0 to 1; None: that of the checkpoint or packaged weights, else ImageNet's.
        std: standard deviation of each channel, divided by, 0 to 1; None: as for `mean`.

    Raises:
        ConfigError: for an unknown name, or values that cannot work.

    Example:
        >>> data = CrackDataModule("synthetic", fold=0, augment="strong", cache="none")
        >>> data.num_classes, data.class_names
        (1, ('crack',))
    """

    def __init__(
        self,
        layout: LayoutOrName,
        root: str | None = None,
        batch_size: PositiveInt | Literal["auto"] = "auto",
        eval_batch_size: PositiveInt = 16,
        repeat: PositiveInt = 1,
        num_workers: NonNegativeInt = 0,
        channels: Literal[1, 3] = 3,
        split: SplitName = "auto",
        val_fraction: OpenUnitInterval | Literal["auto"] = "auto",
        test_fraction: OpenUnitInterval = 0.1,
        fold: NonNegativeInt | None = None,
        folds: NumberOfFolds = 5,
        fold_by: Literal["photo", "source"] = "photo",
        folds_file: str | None = None,
        pool: bool = False,
        exclude: str | None = None,
        train_images: PositiveInt | None = None,
        group: str = "auto",
        known_overlap: KnownOverlap = "error",
        crop: SidePx | None = None,
        resize: SidePx | tuple[SidePx, SidePx] | None = None,
        resize_side: Literal["shorter", "longer"] = "shorter",
        interpolation: Interpolation = "area",
        pad: SidePx | tuple[SidePx, SidePx] | None = None,
        padding: Literal["background", "ignored"] = "ignored",
        coverage: Coverage | None = None,
        train_crop: SidePx | Literal["auto"] | None = "auto",
        crack_rate: UnitInterval = 0.5,
        augment: PolicyOrName = Flips(),  # noqa: B008 - immutable, and the command line shows its options
        maps: Sequence[str] = (),
        map_options: dict[str, float] | None = None,
        seed: NonNegativeInt = 0,
        split_seed: NonNegativeInt = 0,
        cache: Literal["memory", "disk", "none"] = "memory",
        cache_gb: NonNegativeFloat = 4.0,
        pin_memory: bool | None = None,
        mean: Levels | None = None,
        std: Deviations | None = None,
    ) -> None:
        super().__init__()
        layout, augment = _by_name(layout, LAYOUTS), _by_name(augment, POLICIES)
        if root is None and layout.needs_root:
            raise ConfigError(
                f"data.root is not set, but the layout {type(layout).__qualname__!r} reads a folder: set it with --data.root PATH"
            )
        check_options(map_options or {})
        self.layout, self.root = layout, Path(root or ".").expanduser()
        self._choice = plan.Choice(train_crop, batch_size)
        self.batch_size = self._given_batch_size = plan.SMALLEST_BATCH if batch_size == "auto" else batch_size
        self.train_crop = None if train_crop == "auto" else train_crop
        self.eval_batch_size, self.repeat, self.num_workers = eval_batch_size, repeat, num_workers
        self.split_plan = SplitPlan(
            split, val_fraction, test_fraction, fold, folds, fold_by, folds_file, pool, split_seed, train_images
        )
        self.group, self.known_overlap, self.exclude = group, known_overlap, exclude
        self.crack_rate, self.augment, self.cache, self.cache_gb = crack_rate, augment, cache, cache_gb
        self.maps, self.map_options, self.seed = tuple(maps), map_options, seed
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.transform = EvalTransform(
            crop, resize, channels, mean or MEAN, std or STD, coverage, resize_side, interpolation, pad, padding
        )
        self.num_classes, self.class_names = layout.num_classes, layout.class_names
        self.records: list[Record] = []
        """The index of all pairs, with ids and groups; empty before `setup`."""
        self.splits = Splits((), (), ())
        """The side of each image; empty before `setup`."""
        self.chosen: tuple[str, ...] = ()
        """Keys of the settings that a plan chose."""

    # -- index and splits -------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Index, read and split the data on the first call; every stage needs the same.

        Raises:
            DataError: for faults of the data that would spoil training.
        """
        if self._prepared is None:
            self.records, problems = self.index()
            raise_faults(problems)
            self._prepared = PreparedData(self.records, self.layout, self.transform, self.cache, self.cache_gb)
            duplicates = near_duplicates(self.prepared.thumbnails) if self.group == "auto" else ()
            self.records = with_groups(self.records, self.group, self.split_plan.parts, duplicates)
            self.splits = self.split_plan.assign(self.records, self.prepared.shares)
            check_overlap(self.records, self.splits, self.accepted_overlap(self.records))
            counts = ", ".join(f"{len(positions)} {side}" for side, positions in self.splits.by_side().items())
            rank_zero_info(f"data: {counts} images")
            self.choose_crop_and_batch()
            self._given_batch_size = self.batch_size

    def choose_crop_and_batch(self) -> None:
        """Choose crops and batches where they are `auto`, by the images that the plan of this split follows from."""
        if self.splits.train and self._choice != plan.Choice(self.train_crop, self.batch_size):
            positions, images = self.split_plan.planned_images(self.records, self.splits)
            width = self.statistics if positions == self.splits.train else self._measured(positions)
            self.train_crop, self.batch_size = self.choose(self.sizes, width.width_px_p95, images)

    def choose(self, sizes: Sequence[tuple[int, int]], width_px: float, images: int) -> tuple[int | None, int]:
        """Return crops and batches as given, or chosen where they are `auto`; see `cracklab.data.plan.Choice`."""
        may_crop = self.num_classes == 1 and self.transform.resize is None and self.transform.pad is None
        return self._choice.resolve(sizes, width_px, images, may_crop)

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of the images that the plan follows from as they are prepared, px; of some 300 of them."""
        positions, _ = self.split_plan.planned_images(self.records, self.splits)
        return [self.prepared.pairs[i][1].shape[:2] for i in plan.sample(positions)]

    def index(self) -> tuple[list[Record], list[Problem]]:
        """Return all pairs with their ids, without the excluded ones, and the problems of pairing the files; read no image.

        Raises:
            DataError: if the folder does not follow its layout at all, or the list of excluded images does not fit it.
        """
        found, problems = self.layout.index(self.root)
        records = with_ids(found)
        return records if self.exclude is None else without_excluded(records, self.exclude), problems

    def accepted_overlap(self, records: Sequence[Record]) -> KnownOverlap:
        """Return `known_overlap` for a published split that is used as it is; `error` for the splits that we make."""
        ours = self.split_plan.split == "official-clean" or self.split_plan.is_ours(records)
        return "error" if ours else self.known_overlap

    def ids(self, side: Side) -> list[str]:
        """Return the ids of the images of one side, in the order of its data loader."""
        return [self.records[i].id for i in self.splits.by_side()[side]]

    @property
    def fold_of(self) -> dict[int, int]:
        """Position in the index -> fold, for the images in folds."""
        return self.split_plan.folds_of(self.records, self.prepared.shares)

    @cached_property
    def statistics(self) -> Statistics:
        """Crack share and crack widths of the training images, before augmentation."""
        return self._measured(self.splits.train)

    def _measured(self, positions: Sequence[int]) -> Statistics:
        return mask_statistics(self.prepared.pairs[i][1] for i in plan.sample(positions))

    @cached_property
    def provenance(self) -> Provenance:
        """Description of the data for a checkpoint, and its checks against other checkpoints."""
        thumbnails = self.prepared.thumbnails
        accepted = self.accepted_overlap(self.records)
        return Provenance(self.layout, self.records, self.splits, self.transform, thumbnails, accepted)

    @cached_property
    def native(self) -> NativeSize:
        """Masks and probabilities at the size of the files."""
        return NativeSize(self.records, self.layout, self.transform)

    def require_maps(self, names: Sequence[str]) -> None:
        """Compute these target maps too; the CLI sets `maps` from the loss, and a training in Python needs no link."""
        self.maps = tuple(dict.fromkeys([*self.maps, *names]))

    def describing_columns(self) -> dict[str, dict[str, float | str]]:
        """Return the columns of per_image.csv that describe an image, by id: photo, source, scale."""
        return describing_columns(self.records, keeps_size=self.transform.resize is None)

    # -- on the device ----------------------------------------------------------------------------------------------

    def on_after_batch_transfer(self, batch: Mapping[str, Any], dataloader_idx: int) -> Batch:
        """Convert a collated batch to the inputs of net and loss: normalised images, and masks with a channel per class."""
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
        """Convert a normalised image (C_in, H, W) of a batch back to a picture (H, W, 3) uint8 RGB."""
        return self.transform.denormalise(image)


def _by_name(given: T | str, registry: Mapping[str, type[T]]) -> T:
    """Return an object as it is; for a registered name, make one with the defaults of its class."""
    return registry[given]() if isinstance(given, str) else given
