"""Distances between the outlines of two masks."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from cracklab.geometry.masks import CROSS, Mask, distance_to
from cracklab.metrics.pairs import inner_boundary, per_image
from cracklab.metrics.scores import EMPTY, Backend, Empty, check_empty, empty_distance, empty_score

Distances = NDArray[np.float64]
"""px."""

DISTANCE_BINS = {"0": 0.0, "1": 1.0, "2": 2.0, "4": 4.0, "8": 8.0, "16": 16.0, "32": 32.0}
"""Distances, px, up to which errors of an outline are counted together, by the end of their column's name."""
DENSE = 1 / 12
"""Share of outline pixels above which a distance transform of all pixels is faster than a tree of the outline's."""


def hausdorff95(
    pred: Tensor,
    target: Tensor,
    *,
    valid: Tensor | None = None,
    empty: Empty = EMPTY,
    backend: Backend = "cracklab",
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
        backend: `monai` calls MONAI, which takes about three times as long.

    Returns:
        (B, C) float64 on the CPU, px.

    Raises:
        ConfigError: for tensors that are not bool or differ in shape, or a negative `empty`.

    Source: Huttenlocher 1993, eq. 1 and 2; the percentile per direction is MONAI's.
    """
    check_empty(empty)
    return per_image(lambda p, t: image_hausdorff95(p, t, empty, backend), pred, target, valid)


def image_hausdorff95(pred: Mask, target: Mask, empty: Empty = EMPTY, backend: Backend = "cracklab") -> float:
    """HD95 of one class of one image, px; see `hausdorff95`."""
    if not pred.any() or not target.any():
        return empty_score(
            "hd95_px", both=not (pred.any() or target.any()), distance_px=empty_distance(pred.shape, empty)
        )
    return _monai(pred, target) if backend == "monai" else _hausdorff95(edge_distances(pred, target))


def surface(pred: Mask, target: Mask, tolerance_px: float, backend: Backend = "cracklab") -> dict[str, float | int]:
    """Scores of the distances between the outlines of two masks, neither empty; definitions as MONAI's.

    Args:
        pred: (H, W).
        target: (H, W).
        tolerance_px: distance, px, up to which an edge pixel counts as met.
        backend: who computes HD95.

    Returns:
        By name: `hd95_px`; `hd100_px`, the largest distance; `asd_px`, the mean over the edge pixels of both masks;
        `surface_dice`, the share of the edge pixels of both masks that are met (Nikolov 2018, eq. 2, counted in pixels);
        `boundary_f1`, 2 P R / (P + R) of the shares P of the predicted and R of the true edge pixels that are met
        (Csurka 2013); and the counts of `distance_histogram`.
    """
    to_truth, to_pred = distances = edge_distances(pred, target)
    met = to_truth <= tolerance_px, to_pred <= tolerance_px
    precision, recall = (float(np.mean(share)) for share in met)
    both = np.concatenate(distances)
    return {
        "hd95_px": _monai(pred, target) if backend == "monai" else _hausdorff95(distances),
        "hd100_px": float(both.max()),
        "asd_px": float(both.mean()),
        "surface_dice": float(np.mean(np.concatenate(met))),
        "boundary_f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        **distance_histogram(distances),
    }


def distance_histogram(distances: tuple[Distances, Distances]) -> dict[str, int]:
    """Edge pixels by their distance to the other outline: counts for a histogram over many images.

    Args:
        distances: px, of the edge pixels of the prediction, then of those of the truth; inf where the other is empty.

    Returns:
        `n_pred_off_K` and `n_true_off_K` for the K of `DISTANCE_BINS`, px, each without those up to the K before; `..._more` beyond.
    """
    found: dict[str, int] = {}
    for side, off in zip(("pred", "true"), distances, strict=True):
        numbers = np.bincount(
            np.searchsorted(list(DISTANCE_BINS.values()), off), minlength=len(DISTANCE_BINS) + 1
        ).tolist()
        found |= {
            f"n_{side}_off_{name}": number for name, number in zip((*DISTANCE_BINS, "more"), numbers, strict=True)
        }
    return found


def _hausdorff95(distances: tuple[Distances, Distances]) -> float:
    # float32 as MONAI: in float64 the rank of the percentile, and with it the value, differs by up to 0.002 px
    return max(torch.from_numpy(directed).float().quantile(0.95).item() for directed in distances)


def _monai(pred: Mask, target: Mask) -> float:
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance  # here, since it takes seconds to import

    one, other = (torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (pred, target))
    return float(compute_hausdorff_distance(one, other, include_background=True, percentile=95))


def edge_distances(pred: Mask, target: Mask) -> tuple[Distances, Distances]:
    """Distance, px, of each edge pixel of one mask to the nearest of the other, both ways; neither may be empty."""
    x, y, width, height = cv2.boundingRect((pred | target).view(np.uint8))
    box = slice(y, y + height), slice(x, x + width)
    outline_p, outline_t = edges(pred[box]), edges(target[box])
    if np.count_nonzero(outline_p) + np.count_nonzero(outline_t) > DENSE * outline_p.size:
        return _transformed(outline_p, outline_t), _transformed(outline_t, outline_p)
    points_p, points_t = pixel_coordinates(outline_p), pixel_coordinates(outline_t)
    return nearest_points(points_p, points_t)[0], nearest_points(points_t, points_p)[0]


def edges(mask: Mask) -> Mask:
    """Pixels of a mask with one of their four neighbours, or the image's border, outside of it."""
    return inner_boundary(mask, CROSS)


def _transformed(outline: Mask, other: Mask) -> Distances:
    return np.asarray(distance_to(other)[outline], np.float64)


def pixel_coordinates(mask: Mask) -> NDArray[np.float64]:
    """Coordinates (x, y) of the pixels of a mask that is not empty, (N, 2), row by row."""
    return cv2.findNonZero(np.ascontiguousarray(mask).view(np.uint8)).reshape(-1, 2).astype(np.float64)


def nearest_points(here: NDArray[np.float64], there: NDArray[np.float64]) -> tuple[Distances, NDArray[np.intp]]:
    """Distance to, and index of, the nearest of other points, which are not none, for each point (N, 2)."""
    # a tree is asked once, so that balancing it would cost more than it saves
    distances, indices = cKDTree(there, balanced_tree=False, compact_nodes=False).query(here)
    return np.asarray(distances), np.asarray(indices)
