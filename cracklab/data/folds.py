"""Splits and folds by photo rather than by image: crops of one photo stay on one side."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from cracklab.bounds import NonNegativeInt, OpenUnitInterval, PositiveInt, bounded
from cracklab.data.folds_file import read_folds, write_folds
from cracklab.data.plan import plural, validation_share
from cracklab.data.samples import Record, Splits
from cracklab.errors import ConfigError, DataError

STRATA = 5
"""Number of strata of crack share over which parts are balanced."""
SplitName = Literal["auto", "official", "official-clean", "holdout"]
NumberOfFolds = Annotated[int, Ge(2)]


def allocate(
    groups: Sequence[str], shares: NDArray[np.float64], fractions: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Distribute images over parts of given sizes, whole groups at a time, balanced by crack share.

    Groups are placed one by one, the largest first. Each goes to the part where it reduces the deviation from the target
    most, summed over the number of images in each stratum of crack share and the number of all images.

    Args:
        groups: (N,) group of each image.
        shares: (N,) crack share of each image.
        fractions: size of each part as a share of the images; they sum to 1.
        seed: order of groups of the same size.

    Returns:
        (N,) number of the part of each image.

    Raises:
        DataError: if there are fewer groups than parts.

    Example:
        >>> allocate(["a", "a", "b", "c"], np.zeros(4), [0.5, 0.5], seed=0)  # two images in each part
        array([0, 0, 1, 1])
    """
    names = sorted(set(groups))
    if len(names) < len(fractions):
        raise DataError(
            f"{len(names)} photo{plural(len(names))} cannot fill {len(fractions)} parts: add photos, ask for fewer folds, or set "
            "data.group (to '(.+)' if each image is a photo of its own)"
        )
    cuts = np.unique(np.quantile(shares, np.linspace(0, 1, STRATA + 1)[1:-1]))
    stratum = np.searchsorted(cuts, shares, side="right")
    number = {name: i for i, name in enumerate(names)}
    content = np.zeros((len(names), len(cuts) + 2))  # number of images in each stratum, and of all
    for group, column in zip(groups, stratum, strict=True):
        content[number[group], [column, -1]] += 1
    target = np.outer(fractions, content.sum(axis=0))
    held = np.zeros_like(target)
    part = np.zeros(len(names), np.int64)
    weight = 1 / np.array(fractions)[:, None]
    empty = np.ones(len(fractions), bool)
    shuffled = np.random.default_rng((seed, len(names))).permutation(len(names))
    order = shuffled[np.argsort(-content[shuffled, -1], kind="stable")]
    for left, group in zip(range(len(order), 0, -1), order, strict=True):
        excess = (((held + content[group] - target) ** 2 - (held - target) ** 2) * weight).sum(axis=1)
        if left <= empty.sum():
            excess[~empty] = np.inf  # every part must get a group
        best = int(np.argmin(excess))
        part[group], empty[best] = best, False
        held[best] += content[group]
    return part[[number[group] for group in groups]]


@bounded
@dataclass(frozen=True)
class SplitPlan:
    """Settings of a split into training, validation and test; the arguments are those of `CrackDataModule`.

    Raises:
        ConfigError: if the fractions or the fold are out of range.
    """

    split: SplitName = "auto"
    val_fraction: OpenUnitInterval | Literal["auto"] = "auto"
    test_fraction: OpenUnitInterval = 0.1
    fold: NonNegativeInt | None = None
    folds: NumberOfFolds = 5
    fold_by: Literal["photo", "source"] = "photo"
    folds_file: str | None = None
    pool: bool = False
    seed: NonNegativeInt = 0
    train_images: PositiveInt | None = None

    def __post_init__(self) -> None:
        if self._val_share(1) + self.test_fraction >= 1:
            raise ConfigError(
                f"data.val_fraction {self.val_fraction} and data.test_fraction {self.test_fraction} leave no training image: "
                "their sum must be below 1"
            )
        if self.fold is not None and self.fold >= self.folds:
            raise ConfigError(f"data.fold is {self.fold}: give 0 to {self.folds - 1}, since data.folds is {self.folds}")

    def _val_share(self, images: int) -> float:
        """Return the share of a number of images that becomes validation."""
        return validation_share(images) if self.val_fraction == "auto" else self.val_fraction

    @property
    def parts(self) -> int:
        """Smallest number of photos that the split needs."""
        return 2 if self.fold is None else self.folds

    def assign(self, records: Sequence[Record], shares: NDArray[np.float64]) -> Splits:
        """Split images into training, validation and test.

        Without `fold`, `official` takes the published sides, with validation from the training photos if none is published;
        `official-clean` also leaves out training photos that the test side shows; `holdout` makes new parts; `auto` is
        `official` if a split is published, else `holdout`. With `fold` k, fold k is the test set, and validation is a part
        of the other folds; folds are made of all images except the published test side. Fractions refer to the images
        that are distributed.

        `train_images` limits training and validation to this number of images, in the proportion of the full sides; with
        `val_fraction` auto, at least as much of them is validation as of a data set of this number. They are taken photo by
        photo in an order given by the seed, so that smaller subsets are nested in larger ones.

        Args:
            records: the index, with groups.
            shares: (N,) crack share of each image.

        Raises:
            ConfigError: if no official split is published, or `train_images` is out of range.
            DataError: if there are too few photos, or the file of folds does not fit the data.
        """
        splits = self._full_sides(records, shares)
        if self.train_images is None or not splits.train:
            return splits
        return self._subset(records, splits, self.train_images)

    def _full_sides(self, records: Sequence[Record], shares: NDArray[np.float64]) -> Splits:
        if self.fold is not None:
            return self._held_out(records, shares)
        if self._is_holdout(records):
            share = self._val_share(len(records))
            fractions = [1 - share - self.test_fraction, share, self.test_fraction]
            return Splits(*self._parts(records, shares, range(len(records)), fractions, self.seed))
        if all(record.split is None for record in records):
            raise ConfigError(
                f"data.split {self.split!r} needs a published split, but this data has none: set data.split to 'holdout'"
            )
        train, val, test = self._published(records)
        if train and not val:
            share = self._val_share(len(train))
            train, val = self._parts(records, shares, train, [1 - share, share], self.seed)
        return Splits(train, val, test)

    def is_ours(self, records: Sequence[Record]) -> bool:
        """Return whether the sides are new: folds, or a holdout."""
        return self.fold is not None or self._is_holdout(records)

    def _is_holdout(self, records: Sequence[Record]) -> bool:
        return self.split == "holdout" or (self.split == "auto" and all(record.split is None for record in records))

    def val_share(self, records: Sequence[Record]) -> float | None:
        """Return `val_fraction` as a number; None if validation is published, or is part of `train_images`."""
        if self.train_images is not None:
            return None
        if self.fold is not None:
            return self._val_share(len(self._pool(records)))
        if self._is_holdout(records):
            return self._val_share(len(records))
        train, val, _ = self._published(records)
        return None if val else self._val_share(len(train))

    def _pool(self, records: Sequence[Record]) -> list[int]:
        """Return the positions of the images in folds: all except the published test side, or all with `pool`."""
        return [i for i, record in enumerate(records) if self.pool or record.split != "test"]

    def folds_of(self, records: Sequence[Record], shares: NDArray[np.float64]) -> dict[int, int]:
        """Return position -> fold of the images in folds: all except the published test side, or all with `pool`."""
        pool = self._pool(records)
        if self.fold_by == "source":
            sources = sorted({records[i].source for i in pool})
            if len(sources) != self.folds:
                raise ConfigError(
                    f"data.folds is {self.folds}, but there are {len(sources)} sources ({', '.join(sources)}): set it to {len(sources)}"
                )
            return {i: sources.index(records[i].source) for i in pool}
        path = None if self.folds_file is None else Path(self.folds_file)
        if path is not None and path.exists():
            return read_folds(path, records, pool, self.folds)
        parts = self._parts(records, shares, pool, [1 / self.folds] * self.folds, self.seed)
        fold_of = {i: fold for fold, part in enumerate(parts) for i in part}
        if path is not None:
            write_folds(path, records, fold_of, self.folds)
        return fold_of

    def _held_out(self, records: Sequence[Record], shares: NDArray[np.float64]) -> Splits:
        fold_of = self.folds_of(records, shares)
        rest = [i for i, fold in fold_of.items() if fold != self.fold]
        share = min(self._val_share(len(fold_of)) * len(fold_of) / len(rest), 0.5)
        train, val = self._parts(records, shares, sorted(rest), [1 - share, share], self.seed)
        return Splits(train, val, tuple(sorted(i for i, fold in fold_of.items() if fold == self.fold)))

    def _published(self, records: Sequence[Record]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Return the published sides; `official-clean` leaves out training photos that validation or test show."""
        sides: dict[str, list[int]] = defaultdict(list)
        for i, record in enumerate(records):
            sides[record.split or "train"].append(i)
        train, val, test = tuple(sides["train"]), tuple(sides["val"]), tuple(sides["test"])
        if self.split == "official-clean":
            val = tuple(i for i in val if records[i].group not in {records[j].group for j in test})
            train = tuple(i for i in train if records[i].group not in {records[j].group for j in val + test})
        return train, val, test

    def _subset(self, records: Sequence[Record], splits: Splits, wanted: int) -> Splits:
        """Limit training and validation to a number of images, photo by photo."""
        available = len(splits.train) + len(splits.val)
        if not 1 + bool(splits.val) <= wanted <= available:
            raise ConfigError(
                f"data.train_images is {wanted}: set it to {1 + bool(splits.val)} to {available}, the number of training and validation images"
            )
        val = self._val_of_subset(wanted, len(splits.val), available)

        def first(positions: Sequence[int], number: int) -> tuple[int, ...]:
            names = sorted({records[i].group for i in positions})
            order = np.random.default_rng((self.seed, len(names))).permutation(len(names))
            rank = {names[k]: place for place, k in enumerate(order)}
            return tuple(sorted(sorted(positions, key=lambda i: rank[records[i].group])[:number]))

        return Splits(first(splits.train, wanted - val), first(splits.val, val), splits.test)

    def _val_of_subset(self, wanted: int, val: float, available: float) -> int:
        """Return the number of validation images among `wanted` of the `available` images, `val` of which are for validation."""
        share = val / available
        if val and self.val_fraction == "auto":
            share = min(max(share, validation_share(wanted)), val / wanted)
        return max(int(val > 0), round(wanted * share))

    def planned_images(self, records: Sequence[Record], splits: Splits) -> tuple[Sequence[int], int]:
        """Return the positions of the images that a plan follows from, and the number of training images that it is for.

        They are the training images. For a fold of a random division they are all images in folds, and the number is the mean
        over folds, so that all folds and all repetitions of the division share their plan; folds by source differ too much.
        """
        if self.fold is None or self.fold_by == "source":
            return splits.train, len(splits.train)
        pool = self._pool(records)
        rest = len(pool) * (1 - 1 / self.folds)
        val = min(self._val_share(len(pool)) * len(pool), rest / 2)
        if self.train_images is not None:
            return pool, self.train_images - self._val_of_subset(self.train_images, val, rest)
        return pool, max(1, round(rest - val))

    @staticmethod
    def _parts(
        records: Sequence[Record],
        shares: NDArray[np.float64],
        positions: Sequence[int],
        fractions: Sequence[float],
        seed: int,
    ) -> list[tuple[int, ...]]:
        part = allocate([records[i].group for i in positions], shares[list(positions)], fractions, seed)
        return [
            tuple(i for i, p in zip(positions, part, strict=True) if p == number) for number in range(len(fractions))
        ]
