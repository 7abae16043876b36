"""Tiles to probabilities, by one checkpoint or the mean of several, and how far an edge of a tile is felt."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from cracklab.data.images import resize_image
from cracklab.errors import RunError
from cracklab.predict.tiles import GRID, Floats, Photo, Score
from cracklab.predict.trained_model import TrainedModel, restore
from cracklab.synthetic.draw import draw

FLIPS: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
"""Axes of (B, C, H, W) of a picture as it is, mirrored, upside down, and both."""
SIDE = 512
"""Side of the drawn wall on which the reach is measured, px."""
FELT = 0.005
"""A change of a probability below this is none."""


class Scorer:
    """Probabilities of tiles (B, h, w, 3) uint8 RGB, as (B, C, h, w): the mean over checkpoints and flips.

    Args:
        members: what the checkpoints hold; all of one data transform and the same classes.
        names: what errors call them.
        device: where the nets run.
        flips: score each tile in four mirrored forms too, and take the mean.

    Raises:
        RunError: for checkpoints that do not belong together.
    """

    def __init__(
        self, members: Sequence[TrainedModel], names: Sequence[str], device: str = "cpu", flips: bool = False
    ) -> None:
        self.members, self.flips = list(members), FLIPS if flips else FLIPS[:1]
        first = self.members[0]
        for name, member in zip(names[1:], self.members[1:], strict=True):
            for what, ours, theirs in (
                ("the data transform", first.transform, member.transform),
                ("the scale of the photos", first.scale, member.scale),
                ("the classes", first.data.class_names, member.data.class_names),
            ):
                if ours != theirs:
                    raise RunError(
                        f"checkpoints {names[0]} and {name} differ in {what} ({ours} and {theirs}), so that their "
                        "probabilities cannot be averaged: give checkpoints that were trained on the same data"
                    )
        self.transform, self.scale = first.transform, first.scale
        self.classes, self.class_names = first.data.num_classes, first.data.class_names
        self.threshold = fmean(member.threshold for member in self.members)
        """Mean of the thresholds that validations chose."""
        self.device = torch.device(device)
        for member in self.members:
            member.net.to(self.device).to(memory_format=torch.channels_last)
            member.memory_format = torch.channels_last  # a tenth faster on a CPU too

    def scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """Size, px, at which the nets are to see a photo of this size."""
        return max(1, round(height * self.scale[0])), max(1, round(width * self.scale[1]))

    def at_its_scale(self, photo: Photo) -> Photo:
        """A photo (H, W, 3) at the scale at which the nets saw the training images."""
        return resize_image(photo, *self.scaled_size(*photo.shape[:2]), self.transform.interpolation)

    @torch.inference_mode()
    def __call__(self, tiles: Photo) -> Floats:
        """Probabilities of a batch of tiles."""
        planes = torch.from_numpy(np.stack([self.transform.planes(tile) for tile in tiles]))
        image = self.transform.normalise(planes.to(self.device))
        total = torch.zeros(())
        for member in self.members:
            for axes in self.flips:
                turned = image.flip(axes) if axes else image
                scores = member.probabilities(turned)
                total = total + (scores.flip(axes) if axes else scores).cpu()
        return np.asarray((total / (len(self.members) * len(self.flips))).numpy(), np.float32)


def load(checkpoints: Sequence[str | Path], device: str = "cpu", flips: bool = False) -> Scorer:
    """What scores tiles, from checkpoints alone.

    Raises:
        RunError: for a checkpoint that cannot be restored, or several that do not belong together.
    """
    return Scorer([restore(path) for path in checkpoints], [str(path) for path in checkpoints], device, flips)


def reach(score: Score) -> int | None:
    """How far from an edge of a tile the edge is felt, px: the extent of the receptive field that matters.

    A drawn wall is scored whole, and in halves that are cut through its middle, along either axis. From `reach` px on
    away from the cut, no probability changes by more than 0.005. None where it is felt all over: a net that looks at
    the whole picture (attention, pooling over everything, normalisation over the image) has no such distance.
    """
    wall, _ = draw(1, (SIDE, SIDE))
    half = SIDE // 2
    whole = score(wall[None])[0]
    felt = np.zeros(half, np.float32)
    for rows, columns, axis, turn in (
        (slice(None), slice(None, half), 1, True),
        (slice(None), slice(half, None), 1, False),
        (slice(None, half), slice(None), 0, True),
        (slice(half, None), slice(None), 0, False),
    ):
        change = np.abs(score(wall[None, rows, columns])[0] - whole[:, rows, columns]).max(axis=(0, 2 - axis))
        felt = np.maximum(felt, change[::-1] if turn else change)
    far = np.flatnonzero(felt > FELT)
    distance = int(far[-1]) + 1 if far.size else 0
    return None if distance > half - GRID else distance
