"""Columns of per_image.csv that describe an image: its photo, its source, its scale."""

from collections.abc import Sequence

from cracklab.data.samples import Record
from cracklab.errors import DataError

SCALE = "mm_per_px"
"""Column of the scale of an image, mm per px, in the table of images."""


def describing_columns(records: Sequence[Record], keeps_size: bool) -> dict[str, dict[str, float | str]]:
    """Return the describing columns of each image, by its id.

    `group` is the photo; the columns `source` and `mm_per_px` exist if any image has them.

    Args:
        records: the index.
        keeps_size: whether images are evaluated at the size of their files; otherwise the scale does not apply.

    Raises:
        DataError: if a scale is not a number.

    Example:
        >>> describing_columns([Record("a.jpg", "a.png", id="a", group="wall 7")], keeps_size=True)
        {'a': {'group': 'wall 7'}}
    """
    sources = any(record.source for record in records)
    scaled = keeps_size and any(SCALE in record.columns for record in records)
    columns: dict[str, dict[str, float | str]] = {}
    for record in records:
        columns[record.id] = {"group": record.group}
        if sources:
            columns[record.id]["source"] = record.source
        if scaled:
            try:
                columns[record.id][SCALE] = float(record.columns.get(SCALE) or "nan")
            except ValueError:
                raise DataError(
                    f"{SCALE} of {record.image} is {record.columns[SCALE]!r}: give a number, or leave it empty"
                ) from None
    return columns
