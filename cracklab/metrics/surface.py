"""Distances between the edges of two masks, and the scores made of them."""

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
"""Upper ends of the bins of edge distances, px, by the end of their column's name; the last bin, `more`, has none."""
DENSE = 1 / 12
"""Share of edge pixels above which a distance transform of all pixels is faster than a k-d tree of the edge pixels."""
TORCH_QUANTILE = 1 << 24
"""Largest number of values that `torch.quantile` takes in older versions of PyTorch."""


def hausdorff95(
    pred: Tensor,
    target: Tensor,
    *,
    valid: Tensor | None = None,
    empty: Empty = EMPTY,
    backend: Backend = "cracklab",
) -> Tensor:
    r"""Return the 95th percentile of the Hausdorff distance, px, per image and class.

    HD95 = max(P95 of d(a, T) over a in P, P95 of d(b, P) over b in T), where P and T are the edge pixels of prediction and
    truth: pixels of the mask with one of their four neighbours, or the image's border, outside of it. The percentile is
    taken per direction and interpolated linearly, as in MONAI's `compute_hausdorff_distance(percentile=95)`. Other packages
    pool both directions, or take the percentile of one direction only, and get other values.

    Both masks empty: 0. One empty: `empty`.

    Args:
        pred: (B, C, H, W) bool.
        target: (B, C, H, W) bool.
        valid: (B, 1, H, W), 0 / 1; pixels with 0 belong to neither mask. None: every pixel counts.
        empty: distance if exactly one mask is empty, px; `diagonal` is the image's diagonal sqrt(H^2 + W^2).
        backend: `monai` calls MONAI, which takes about three times as long.

    Returns:
        (B, C) float64 on the CPU, px.

    Raises:
        ConfigError: for tensors that are not bool or differ in shape, or a negative `empty`.

    Example:
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> pred[..., 2, :], target[..., 5, :] = True, True  # two lines, 3 rows apart
        >>> hausdorff95(pred, target)
        tensor([[3.]], dtype=torch.float64)

    Source: Huttenlocher 1993, eq. 1 and 2; the percentile per direction is MONAI's.
    """
    check_empty(empty)
    return per_image(lambda p, t: image_hausdorff95(p, t, empty, backend), pred, target, valid)


def image_hausdorff95(pred: Mask, target: Mask, empty: Empty = EMPTY, backend: Backend = "cracklab") -> float:
    """Return HD95 of one class of one image, px; see `hausdorff95`.

    Example:
        >>> image_hausdorff95(np.zeros((30, 40), bool), np.ones((30, 40), bool))  # the diagonal
        50.0
    """
    if not pred.any() or not target.any():
        both = not (pred.any() or target.any())
        return empty_score("hd95_px", both=both, distance_px=empty_distance(pred.shape, empty))
    return _monai(pred, target) if backend == "monai" else _hausdorff95(edge_distances(pred, target))


def surface(pred: Mask, target: Mask, tolerance_px: float, backend: Backend = "cracklab") -> dict[str, float | int]:
    """Return the scores of the edge distances of two non-empty masks; definitions as MONAI's.

    Args:
        pred: (H, W).
        target: (H, W).
        tolerance_px: distance, px, up to which an edge pixel matches the other mask's edge.
        backend: implementation of HD95.

    Returns:
        By name: `hd95_px`; `hd100_px`, the largest distance; `asd_px`, the mean over the edge pixels of both masks;
        `surface_dice`, the share of the edge pixels of both masks that match (Nikolov 2018, eq. 2, counted in pixels);
        `boundary_f1`, 2 P R / (P + R) of the shares P of the predicted and R of the true edge pixels that match
        (Csurka 2013); and the counts of `distance_histogram`.

    Example:
        >>> pred, target = np.zeros((2, 9, 9), bool)
        >>> pred[2], target[5] = True, True  # two lines, 3 rows apart
        >>> scores = surface(pred, target, tolerance_px=2)
        >>> scores["hd95_px"], scores["asd_px"], scores["surface_dice"]
        (3.0, 3.0, 0.0)
    """
    to_truth, to_pred = distances = edge_distances(pred, target)
    matches = to_truth <= tolerance_px, to_pred <= tolerance_px
    precision, recall = (float(np.mean(match)) for match in matches)
    both = np.concatenate(distances)
    return {
        "hd95_px": _monai(pred, target) if backend == "monai" else _hausdorff95(distances),
        "hd100_px": float(both.max()),
        "asd_px": float(both.mean()),
        "surface_dice": float(np.mean(np.concatenate(matches))),
        "boundary_f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        **distance_histogram(distances),
    }


def distance_histogram(distances: tuple[Distances, Distances]) -> dict[str, int]:
    """Return the number of edge pixels in each bin of distances, which can be added up over images.

    Args:
        distances: px, of the edge pixels of the prediction and of those of the truth; inf if the other mask is empty.

    Returns:
        `n_pred_off_K` and `n_true_off_K` for the K of `DISTANCE_BINS`: pixels with a distance up to K px, but above the K
        before; and `n_pred_off_more`, `n_true_off_more`.

    Example:
        >>> counts = distance_histogram((np.array([0.0, 3.0, 4.0]), np.array([99.0])))
        >>> {name: number for name, number in counts.items() if number}
        {'n_pred_off_0': 1, 'n_pred_off_4': 2, 'n_true_off_more': 1}
    """
    counts: dict[str, int] = {}
    for side, values in zip(("pred", "true"), distances, strict=True):
        bins = np.searchsorted(list(DISTANCE_BINS.values()), values)
        numbers = np.bincount(bins, minlength=len(DISTANCE_BINS) + 1).tolist()
        counts |= {
            f"n_{side}_off_{name}": number for name, number in zip((*DISTANCE_BINS, "more"), numbers, strict=True)
        }
    return counts


def _hausdorff95(distances: tuple[Distances, Distances]) -> float:
    return max(map(_percentile95, distances))


def _percentile95(distances: Distances) -> float:
    if len(distances) > TORCH_QUANTILE:
        return float(np.quantile(distances, 0.95))
    # float32 as MONAI: in float64 the rank of the percentile, and with it the value, differs by up to 0.002 px
    return torch.from_numpy(distances).float().quantile(0.95).item()


def _monai(pred: Mask, target: Mask) -> float:
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance  # here, since it takes seconds to import

    one, other = (torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (pred, target))
    return float(compute_hausdorff_distance(one, other, include_background=True, percentile=95))


def edge_distances(pred: Mask, target: Mask) -> tuple[Distances, Distances]:
    """Return the distance, px, of each edge pixel of a mask to the nearest of the other mask, both non-empty.

    Returns:
        Distances of the edge pixels of the prediction, and of those of the truth.

    Example:
        >>> pred, target = np.zeros((2, 1, 9), bool)
        >>> pred[0, :2], target[0, 4] = True, True
        >>> [distances.tolist() for distances in edge_distances(pred, target)]
        [[4.0, 3.0], [3.0]]
    """
    x, y, width, height = cv2.boundingRect((pred | target).view(np.uint8))
    box = slice(y, y + height), slice(x, x + width)
    edges_p, edges_t = edges(pred[box]), edges(target[box])
    if np.count_nonzero(edges_p) + np.count_nonzero(edges_t) > DENSE * edges_p.size:
        return _transformed(edges_p, edges_t), _transformed(edges_t, edges_p)
    points_p, points_t = pixel_coordinates(edges_p), pixel_coordinates(edges_t)
    return nearest_points(points_p, points_t)[0], nearest_points(points_t, points_p)[0]


def edges(mask: Mask) -> Mask:
    """Return the edge pixels of a mask: those with one of their four neighbours, or the image's border, outside of it.

    Example:
        >>> edges(np.ones((3, 3), bool)).astype(int).tolist()
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    """
    return inner_boundary(mask, CROSS)


def _transformed(here: Mask, there: Mask) -> Distances:
    return np.asarray(distance_to(there)[here], np.float64)


def pixel_coordinates(mask: Mask) -> NDArray[np.float64]:
    """Return the coordinates (x, y) of the pixels of a non-empty mask, (N, 2), row by row.

    Example:
        >>> pixel_coordinates(np.array([[False, True], [True, False]])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return cv2.findNonZero(np.ascontiguousarray(mask).view(np.uint8)).reshape(-1, 2).astype(np.float64)


def nearest_points(here: NDArray[np.float64], there: NDArray[np.float64]) -> tuple[Distances, NDArray[np.intp]]:
    """Return the distance from each point to the nearest of a non-empty set of points, and the index of that one.

    Args:
        here: (N, 2).
        there: (M, 2).

    Example:
        >>> distances, indices = nearest_points(np.array([[0.0, 0.0]]), np.array([[9.0, 9.0], [3.0, 4.0]]))
        >>> distances.tolist(), indices.tolist()
        ([5.0], [1])
    """
    # the tree is queried once, so that balancing it would cost more than it saves
    distances, indices = cKDTree(there, balanced_tree=False, compact_nodes=False).query(here)
    return np.asarray(distances), np.asarray(indices)
