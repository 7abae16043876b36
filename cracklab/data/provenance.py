"""Provenance of a checkpoint's training data, and the checks that protect a test set and a resumed run from a mix-up."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cracklab.data.images import Array
from cracklab.data.layouts import Layout
from cracklab.data.samples import Record, Splits
from cracklab.data.transform import EvalTransform
from cracklab.errors import DataError, RunError

SCALE_SAMPLES = 9
"""Number of training images, evenly spread, whose sizes tell the scale at which a net sees photos."""
NAMED = 5
"""Number of images that an error names."""


def describe(
    layout: Layout,
    records: Sequence[Record],
    splits: Splits,
    transform: EvalTransform,
    thumbnails: Sequence[Array],
) -> dict[str, Any]:
    """Return what a checkpoint records of its training data, as plain values.

    `layout` is the layout's name, `images` the number of images on each side of the split, and `seen` a fingerprint of
    every training image: 16 hexadecimal digits made from its content, whatever its name. Where whole images of any size
    are resized, `scale` is the median scale (vertical, horizontal) over some training images.
    """
    provenance: dict[str, Any] = {
        "layout": type(layout).__qualname__,
        "images": {side: len(positions) for side, positions in splits.by_side().items()},
        "seen": " ".join(sorted(_fingerprints(thumbnails, splits.train))),
    }
    if transform.resize is not None and transform.crop is None:
        provenance["scale"] = _scale(layout, [records[i] for i in splits.train], transform)
    return provenance


def check_unseen(
    provenance: Mapping[str, Any], records: Sequence[Record], test: Sequence[int], thumbnails: Sequence[Array]
) -> None:
    """Refuse to test a checkpoint on images that it was trained on, for instance those of another fold.

    Raises:
        DataError: if the test images include such images; names some of them.
    """
    seen = set(str(provenance.get("seen", "")).split())
    known = [records[i].id for i in test if _fingerprint(thumbnails[i]) in seen]
    if known:
        more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
        raise DataError(
            f"the checkpoint was trained on {len(known)} of the {len(test)} test images ({', '.join(known[:NAMED])}{more}): "
            "test it with the split and the fold of its own run, RUN/config.yaml"
        )


def check_same(provenance: Mapping[str, Any], train: Sequence[int], thumbnails: Sequence[Array]) -> None:
    """Refuse to resume a run with other training images than it began with.

    Raises:
        RunError: if the images differ; states their numbers.
    """
    if "seen" not in provenance:
        return
    now, then = _fingerprints(thumbnails, train), set(provenance["seen"].split())
    if now != then:
        raise RunError(
            f"the checkpoint was trained on {len(then)} images, and {len(now - then)} of the {len(now)} training images of this "
            "configuration are not among them: resume with the data of its own run, RUN/config.yaml, or start a new run"
        )


def _fingerprints(thumbnails: Sequence[Array], positions: Sequence[int]) -> set[str]:
    return {_fingerprint(thumbnails[i]) for i in positions} - {""}


def _fingerprint(thumbnail: Array) -> str:
    """Return a fingerprint of an image's content; empty for a uniform image, which could be any."""
    return hashlib.sha256(thumbnail.tobytes()).hexdigest()[:16] if np.ptp(thumbnail) else ""


def _scale(layout: Layout, train: Sequence[Record], transform: EvalTransform) -> list[float]:
    """Return the median scale (vertical, horizontal): px in the net over px in the file."""
    scales = []
    for i in np.unique(np.linspace(0, len(train) - 1, SCALE_SAMPLES).round().astype(int)):
        height, width = layout.read_image(train[i]).shape[:2]
        down, across = transform.prepared_size(height, width)
        scales.append((down / height, across / width))
    return [float(value) for value in np.median(np.array(scales), axis=0)]
