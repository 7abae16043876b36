"""The index of a data set: a record for each image, the split into sides, and the problems of the files."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cracklab.errors import DataError
from cracklab.tables import check_utf8

Side = Literal["train", "val", "test"]
"""A side of a split: training, validation or test."""
SIDES: tuple[Side, ...] = ("train", "val", "test")
CROP = re.compile(r"(.+)-\d+")
"""Names of crops: `NAME-17` is a crop of the photo `NAME`, and an image `NAME` belongs to the same photo."""


@dataclass(frozen=True)
class Record:
    """One image and its mask, as paths, before anything is decoded."""

    image: str
    """Path of the image; a layout without files may put any name here that its `read` understands."""
    mask: str
    """Path of the mask."""
    id: str = ""
    """Unique and stable name: the file's stem, unless several files share it. Set by `with_ids`."""
    split: Side | None = None
    """Side in the published split; None if the data has no published split."""
    group: str = ""
    """The photo that the image is, or is a crop of. The splits that we make never put images of one group on two sides."""
    source: str = ""
    """The data set that the image comes from."""
    weight: int = 1
    """Number of times that the image is seen in a training epoch."""
    columns: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Other columns of the table of images; `data.group` may name one."""

    @property
    def stem(self) -> str:
        """The image's file name without its extension."""
        return Path(self.image).stem

    @property
    def photo(self) -> str:
        """Name of the photo that the image is a crop of, or its own: `wall` of `wall-3.jpg`."""
        crop = CROP.fullmatch(self.stem)
        return crop[1] if crop else self.stem


@dataclass(frozen=True)
class Splits:
    """The records of each side of a split, as positions in the index."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]

    def by_side(self) -> Mapping[str, tuple[int, ...]]:
        """Return side -> positions."""
        return {"train": self.train, "val": self.val, "test": self.test}

    def problems(self) -> "list[Problem]":
        """Return the fault of a split that nothing can be trained on, if it is one; such data can be tested on."""
        if self.train:
            return []
        counts = ", ".join(f"{len(positions)} {side}" for side, positions in self.by_side().items())
        fact = f"no image is left for training ({counts}): set data.split to 'holdout' for a split of all images, or add images"
        return [Problem("split", (), fact)]


@dataclass(frozen=True)
class Problem:
    """A fault of the data, which would spoil training, or a note about it."""

    kind: str
    """Short name of the kind of problem: `missing-mask`."""
    files: tuple[str, ...]
    """The files that have the problem."""
    fact: str
    """The fault, with the values, and the remedy."""
    severity: Literal["fault", "note"] = "fault"
    """A fault would spoil training; a note is worth knowing."""

    def __str__(self) -> str:
        unnamed = [name for name in self.files if name not in self.fact]
        return f"{', '.join(unnamed)}: {self.fact}" if unnamed else self.fact


def raise_faults(problems: Sequence[Problem]) -> None:
    """Raise an error that lists all faults, if there are any.

    Raises:
        DataError: for any fault, with one line for each.
    """
    faults = [problem for problem in problems if problem.severity == "fault"]
    if faults:
        heading = f"{len(faults)} fault{'s' * (len(faults) > 1)} in the data"
        raise DataError("\n  ".join([heading, *map(str, faults)]))


def with_ids(records: Iterable[Record]) -> list[Record]:
    """Return records with unique ids, sorted by id.

    An id is the stem of the image. If several images share a stem, it is prefixed by their split; if that is not enough, by
    their source, and then by both. A record that has an id keeps it.

    Raises:
        DataError: if two images still have the same id, or an id is not UTF-8.

    Example:
        >>> records = [Record("test/7.jpg", "", split="test"), Record("train/7.jpg", "", split="train"), Record("8.jpg", "")]
        >>> [record.id for record in with_ids(records)]
        ['8', 'test-7', 'train-7']
    """
    records = list(records)
    ids = [record.id or record.stem for record in records]
    for parts in (("split",), ("source",), ("source", "split")):
        seen = Counter(ids)
        ids = [
            "-".join([*filter(None, (getattr(record, part) for part in parts)), record.stem])
            if seen[name] > 1 and not record.id
            else name
            for name, record in zip(ids, records, strict=True)
        ]
    repeated = {name for name, times in Counter(ids).items() if times > 1}
    if repeated:
        files = sorted(record.image for name, record in zip(ids, records, strict=True) if name in repeated)
        raise DataError(f"{', '.join(files)} have the same name in the same split and source: rename one of them")
    for name, record in zip(ids, records, strict=True):
        check_utf8(name, record.image)
    named = [replace(record, id=name) for name, record in zip(ids, records, strict=True)]
    return sorted(named, key=lambda record: record.id)
