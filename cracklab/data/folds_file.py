"""folds.json: the photo and the fold of every image, written once and reused."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from cracklab.data.samples import Record
from cracklab.errors import DataError
from cracklab.files import write_json

NAMED = 5
"""Largest number of images that an error names."""


def write_folds(path: Path, records: Sequence[Record], fold_of: Mapping[int, int], folds: int) -> None:
    """Write the photo and the fold of every image as JSON, atomically; the fold of an image in no fold is null."""
    images = {record.id: {"photo": record.group, "fold": fold_of.get(i)} for i, record in enumerate(records)}
    write_json(path, {"folds": folds, "images": images})


def read_folds(path: Path, records: Sequence[Record], pool: Sequence[int], folds: int) -> dict[int, int]:
    """Read a file of `write_folds`, and check that it fits the data.

    Args:
        path: the file.
        records: the index, with groups.
        pool: positions of the images in folds.
        folds: expected number of folds.

    Returns:
        position -> fold, for the images in folds.

    Raises:
        DataError: if the file and the index have different images, a photo is in several folds, the number of folds
            differs, or the file cannot be read.
    """
    remedy = f"remove {str(path)!r} to make new folds"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        number = int(content["folds"])
        fold_of_id = {str(name): image["fold"] for name, image in content["images"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{str(path)!r} cannot be read as a file of folds ({type(error).__name__}: {error}): {remedy}"
        ) from None
    if number != folds:
        raise DataError(
            f"{str(path)!r} holds {number} folds, but data.folds is {folds}: set it to {number}, or {remedy}"
        )
    ids = {record.id for record in records}
    for names, fact in ((ids - fold_of_id.keys(), "lacks"), (fold_of_id.keys() - ids, "holds images that are gone:")):
        if names:
            raise DataError(f"{str(path)!r} {fact} {_shortened(names)}: restore the data, or {remedy}")
    wrong = {records[i].id for i in pool if fold_of_id[records[i].id] not in range(folds)}
    if wrong:
        raise DataError(f"{str(path)!r} assigns {_shortened(wrong)} to no fold from 0 to {folds - 1}: {remedy}")
    folds_of_photo: dict[str, set[int]] = defaultdict(set)
    for i in pool:
        folds_of_photo[records[i].group].add(fold_of_id[records[i].id])
    divided = {photo for photo, found in folds_of_photo.items() if len(found) > 1}
    if divided:
        raise DataError(f"{str(path)!r} has images of one photo in several folds ({_shortened(divided)}): {remedy}")
    return {i: fold_of_id[records[i].id] for i in pool}


def _shortened(names: set[str]) -> str:
    """Return the first names, sorted, and the number of the others."""
    rest = len(names) - NAMED
    return ", ".join(sorted(names)[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
