"""The expected gain of a label: how many photos with cracks look like a photo, and have no label yet.

The gain of a set of photos A is the facility location function (Nemhauser, Wolsey, Fisher 1978), in the weighted form of Wei, Iyer,
Bilmes (2015):

    gain(A) = sum_j w_j max_{i in A} s_ij / sum_j w_j

over the photos j of the pool; w_j is near 1 if there is probably a crack, and s_ij is the similarity, 0 to 1. Photos are taken
greedily, which reaches at least 1 - 1/e = 63 % of the best gain. Near duplicates and crops of one wall gain nothing after the first
of them, and a photo that looks like no other stands for itself alone.
"""

import heapq
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

RARE = 0.001
"""Mean probability of crack at which a photo counts half."""
SIDE = 128
"""Longer side of the reduced photo whose look is described, px."""
OCTAVES = 4
"""Number of scales of texture in a description."""
SHARPNESS = 2.0
"""Of the similarity: two photos at the mean distance of the pool have exp(-2 * SHARPNESS) = 0.02."""


def crack_weight(probability: Floats) -> float:
    """Return how much a photo counts, 0 to 1: a / (a + 0.001), a the mean probability of crack.

    It is near 0 for a bare wall, and near 1 for every photo with a crack, whatever its size. Faint probabilities count, so that
    a photo whose crack the net nearly misses is not lost.

    Args:
        probability: of crack, (H, W), 0 to 1.

    Example:
        >>> wall = np.zeros((100, 100), np.float32)
        >>> crack_weight(wall), round(crack_weight(np.maximum(wall, np.eye(100, dtype=np.float32))), 2)
        (0.0, 0.91)
    """
    share = float(probability.mean(dtype=np.float64))
    return share / (share + RARE)


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
    weights: Sequence[float], looks: Sequence[Floats], labelled: Sequence[Floats] = ()
) -> list[tuple[int, float]]:
    """Return all photos, the best one to label first, with the gain of each beyond the earlier ones.

    Args:
        weights: how much each photo counts, at least 0.
        looks: the description of each photo.
        labelled: descriptions of photos that are labelled already, which cover those like them.

    Returns:
        Pairs of position and gain, a share of the weight of all photos; the gains fall and sum to at most 1.

    Example:
        >>> wall, again, pipe = np.float32([[0, 0], [0, 0.1], [5, 5]])
        >>> [i for i, gain in by_gain([1, 0.9, 1], [wall, again, pipe])]  # a wall stands for two photos
        [0, 2, 1]
        >>> [i for i, gain in by_gain([1, 0.9, 1], [wall, again, pipe], labelled=[again])]
        [2, 0, 1]
    """
    if not len(weights):
        return []
    shares = np.asarray(weights, np.float64)
    shares = shares / shares.sum() if shares.any() else np.full(len(shares), 1 / len(shares))
    every = np.asarray([*looks, *labelled], np.float64)
    every = (every - every.mean(0)) / np.maximum(every.std(0), 1e-6)
    pool = every[: len(shares)]
    lengths = (pool**2).sum(1)

    def similarity(one: NDArray[np.float64]) -> NDArray[np.float64]:
        distances = (lengths - 2 * (pool @ one) + one @ one) / len(one)
        return np.asarray(np.exp(-SHARPNESS * distances))

    covered = np.zeros(len(pool))
    for one in every[len(pool) :]:
        covered = np.maximum(covered, similarity(one))

    def gain(i: int) -> float:
        return float(shares @ np.maximum(similarity(pool[i]) - covered, 0))

    order: list[tuple[int, float]] = []
    bounds = [(-gain(i), i) for i in range(len(pool))]
    heapq.heapify(bounds)
    while bounds:  # lazy greedy (Minoux 1978): a gain never rises, so an old one is a bound of the new one
        i = heapq.heappop(bounds)[1]
        now = gain(i)
        if bounds and (-now, i) > bounds[0]:  # of equal gains, the first photo
            heapq.heappush(bounds, (-now, i))
            continue
        order.append((i, now))
        covered = np.maximum(covered, similarity(pool[i]))
    return order
