"""What a checkpoint notes of the data that it was trained on, and what may not be done with other data then."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cracklab.data.images import Array
from cracklab.errors import DataError, RunError

if TYPE_CHECKING:
    from cracklab.data.datamodule import CrackDataModule

SAMPLED = 9
"""So many training images, evenly spread, tell the scale at which a net sees photos."""
NAMED = 5
"""So many images are named in an error."""


def describe(data: "CrackDataModule") -> dict[str, Any]:
    """Layout, number of images a side, and a mark of every training image; plain values, for a checkpoint.

    `seen` holds 16 hexadecimal digits for each training image, from what it shows, whatever its name is. Where whole
    images of any size are resized, `scale` is what that made of them, (vertical, horizontal), the median over some.
    """
    noted: dict[str, Any] = {
        "layout": type(data.layout).__qualname__,
        "images": {side: len(positions) for side, positions in data.splits.named().items()},
        "seen": " ".join(sorted(set(marks_of(data, data.splits.train)) - {""})),
    }
    if data.transform.resize is not None and data.transform.crop is None:
        noted["scale"] = _scale(data)
    return noted


def marks_of(data: "CrackDataModule", positions: Sequence[int]) -> list[str]:
    """A mark for what each image shows; empty for an even surface, which says nothing."""
    return [_mark(data.thumbnails[i]) for i in positions]


def check_unseen(noted: Mapping[str, Any], data: "CrackDataModule") -> None:
    """Refuse to test a checkpoint on images that it was trained on, for instance those of another fold.

    A published split that leaks may be used with `data.known_overlap: report`.

    Raises:
        DataError: naming such images.
    """
    seen = set(str(noted.get("seen", "")).split())
    test = data.splits.test
    known = [data.records[i].id for i, mark in zip(test, marks_of(data, test), strict=True) if mark in seen]
    if known and data.accepted_overlap != "report":
        more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
        raise DataError(
            f"the checkpoint was trained on {len(known)} of the {len(test)} test images ({', '.join(known[:NAMED])}{more}): "
            "test it with the split and the fold of its own run, RUN/config.yaml"
        )


def check_same(noted: Mapping[str, Any], data: "CrackDataModule") -> None:
    """Refuse to go on with a run on other training images than it began with.

    Raises:
        RunError: with the numbers of images.
    """
    if "seen" not in noted:
        return
    now, then = set(marks_of(data, data.splits.train)) - {""}, set(noted["seen"].split())
    if now != then:
        raise RunError(
            f"the checkpoint was trained on {len(then)} images, and of the {len(now)} of this configuration {len(now - then)} "
            "were not among them: go on with the data of its own run, RUN/config.yaml, or start a new run"
        )


def _mark(thumbnail: Array) -> str:
    return hashlib.sha256(thumbnail.tobytes()).hexdigest()[:16] if np.ptp(thumbnail) else ""


def _scale(data: "CrackDataModule") -> list[float]:
    """(vertical, horizontal): px that the net sees over px of the file."""
    train = data.splits.train
    found = []
    for i in np.unique(np.linspace(0, len(train) - 1, SAMPLED).round().astype(int)):
        height, width = data.layout.read_image(data.records[train[i]]).shape[:2]
        down, across = data.transform.prepared_size(height, width)
        found.append((down / height, across / width))
    return [float(value) for value in np.median(np.array(found), axis=0)]
