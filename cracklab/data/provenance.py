"""Provenance of a checkpoint's training data, and checks that test images are unseen and that a resumed run keeps its images."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_warn

from cracklab.data.groups import KnownOverlap
from cracklab.data.images import Array
from cracklab.data.layouts import Layout
from cracklab.data.samples import Record, Splits
from cracklab.data.transform import EvalTransform
from cracklab.errors import DataError, RunError

SCALE_SAMPLES = 9
"""Number of training images, evenly spread, whose sizes determine the scale at which a net sees photos."""
NAMED = 5
"""Largest number of images that an error names."""


@dataclass(frozen=True)
class Provenance:
    """The data of a run, described for its checkpoint, and compared with that of the checkpoint of another run.

    Args:
        layout: the layout of the data.
        records: the index.
        splits: the sides of the split.
        transform: the preparation of the photos.
        thumbnails: thumbnail of each image of the index, from which its fingerprint is made.
        overlap: `report` allows test images that the checkpoint was trained on.
    """

    layout: Layout
    records: Sequence[Record]
    splits: Splits
    transform: EvalTransform
    thumbnails: Sequence[Array]
    overlap: KnownOverlap

    @cached_property
    def description(self) -> dict[str, Any]:
        """The training data as plain values, for the checkpoint.

        `layout` is the layout's name, `images` the number of images on each side of the split, and `seen` the fingerprints
        of the training images: 16 hexadecimal digits for each, made from its content whatever its name. `mean` and `std` are
        those of the normalisation. If whole images of any size are resized, `scale` is the median scale (vertical, horizontal)
        over some training images.
        """
        facts: dict[str, Any] = {
            "layout": type(self.layout).__qualname__,
            "images": {side: len(positions) for side, positions in self.splits.by_side().items()},
            "seen": " ".join(sorted(self._training_fingerprints())),
            "mean": list(self.transform.mean),
            "std": list(self.transform.std),
        }
        if self.transform.resize is not None and self.transform.crop is None:
            facts["scale"] = self._scale()
        return facts

    def check_unseen(self, checkpoint: Mapping[str, Any]) -> None:
        """Refuse to test a checkpoint on images that it was trained on, for instance those of another fold.

        Args:
            checkpoint: the description that the checkpoint keeps.

        With `overlap` `report` it is a warning.

        Raises:
            DataError: if the test images include such images; names some of them.
        """
        seen, test = set(str(checkpoint.get("seen", "")).split()), self.splits.test
        known = [self.records[i].id for i in test if image_fingerprint(self.thumbnails[i]) in seen]
        if known:
            more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
            message = f"the checkpoint was trained on {len(known)} of the {len(test)} test images ({', '.join(known[:NAMED])}{more})"
            if self.overlap == "error":
                raise DataError(f"{message}: test it with the split and the fold of its own run, RUN/config.yaml")
            rank_zero_warn(message)

    def check_same(self, checkpoint: Mapping[str, Any]) -> None:
        """Refuse to resume a run with other training images than it began with.

        Args:
            checkpoint: the description that the checkpoint keeps.

        Raises:
            RunError: if the images differ; states their numbers.
        """
        if "seen" not in checkpoint:
            return
        now, then = self._training_fingerprints(), set(checkpoint["seen"].split())
        if now != then:
            raise RunError(
                f"the checkpoint was trained on {len(then)} images, and {len(now - then)} of the {len(now)} training images of "
                "this configuration are not among them: resume with the data of its own run, RUN/config.yaml, or start a new "
                "run"
            )

    def _training_fingerprints(self) -> set[str]:
        return {image_fingerprint(self.thumbnails[i]) for i in self.splits.train} - {""}

    def _scale(self) -> list[float]:
        """Return the median scale (vertical, horizontal): px in the net over px in the file."""
        scales = []
        train = self.splits.train
        for i in np.unique(np.linspace(0, len(train) - 1, SCALE_SAMPLES).round().astype(int)):
            height, width = self.layout.read_image(self.records[train[i]]).shape[:2]
            down, across = self.transform.prepared_size(height, width)
            scales.append((down / height, across / width))
        return [float(value) for value in np.median(np.array(scales), axis=0)]


def image_fingerprint(thumbnail: Array) -> str:
    """Return a fingerprint of an image's content; empty for a uniform image, which could be any."""
    return hashlib.sha256(thumbnail.tobytes()).hexdigest()[:16] if np.ptp(thumbnail) else ""
