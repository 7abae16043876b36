"""Connectivity: the pieces into which a prediction breaks a crack."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.geometry.masks import Mask
from cracklab.metrics.pairs import Pair
from cracklab.metrics.surface import nearest_points, pixel_coordinates


def topology(pair: Pair, tolerance_px: float) -> dict[str, float | None]:
    """Return the scores of the connected components of a prediction (pieces) against those of the truth (cracks).

    Pixels that touch at a corner are connected. A piece meets a crack at those pixels of the crack's centre line whose
    nearest predicted pixel belongs to the piece and is within the tolerance.

    Args:
        pair: prediction and truth.
        tolerance_px: px.

    Returns:
        By name: `pieces_per_crack`, the number of pieces that meet a crack, mean over cracks (1 is right, 0 is missed);
        `bridged`, the share of the centre lines at which each crack's main piece, the one that meets most of it, meets it,
        so that a gap costs all that is beyond it; `betti0_error`, |number of pieces - number of cracks|, the error of the
        Betti number b0. The first two are None without truth.

    Example:
        >>> pred, target = np.zeros((2, 9, 9), bool)
        >>> target[4], pred[4, :2], pred[4, 3:] = True, True, True  # one crack of 9 px, in pieces of 2 and 6 px
        >>> scores = topology(Pair(pred, target), tolerance_px=0)
        >>> scores["pieces_per_crack"], scores["bridged"] == 6 / 9, scores["betti0_error"]
        (2.0, True, 1.0)
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
    # one number per pair of crack and piece; pixels row by row, the order of `pixel_coordinates`
    meetings = crack[pair.line][met] * (pieces + 1) + piece[pair.pred][where[met]]
    pairs, lengths = np.unique(meetings, return_counts=True)
    longest = np.zeros(cracks + 1)
    np.maximum.at(longest, pairs // (pieces + 1), lengths)
    return result | {
        "pieces_per_crack": len(pairs) / cracks,
        "bridged": float(longest.sum() / np.count_nonzero(pair.line)),
    }


def _components(mask: Mask) -> tuple[int, NDArray[np.int64]]:
    """Return the number of connected components, and of each pixel the number of its component, from 1."""
    count, label = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    return count - 1, np.asarray(label, np.int64)
