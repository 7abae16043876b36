"""Distances between the outlines of two masks."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from cracklab.errors import ConfigError
from cracklab.metrics.masks import Mask, diagonal, per_image, rim

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
DENSE = 1 / 12
"""Share of outline pixels above which a distance transform of all pixels is faster than a tree of the outline's."""


def hausdorff95(
    pred: Tensor, target: Tensor, *, valid: Tensor | None = None, empty: Literal["diagonal"] | float = "diagonal"
) -> Tensor:
    r"""95th percentile of the Hausdorff distance, px, per image and class.

    HD95 = max(P95 of d(a, T) over a in P, P95 of d(b, P) over b in T), where P and T are the edge pixels of prediction
    and truth: those with one of their four neighbours, or the image's border, outside of the mask. The percentile is
    taken per direction and interpolated linearly, as in MONAI's `compute_hausdorff_distance(percentile=95)`; other
    packages pool both directions, or leave the percentile to one, and arrive at other values.

    Both masks empty: 0. One empty: the diagonal sqrt(H^2 + W^2), the distance to nothing.

    Args:
        pred: (B, C, H, W) bool.
        target: (B, C, H, W) bool.
        valid: (B, 1, H, W), 0 / 1; pixels with 0 belong to neither mask. None: every pixel counts.
        empty: px where exactly one mask is empty; `diagonal` is the image's.

    Returns:
        (B, C) float64 on the CPU, px.

    Raises:
        ConfigError: for tensors that are not bool or differ in shape, or a negative `empty`.

    Source: Huttenlocher 1993, eq. 1 and 2; the percentile per direction is MONAI's.
    """
    check_empty(empty)
    return per_image(lambda p, t: image_hausdorff95(p, t, empty), pred, target, valid)


def image_hausdorff95(pred: Mask, target: Mask, empty: Literal["diagonal"] | float = "diagonal") -> float:
    """HD95 of one class of one image; see `hausdorff95`."""
    if not pred.any() or not target.any():
        far = diagonal(pred.shape) if empty == "diagonal" else empty
        return far if pred.any() or target.any() else 0.0
    return float(max(np.percentile(distances, 95) for distances in edge_distances(pred, target)))


def check_empty(empty: str | float) -> None:
    """Raise ConfigError unless the distance to an empty mask is `diagonal` or a length."""
    if empty != "diagonal" and (isinstance(empty, str) or not 0 <= empty < float("inf")):
        raise ConfigError(f"empty is {empty!r}: expected 'diagonal' or a distance in px, 0 or more")


def edge_distances(pred: Mask, target: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance, px, of each edge pixel of one mask to the nearest of the other, both ways; neither may be empty."""
    x, y, width, height = cv2.boundingRect((pred | target).view(np.uint8))
    box = slice(y, y + height), slice(x, x + width)
    outline_p, outline_t = edges(pred[box]), edges(target[box])
    if np.count_nonzero(outline_p) + np.count_nonzero(outline_t) > DENSE * outline_p.size:
        return _transformed(outline_p, outline_t), _transformed(outline_t, outline_p)
    points_p, points_t = _points(outline_p), _points(outline_t)
    return _queried(points_p, points_t), _queried(points_t, points_p)


def edges(mask: Mask) -> Mask:
    """Pixels of a mask with one of their four neighbours, or the image's border, outside of it."""
    return rim(mask, CROSS)


def _transformed(outline: Mask, other: Mask) -> NDArray[np.float64]:
    away = np.logical_not(other).view(np.uint8)
    distances = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[outline].astype(np.float64)
    # squared distances of pixels are whole numbers: that undoes the transform's rounding to float32
    return np.sqrt(np.rint(distances * distances))


def _points(outline: Mask) -> NDArray[np.float64]:
    return cv2.findNonZero(outline.view(np.uint8)).reshape(-1, 2).astype(np.float64)


def _queried(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    # a tree is asked once, so that balancing it would cost more than it saves
    distances, _ = cKDTree(others, balanced_tree=False, compact_nodes=False).query(points)
    return np.asarray(distances)
