"""The index: which images there are, where their masks lie, which photo each comes from."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cracklab.errors import DataError

Side = Literal["train", "val", "test"]
"""A side of a split."""
SIDES: tuple[Side, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Record:
    """One image and its mask, before anything is decoded."""

    image: str
    """Path of the image; what the layout's `read` understands where there are no files."""
    mask: str
    """Path of the mask."""
    id: str = ""
    """Unique and stable name; the file's stem unless two files share one. Set by `with_ids`."""
    split: Side | None = None
    """Side of the published split, where there is one."""
    group: str = ""
    """The photo that the image is (a crop of); images of one group never stand on both sides of a split of ours."""
    source: str = ""
    """The data set that the image comes from."""
    weight: int = 1
    """How many times the image stands in a training epoch."""
    columns: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Further columns of a table that describes the images; `data.group` may name one."""

    @property
    def stem(self) -> str:
        """The image's file name without its ending."""
        return Path(self.image).stem


@dataclass(frozen=True)
class Splits:
    """Which records serve for what, as positions in the index."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]

    def named(self) -> Mapping[str, tuple[int, ...]]:
        """Side -> positions."""
        return {"train": self.train, "val": self.val, "test": self.test}


@dataclass(frozen=True)
class Problem:
    """Something about the data that would spoil training, or that one should know of."""

    kind: str
    """Short name of the kind of problem: `missing-mask`."""
    files: tuple[str, ...]
    """Every file that it is about."""
    fact: str
    """What is the case, with the values, and what to do."""
    severity: Literal["fault", "note"] = "fault"
    """A fault would spoil training; a note is good to know."""

    def __str__(self) -> str:
        unnamed = [name for name in self.files if name not in self.fact]
        return f"{', '.join(unnamed)}: {self.fact}" if unnamed else self.fact


def refuse(problems: Sequence[Problem]) -> None:
    """Raise all faults at once, if there are any.

    Raises:
        DataError: one line for each fault.
    """
    faults = [problem for problem in problems if problem.severity == "fault"]
    if faults:
        heading = f"{len(faults)} fault{'s' * (len(faults) > 1)} in the data"
        raise DataError("\n  ".join([heading, *map(str, faults)]))


def with_ids(records: Iterable[Record]) -> list[Record]:
    """Records with unique ids, sorted by them.

    An id is the stem of the image. Images that share a stem get their split before it, then their source, then both.
    A record that has an id keeps it.

    Raises:
        DataError: if two images still have the same id.
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
    double = {name for name, times in Counter(ids).items() if times > 1}
    if double:
        files = sorted(record.image for name, record in zip(ids, records, strict=True) if name in double)
        raise DataError(f"{', '.join(files)} have the same name in the same split and source: rename one of them")
    named = [replace(record, id=name) for name, record in zip(ids, records, strict=True)]
    return sorted(named, key=lambda record: record.id)
