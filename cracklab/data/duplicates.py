"""Near duplicates: copies of one photo, also when saved again, resized, brightened, rotated or mirrored."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.data.images import Array

SIDE = 32
"""Height and width of a thumbnail, px."""
HASH_DISTANCE = 8
"""Largest number of bits, of 64, in which the perceptual hashes of near duplicates differ."""
CORRELATION = 0.95
"""Smallest correlation of the thumbnails of near duplicates. On DeepCrack, copies saved at JPEG quality 30, at half the size
or with noise of 10 grey levels stay above 0.99; crops of one photo stay below 0.81, and other photos below 0.71."""
BLOCK = 4096
"""Number of images that are compared with all others at once, which bounds the memory."""


def thumbnail(image: Array) -> Array:
    """Return a grey thumbnail, (32, 32) uint8, of an image (H, W, 3) RGB."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def near_duplicates(thumbnails: Sequence[Array]) -> list[tuple[int, int]]:
    """Return the pairs (i, j), i < j, of images that show the same scene, by perceptual hash and correlation.

    Both criteria are needed: hashes of bare walls can agree by chance, and thumbnails of different walls in the same light
    can correlate.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE), dtype=np.uint8)
        >>> near_duplicates([noise[0], noise[1], noise[0, :, ::-1]])  # the last one is the first one mirrored
        [(0, 2)]
    """
    if not thumbnails:
        return []
    grey = np.asarray(thumbnails, np.float32).reshape(-1, SIDE, SIDE)
    bits, levels = _hashes(grey), _standardised(grey)
    pairs: set[tuple[int, int]] = set()
    for turned in _symmetries(grey):
        other_bits, other_levels = _hashes(turned), _standardised(turned)
        for start in range(0, len(grey), BLOCK):
            part = slice(start, start + BLOCK)
            agree = bits[part] @ other_bits.T  # bits are +1 or -1: 64 minus twice the number that differ
            near = (agree >= 64 - 2 * HASH_DISTANCE) & (levels[part] @ other_levels.T >= CORRELATION)
            pairs |= {(min(i, j), max(i, j)) for i, j in (np.argwhere(near) + np.array([start, 0])).tolist() if i != j}
    return sorted(pairs)


def _symmetries(grey: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return all thumbnails in each of the eight flips and quarter turns."""
    return [np.rot90(one, turn, axes=(1, 2)) for one in (grey, grey[:, :, ::-1]) for turn in range(4)]


def _hashes(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return perceptual hashes (N, 64): +1 for each of the 64 lowest frequencies above their median, else -1.

    The mean, frequency 0, is left out.
    """
    frequencies = np.stack([cv2.dct(np.ascontiguousarray(one)) for one in grey])[:, :9, :9].reshape(len(grey), -1)
    low = frequencies[:, 1:65]
    return np.where(low > np.median(low, axis=1, keepdims=True), np.float32(1), np.float32(-1))


def _standardised(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the grey levels (N, 1024) with mean 0 and length 1, so that products are correlations; 0 if uniform."""
    flat = grey.reshape(len(grey), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length > 1, flat / np.maximum(length, 1), np.float32(0))
