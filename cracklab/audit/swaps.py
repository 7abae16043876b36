"""Masks that belong to another image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cracklab.audit.evidence import Evidence
from cracklab.geometry.masks import Mask

BLOCK = 512
"""Number of masks that are compared with all predictions at once."""
MIN_CELLS = 8
"""Masks and predictions of fewer cells of the grid fit too many others by chance."""


@dataclass(frozen=True)
class Swap:
    """A mask that fits the prediction of another image better than that of its own, and better than that image's own mask does.

    Attributes:
        index: of the image.
        other: index of the image that its mask fits.
        gain: IoU on the grid with the prediction of the other image, minus the agreement of mask and prediction of the one of
            both images that agrees more, 0 to 1.
    """

    index: int
    other: int
    gain: float


def find_swaps(evidence: Sequence[Evidence]) -> Iterator[Swap]:
    """Yield the masks that fit the prediction of another image of the same size better than that of their own image.

    Cracks of a mask and of predictions are compared on a grid of 48 x 48 cells, by IoU. The mask of the other image must fit
    worse, too, unless two images have the very same mask: where many photos show a crack at the same place, a mask fits many predictions,
    and none of the masks is wrong.
    """
    sizes: dict[tuple[int, int], list[int]] = {}
    for i, one in enumerate(evidence):
        sizes.setdefault(one.size, []).append(i)
    for members in sizes.values():
        predictions = np.stack([evidence[i].crack_grid.ravel() for i in members]).astype(np.float32)
        masks = np.stack([evidence[i].mask_grid.ravel() for i in members]).astype(np.float32)
        own = np.array([agreement(evidence[i].mask_grid, evidence[i].crack_grid) for i in members], np.float32)
        digests = np.array([evidence[i].digest for i in members])
        _, first, counts = np.unique(digests, return_inverse=True, return_counts=True)
        twice = counts[first] == 2
        cells = predictions.sum(1)
        for start in range(0, len(members), BLOCK):
            block = masks[start : start + BLOCK]
            common = block @ predictions.T
            gains = common / np.maximum(block.sum(1)[:, None] + cells - common, 1)
            gains[:, cells < MIN_CELLS] = 0
            here = slice(start, start + BLOCK)
            # a copy of the mask of one other image is wrong although it fits there
            copied = (digests[here, None] == digests) & twice
            gains -= np.where(copied, own[here, None], np.maximum(own[here, None], own))
            best = gains.argmax(1)
            gain = gains[np.arange(len(block)), best]
            for k in np.flatnonzero((gain > 0) & (block.sum(1) >= MIN_CELLS)):
                yield Swap(members[start + k], members[best[k]], float(gain[k]))


def agreement(mask: Mask, prediction: Mask) -> float:
    """Return the share of the cells of both that are at most one cell away from the other, 0 to 1.

    Example:
        >>> agreement(np.array([[False, True, False, False]]), np.array([[True, False, False, True]]))
        0.6666666666666666
    """
    total = int(mask.sum()) + int(prediction.sum())
    near = int((mask & _dilated(prediction)).sum()) + int((prediction & _dilated(mask)).sum())
    return near / total if total else 1.0


def _dilated(cells: Mask) -> Mask:
    return np.asarray(cv2.dilate(cells.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
