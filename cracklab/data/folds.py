"""Splits and folds by photo, never by image: crops of one photo stay on one side."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from cracklab.data.samples import Record
from cracklab.errors import ConfigError, DataError

CROP = re.compile(r"(.+)-\d+")
"""How crops of a photo are named: `NAME-17`; `NAME` itself belongs to them."""

STRATA = 5
"""Classes of crack share that folds are balanced over."""

SplitName = Literal["auto", "official", "official-clean", "holdout"]
KnownOverlap = Literal["error", "report"]
EACH_BY_ITSELF = "'(.+)'"


@dataclass(frozen=True)
class Splits:
    """Which records serve for what, as positions in the index."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]

    def named(self) -> Mapping[str, tuple[int, ...]]:
        """Side -> positions."""
        return {"train": self.train, "val": self.val, "test": self.test}


def with_groups(records: Sequence[Record], rule: str, parts: int = 2) -> list[Record]:
    """Records that know which photo they come from.

    Args:
        records: the index.
        rule: `auto`: the layout's groups, else `NAME-17` belongs to `NAME`. The name of a column of the layout's
            table. Else a regular expression, matched at the start of the image's stem: its first group names the photo.
        parts: how many disjoint parts the groups have to fill.

    Raises:
        ConfigError: for a rule that is neither a column nor a regular expression.
        DataError: for an image that the expression does not match, and for `auto` where it cannot be right.
    """
    if rule == "auto":
        grouped = [replace(record, group=record.group or _photo(record.stem)) for record in records]
        if not all(record.group for record in records):
            _believable(grouped, parts)
        return grouped
    if all(rule in record.columns for record in records):
        return [replace(record, group=record.columns[rule]) for record in records]
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise ConfigError(
            f"data.group {rule!r} is not a regular expression ({error}): correct it, or use 'auto'"
        ) from None
    if not expression.groups:
        columns = ", ".join(records[0].columns) if records and records[0].columns else "none"
        raise ConfigError(
            f"data.group {rule!r} is no column of the data (it has: {columns}), and no regular expression with a group in "
            f"brackets that names the photo: write for instance '(.+)-[0-9]+', or 'auto'"
        )
    matches = [expression.match(record.stem) for record in records]
    strangers = [record.stem for record, match in zip(records, matches, strict=True) if not match or not match[1]]
    if strangers:
        raise DataError(
            f"data.group {rule!r} does not match {', '.join(strangers[:5])}: extend the expression, '|(.+)' takes the rest"
        )
    return [replace(record, group=match[1]) for record, match in zip(records, matches, strict=True) if match]


def _photo(stem: str) -> str:
    crop = CROP.fullmatch(stem)
    return crop[1] if crop else stem


def _believable(records: Sequence[Record], parts: int) -> None:
    """Refuse groups by name that cannot be photos: `crack-1` ... `crack-200` are no crops of `crack`."""
    sizes = Counter(record.group for record in records)
    if not sizes:
        return
    name, size = sizes.most_common(1)[0]
    if size > 1 and size > len(records) / 2:
        raise DataError(
            f"data.group 'auto' takes {size} of {len(records)} images for crops of one photo {name!r}: if each is a photo of "
            f"its own, set data.group to {EACH_BY_ITSELF}, else to a regular expression whose group in brackets names the photo"
        )
    if len(sizes) < parts:
        raise DataError(
            f"data.group 'auto' finds {len(sizes)} photos in {len(records)} images, too few for {parts} parts: set data.group to "
            f"{EACH_BY_ITSELF} if each image is a photo of its own, or ask for fewer folds"
        )


def allocate(
    groups: Sequence[str], shares: NDArray[np.float64], fractions: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Distribute images over parts of given sizes, whole groups at a time, balanced over classes of crack share.

    Largest groups first, each goes to the part that it brings nearest to its due in every class of crack share.

    Args:
        groups: (N,) group of each image.
        shares: (N,) crack share of each image.
        fractions: size of each part; they sum to 1.
        seed: breaks ties.

    Returns:
        (N,) number of the part of each image.

    Raises:
        DataError: where there are fewer groups than parts.
    """
    names = sorted(set(groups))
    if len(names) < len(fractions):
        raise DataError(
            f"{len(names)} photos cannot fill {len(fractions)} parts: ask for fewer folds or set data.group"
        )
    cuts = np.unique(np.quantile(shares, np.linspace(0, 1, STRATA + 1)[1:-1]))
    stratum = np.searchsorted(cuts, shares, side="right")
    number = {name: i for i, name in enumerate(names)}
    content = np.zeros((len(names), len(cuts) + 2))  # images of each class of crack share, and of all
    for group, column in zip(groups, stratum, strict=True):
        content[number[group], [column, -1]] += 1
    due = np.outer(fractions, content.sum(axis=0))
    held = np.zeros_like(due)
    part = np.zeros(len(names), np.int64)
    weight = 1 / np.array(fractions)[:, None]
    empty = np.ones(len(fractions), bool)
    shuffled = np.random.default_rng((seed, len(names))).permutation(len(names))
    order = shuffled[np.argsort(-content[shuffled, -1], kind="stable")]
    for left, group in zip(range(len(order), 0, -1), order, strict=True):
        excess = (((held + content[group] - due) ** 2 - (held - due) ** 2) * weight).sum(axis=1)
        if left <= empty.sum():
            excess[~empty] = np.inf  # no part may stay empty
        best = int(np.argmin(excess))
        part[group], empty[best] = best, False
        held[best] += content[group]
    return part[[number[group] for group in groups]]


def assign(
    records: Sequence[Record],
    shares: NDArray[np.float64],
    split: SplitName = "auto",
    fold: int | None = None,
    folds: int = 5,
    val_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> Splits:
    """Which images train, which choose, which test.

    Without `fold`: the published sides, with validation taken from the training photos where none is published
    (`official`; `official-clean` leaves out training photos that the test side shows too); or parts of our own
    (`holdout`); `auto` is the one or the other. With `fold` k: fold k of all images but the published test side is held out as the test set, and
    validation is a part of the other folds. Fractions are of the images that are distributed.

    Raises:
        ConfigError: for fractions or a fold out of range, or an official split where none is published.
        DataError: where photos are too few.
    """
    if not (0 < val_fraction < 1 and 0 < test_fraction < 1 and val_fraction + test_fraction < 1):
        raise ConfigError(
            f"data.val_fraction {val_fraction} and data.test_fraction {test_fraction} must be above 0 and sum to less than 1"
        )
    sides: dict[str | None, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        sides[record.split].append(i)

    def parts(pool: Sequence[int], fractions: Sequence[float]) -> list[list[int]]:
        part = allocate([records[i].group for i in pool], shares[list(pool)], fractions, seed)
        return [[i for i, p in zip(pool, part, strict=True) if p == number] for number in range(len(fractions))]

    if fold is not None:
        if not (folds >= 2 and 0 <= fold < folds):
            raise ConfigError(
                f"data.fold is {fold} of data.folds {folds}: at least 2 folds, numbered from 0 to folds - 1"
            )
        pool = [i for i in range(len(records)) if records[i].split != "test"]
        held_out = parts(pool, [1 / folds] * folds)[fold]
        rest = sorted(set(pool) - set(held_out))
        share = min(val_fraction * len(pool) / len(rest), 0.5)
        train, val = parts(rest, [1 - share, share])
        return Splits(tuple(train), tuple(val), tuple(held_out))
    published = any(record.split is not None for record in records)
    if split == "holdout" or (split == "auto" and not published):
        train, val, test = parts(range(len(records)), [1 - val_fraction - test_fraction, val_fraction, test_fraction])
        return Splits(tuple(train), tuple(val), tuple(test))
    if not published:
        raise ConfigError(
            f"data.split {split!r} needs a published split, which this data has not: set data.split to 'holdout'"
        )
    train, val, test = sides["train"] + sides[None], sides["val"], sides["test"]
    if split == "official-clean":
        seen = {records[i].group for i in test + val}
        train = [i for i in train if records[i].group not in seen]
        test_groups = {records[i].group for i in test}
        val = [i for i in val if records[i].group not in test_groups]
    if train and not val:
        train, val = parts(train, [1 - val_fraction, val_fraction])
    return Splits(tuple(train), tuple(val), tuple(test))


def check_overlap(records: Sequence[Record], splits: Splits, known: KnownOverlap = "error") -> None:
    """Refuse, or report, photos of which images stand on two sides.

    Raises:
        DataError: names the photos and their files, unless `known` is `report`, which warns of them.
    """
    where: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for side, positions in splits.named().items():
        for i in positions:
            where[records[i].group][side].append(records[i].image)
    shared = {group: sides for group, sides in where.items() if len(sides) > 1}
    if not shared:
        return
    lines = [
        f"  photo {group!r}: " + "; ".join(f"{side}: {', '.join(files)}" for side, files in sides.items())
        for group, sides in sorted(shared.items())
    ]
    text = "\n".join([f"images of {len(shared)} photos are on more than one side of the split:", *lines])
    if known == "report":
        rank_zero_warn(text)
        return
    raise DataError(
        f"{text}\nmake a split by photo (data.split: holdout, or official-clean), or accept a published split as it is with "
        "data.known_overlap: report"
    )
