"""The expected gain of a label: how wrong a prediction probably is, and how many photos of the pool look like it.

A photo is worth a label if the net is probably wrong on it, and on many others like it that no label covers yet. The gain of a
set of photos A is the facility location function (Nemhauser, Wolsey, Fisher 1978) with the errors as weights (Wei, Iyer, Bilmes
2015):

    gain(A) = sum_j e_j max_{i in A} s_ij / sum_j e_j

over the photos j of the pool; e_j is the expected error and s_ij the similarity, 0 to 1. Photos are taken greedily, which reaches at
least 1 - 1/e = 63 % of the best gain. Near duplicates and crops of one wall gain nothing after the first of them, and a photo that
looks like no other covers itself alone.
"""

import heapq
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

SMOOTH = 0.001
"""Share of the pixels that is added to overlap and areas, so that traces of a crack on a bare wall are no large error."""
SIDE = 128
"""Longer side of the reduced photo whose look is described, px."""
OCTAVES = 4
"""Number of scales of texture in a description."""
SHARPNESS = 2.0
"""Of the similarity: two photos at the mean distance of the pool have exp(-2 * SHARPNESS) = 0.02."""
ROWS = 256
"""Number of rows of a photo that are summed at once, in double precision."""


def expected_error(probability: Floats, mask: Mask) -> float:
    """Return the expected Dice error of a mask, 0 to 1, if the truth is drawn from the probabilities.

    1 - (2 sum_{mask} p + c) / (sum mask + sum p + c), with c = 0.001 of the pixels: expectations of overlap and areas. Neither
    the size of the photo nor the amount of crack raises it, and sure background does not count.

    Args:
        probability: of crack, (H, W), 0 to 1.
        mask: the predicted cracks, (H, W).

    Example:
        >>> sure, unsure = np.zeros((10, 100), np.float32), np.zeros((10, 100), np.float32)
        >>> sure[5], unsure[5] = 1, 0.6
        >>> expected_error(sure, sure > 0.5), round(expected_error(unsure, unsure > 0.5), 3)
        (0.0, 0.248)
    """
    overlap = total = 0.0
    for top in range(0, len(mask), ROWS):
        p, m = probability[top : top + ROWS], mask[top : top + ROWS]
        overlap += float(p.sum(dtype=np.float64, where=m))
        total += float(p.sum(dtype=np.float64)) + int(np.count_nonzero(m))
    smooth = SMOOTH * mask.size
    return 1 - (2 * overlap + smooth) / (total + smooth)


def look(photo: Image) -> Floats:
    """Describe how a photo looks: colour and texture, without where things are, (10,).

    Mean and standard deviation of the channels of CIELAB, and the logarithm of the contrast of lightness in each of four octaves
    (differences of Gaussians), of the photo reduced to 128 px.

    Args:
        photo: (H, W, 3) uint8 RGB.

    Example:
        >>> look(np.full((300, 400, 3), 255, np.uint8)).round().tolist()  # white: L* is 100, and the contrast log 0.1
        [100.0, 0.0, 0.0, 0.0, 0.0, 0.0, -2.0, -2.0, -2.0, -2.0]
    """
    scale = SIDE / max(photo.shape[:2])
    size = max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    blurred = [lab[..., 0], *(cv2.GaussianBlur(lab[..., 0], (0, 0), 2.0**octave) for octave in range(OCTAVES))]
    contrast = [np.log(np.std(fine - coarse) + 0.1) for fine, coarse in pairwise(blurred)]
    return np.array([*lab.mean((0, 1)), *lab.std((0, 1)), *contrast], np.float32)


def by_gain(
    errors: Sequence[float], looks: Sequence[Floats], labelled: Sequence[Floats] = ()
) -> list[tuple[int, float]]:
    """Return all photos, the best one to label first, with what each gains beyond the earlier ones.

    Args:
        errors: the expected error of each photo.
        looks: the description of each photo.
        labelled: descriptions of photos that are labelled already, which cover those like them.

    Returns:
        Pairs of position and gain, a share of the expected error of all photos; the gains fall and sum to at most 1.

    Example:
        >>> wall, again, pipe = np.float32([[0, 0], [0, 0.1], [5, 5]])
        >>> [i for i, gain in by_gain([0.3, 0.2, 0.4], [wall, again, pipe])]  # the walls together are more than the pipe
        [0, 2, 1]
        >>> [i for i, gain in by_gain([0.3, 0.2, 0.4], [wall, again, pipe], labelled=[again])]
        [2, 0, 1]
    """
    if not len(errors):
        return []
    weights = np.asarray(errors, np.float64)
    weights = weights / weights.sum() if weights.any() else np.full(len(weights), 1 / len(weights))
    every = np.asarray([*looks, *labelled], np.float64)
    every = (every - every.mean(0)) / np.maximum(every.std(0), 1e-6)
    pool = every[: len(weights)]
    lengths = (pool**2).sum(1)

    def similarity(one: NDArray[np.float64]) -> NDArray[np.float64]:
        distances = (lengths - 2 * (pool @ one) + one @ one) / len(one)
        return np.asarray(np.exp(-SHARPNESS * distances))

    covered = np.zeros(len(pool))
    for one in every[len(pool) :]:
        covered = np.maximum(covered, similarity(one))

    def gain(i: int) -> float:
        return float(weights @ np.maximum(similarity(pool[i]) - covered, 0))

    order: list[tuple[int, float]] = []
    bounds = [(-gain(i), i) for i in range(len(pool))]
    heapq.heapify(bounds)
    while bounds:  # lazy greedy (Minoux 1978): a gain never rises, so an old one is a bound of the new one
        i = heapq.heappop(bounds)[1]
        now = gain(i)
        if bounds and -now > bounds[0][0]:
            heapq.heappush(bounds, (-now, i))
            continue
        order.append((i, now))
        covered = np.maximum(covered, similarity(pool[i]))
    return order
