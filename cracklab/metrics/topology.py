"""Pieces: into how many a prediction breaks what is one crack."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.geometry.masks import Mask
from cracklab.metrics.pairs import Pair
from cracklab.metrics.surface import nearest_points, pixel_coordinates


def topology(pair: Pair, tolerance_px: float) -> dict[str, float | None]:
    """Connected pieces of the prediction against the cracks of the truth; pixels that touch at a corner are connected.

    A piece meets a crack at the pixels of the crack's centre line that have a pixel of it, as the nearest predicted,
    within the tolerance.

    Args:
        pair: prediction and truth.
        tolerance_px: px.

    Returns:
        By name: `pieces_per_crack`, the number of pieces that meet a crack, mean over cracks (1 is right, 0 is missed);
        `bridged`, the share of the centre lines that one piece, for each crack the one that meets most of it, meets: a gap
        costs all that lies beyond it; `betti0_error`, |number of pieces - number of cracks|, the error of the Betti
        number b0. The first two are None without truth.
    """
    pieces, piece = _components(pair.pred)
    cracks, crack = _components(pair.target)
    result: dict[str, float | None] = {"betti0_error": float(abs(pieces - cracks))}
    if not cracks:
        return result | {"pieces_per_crack": None, "bridged": None}
    if not pieces:
        return result | {"pieces_per_crack": 0.0, "bridged": 0.0}
    distances, where = nearest_points(pixel_coordinates(pair.line), pixel_coordinates(pair.pred))
    met = distances <= tolerance_px
    # both by number: crack * (pieces + 1) + piece, pixels row by row as `points` has them
    meetings = crack[pair.line][met] * (pieces + 1) + piece[pair.pred][where[met]]
    pairs, lengths = np.unique(meetings, return_counts=True)
    longest = np.zeros(cracks + 1)
    np.maximum.at(longest, pairs // (pieces + 1), lengths)
    return result | {
        "pieces_per_crack": len(pairs) / cracks,
        "bridged": float(longest.sum() / np.count_nonzero(pair.line)),
    }


def _components(mask: Mask) -> tuple[int, NDArray[np.int64]]:
    """Number of connected components, and the number from 1 of each pixel's."""
    count, label = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    return count - 1, np.asarray(label, np.int64)
