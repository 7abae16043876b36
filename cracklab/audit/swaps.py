"""Masks that belong to another image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cracklab.audit.evidence import Evidence

BLOCK = 512
"""Number of masks that are compared with all predictions at once."""
MIN_CELLS = 8
"""Masks and predictions of fewer cells of the grid fit too many others by chance."""


@dataclass(frozen=True)
class Swap:
    """A mask that fits the prediction of another image better than that of its own.

    Attributes:
        index: of the image.
        other: index of the image that its mask fits.
        gain: IoU on the grid with the prediction of the other image, minus that with its own, 0 to 1.
    """

    index: int
    other: int
    gain: float


def find_swaps(evidence: Sequence[Evidence]) -> Iterator[Swap]:
    """Yield the masks that fit the prediction of another image of the same size better than that of their own image.

    Cracks of a mask and of predictions are compared on a grid of 48 x 48 cells, by IoU.
    """
    sizes: dict[tuple[int, int], list[int]] = {}
    for i, one in enumerate(evidence):
        sizes.setdefault(one.size, []).append(i)
    for members in sizes.values():
        predictions = np.stack([evidence[i].crack_grid.ravel() for i in members]).astype(np.float32)
        masks = np.stack([evidence[i].mask_grid.ravel() for i in members]).astype(np.float32)
        cells = predictions.sum(1)
        for start in range(0, len(members), BLOCK):
            block = masks[start : start + BLOCK]
            common = block @ predictions.T
            iou = common / np.maximum(block.sum(1)[:, None] + cells - common, 1)
            iou[:, cells < MIN_CELLS] = 0
            own = iou[np.arange(len(block)), start + np.arange(len(block))].copy()
            best = iou.argmax(1)
            gain = iou[np.arange(len(block)), best] - own
            for k in np.flatnonzero((gain > 0) & (block.sum(1) >= MIN_CELLS)):
                yield Swap(members[start + k], members[best[k]], float(gain[k]))
