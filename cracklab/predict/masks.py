"""Masks from probabilities: a threshold, or two of them (hysteresis; Canny 1986, section VIII).

This file needs NumPy and OpenCV alone, since `cracklab export` copies it into a bundle.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
CRACK, POSSIBLE = 255, 128
"""Values of a mask above the high threshold, and between the two."""
ROWS = 256
"""Number of rows that are decided on at once."""


def mask_of(probabilities: NDArray[np.float32], threshold: float | None, high_threshold: float = 0) -> Mask:
    """Return the mask (H, W) uint8 of probabilities (C, H, W): 0 / 255 for one class, the most probable class for several.

    With a high threshold, pixels between the two become 128: `connected` decides on them when the whole photo is known.

    Args:
        probabilities: of one class, or of several that sum to 1.
        threshold: a pixel above it is 255; ignored for several classes.
        high_threshold: a pixel above the threshold, but below this is 128.

    Example:
        >>> mask_of(np.array([[[0.2, 0.5, 0.7, 0.9]]], np.float32), threshold=0.5)
        array([[  0,   0, 255, 255]], dtype=uint8)
        >>> mask_of(np.array([[[0.2, 0.5, 0.7, 0.9]]], np.float32), threshold=0.5, high_threshold=0.85)
        array([[  0,   0, 128, 255]], dtype=uint8)
        >>> mask_of(np.array([[[0.6, 0.1]], [[0.4, 0.9]]], np.float32), threshold=None)
        array([[0, 1]], dtype=uint8)
    """
    if len(probabilities) > 1:
        return np.asarray(probabilities.argmax(0), np.uint8)
    assert threshold is not None
    found = probabilities[0]
    values = np.where(found < high_threshold, np.uint8(POSSIBLE), np.uint8(CRACK))
    return np.asarray(values * (found > threshold), np.uint8)


def connected(mask: Mask) -> Mask:
    """Return a mask of 0, 128 and 255 as 0 / 255: connected pieces (8 neighbours) that contain a 255, whole; the others are 0.

    Memory: labels of 4 bytes for each pixel, and what OpenCV needs to find them.

    Args:
        mask: of `mask_of`; the result replaces its values.

    Example:
        >>> connected(np.array([[128, 255, 128, 0, 128, 128]], np.uint8))
        array([[255, 255, 255,   0,   0,   0]], dtype=uint8)
    """
    if not (mask == POSSIBLE).any():
        return mask
    count, pieces = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_32S)  # of all that is not 0
    kept = np.zeros(count, np.uint8)
    bands = [slice(top, top + ROWS) for top in range(0, len(mask), ROWS)]
    for rows in bands:
        kept[pieces[rows][mask[rows] == CRACK]] = CRACK
    for rows in bands:
        mask[rows] = kept[pieces[rows]]
    return mask
