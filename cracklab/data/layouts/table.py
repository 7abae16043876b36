"""A table that lists images and masks."""

from collections.abc import Iterable
from csv import DictReader, Error
from pathlib import Path

from cracklab.data.images import Array, read_classes, read_mask
from cracklab.data.layouts.base import SPLITS, Layout, class_names_for, register
from cracklab.data.samples import Problem, Record
from cracklab.errors import DataError

OWN = ("image", "mask", "group", "split", "source", "weight")


@register("csv")
class Table(Layout):
    """A table with the columns `image` and `mask`, and perhaps `group`, `split`, `source`, `weight`, and any others.

    Paths are relative to the table. `group` names the photo, `split` is train, val or test, `weight` says how many times
    an image stands in a training epoch; any other column can be named by `data.group`. Separated by commas, semicolons
    or tabs.

    Args:
        file: the table, below `data.root`.
        invert: masks have cracks dark on a bright ground.
        num_classes: 1 for crack masks of any encoding; else masks hold class indices from 0 on.
        class_names: one a class.
        ignore: mask value that counts nowhere, for several classes.
    """

    def __init__(
        self,
        file: str = "index.csv",
        invert: bool = False,
        num_classes: int = 1,
        class_names: list[str] | None = None,
        ignore: int | None = None,
    ) -> None:
        self.file, self.invert, self.num_classes, self.ignore = file, invert, num_classes, ignore
        self.class_names = class_names_for(num_classes, class_names)

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """One record a row."""
        path = root / self.file
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                delimiter = max(",;\t", key=file.readline().count)
                file.seek(0)
                rows = list(DictReader(file, delimiter=delimiter))
        except (OSError, UnicodeDecodeError, Error) as error:
            raise DataError(
                f"table {str(path)!r} cannot be read ({error}): set data.root and data.layout.file"
            ) from None
        columns = rows[0].keys() if rows else ()
        for name in ("image", "mask"):
            if name not in columns:
                raise DataError(f"table {str(path)!r} has no column {name!r} (it has {', '.join(columns)}): add it")
        records: list[Record] = []
        problems: list[Problem] = []
        for line, row in enumerate(rows, start=2):
            found = self._record(path.parent, {key: (value or "").strip() for key, value in row.items() if key})
            if isinstance(found, Record):
                records.append(found)
                problems += _missing(found)
            else:
                problems.append(Problem("bad-row", (f"{path}:{line}",), f"{found}: correct the row"))
        return records, problems

    def _record(self, folder: Path, row: dict[str, str]) -> Record | str:
        """The record of a row, or what is wrong with it."""
        split, weight = row.get("split", "").lower(), row.get("weight", "") or "1"
        if split and split not in SPLITS:
            return f"split {split!r} is none of train, val, test"
        if not weight.isdecimal():
            return f"weight {weight!r} is not a whole number of times per epoch"
        return Record(
            str(folder / row["image"]),
            str(folder / row["mask"]),
            split=SPLITS[split] if split else None,
            group=row.get("group", ""),
            source=row.get("source", ""),
            weight=int(weight),
            columns={key: value for key, value in row.items() if key not in OWN},
        )

    def read_mask(self, record: Record) -> Array:
        """A crack mask of any encoding, or class indices."""
        if self.num_classes == 1:
            return read_mask(record.mask, self.invert)
        return read_classes(record.mask, self.num_classes, self.ignore)


def _missing(record: Record) -> Iterable[Problem]:
    """The files of a row that are not there."""
    for kind, path in (("missing-image", record.image), ("missing-mask", record.mask)):
        if not Path(path).is_file():
            yield Problem(kind, (path,), "the table lists it, but it is not there: add it, or remove the row")
