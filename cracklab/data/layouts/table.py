"""A table of images and masks."""

from collections.abc import Iterable
from csv import DictReader, Error
from pathlib import Path

from cracklab.bounds import GreyLevel
from cracklab.data.layouts.base import Index, MaskFiles, register
from cracklab.data.layouts.pairing import SIDE_NAMES
from cracklab.data.samples import Problem, Record
from cracklab.errors import DataError

OWN_COLUMNS = ("image", "mask", "group", "split", "source", "weight")
"""Columns with a meaning of their own."""


@register("csv")
class Table(MaskFiles):
    """A table with the columns `image` and `mask`, optionally `group`, `split`, `source`, `weight`, and any others.

    Paths are relative to the table. `group` names the photo, `split` is train, val or test, and `weight` is the number of
    times that an image is seen in a training epoch. `data.group` can name any other column. Columns are separated by
    commas, semicolons or tabs.

    Args:
        file: the table, relative to `data.root`.
        invert: masks show cracks dark on a bright background.
        num_classes: 1 for crack masks of any encoding; else masks hold class indices from 0 on.
        class_names: one for each class.
        ignore: mask value of ignored pixels, for several classes.
    """

    def __init__(
        self,
        file: str = "index.csv",
        invert: bool = False,
        num_classes: int = 1,
        class_names: list[str] | None = None,
        ignore: GreyLevel | None = None,
    ) -> None:
        super().__init__(invert, num_classes, class_names, ignore)
        self.file = file

    def index(self, root: Path) -> Index:
        """Return one record for each row."""
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
            record = self._record(path.parent, {key: (value or "").strip() for key, value in row.items() if key})
            if isinstance(record, Record):
                records.append(record)
                problems += _missing_files(record, path)
            else:
                problems.append(Problem("bad-row", (f"{path}:{line}",), f"{record}: correct the row"))
        return records, problems

    def _record(self, folder: Path, row: dict[str, str]) -> Record | str:
        """Return the record of a row, or a message that says what is wrong with the row."""
        split, weight = row.get("split", "").lower(), row.get("weight", "") or "1"
        if split and split not in SIDE_NAMES:
            return f"split {split!r} is not one of train, val, test"
        if not weight.isdecimal():
            return f"weight {weight!r} is not a whole number"
        return Record(
            str(folder / row["image"]),
            str(folder / row["mask"]),
            split=SIDE_NAMES[split] if split else None,
            group=row.get("group", ""),
            source=row.get("source", ""),
            weight=int(weight),
            columns={key: value for key, value in row.items() if key not in OWN_COLUMNS},
        )


def _missing_files(record: Record, table: Path) -> Iterable[Problem]:
    for kind, path in (("missing-image", record.image), ("missing-mask", record.mask)):
        if not Path(path).is_file():
            yield Problem(kind, (path,), f"{str(table)!r} lists it, but it does not exist: add it, or remove the row")
