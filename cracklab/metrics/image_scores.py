"""Every score of one image beside pixel counts, in groups that can be left out."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from cracklab.geometry.masks import Mask
from cracklab.metrics.bands import by_width
from cracklab.metrics.boundary import image_boundary_iou
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.overlap import BINARY
from cracklab.metrics.pairs import Pair
from cracklab.metrics.scores import SCORES_OF, empty_distance, empty_score
from cracklab.metrics.skeleton import line_counts, skeleton_scores
from cracklab.metrics.surface import distance_histogram, edges, image_hausdorff95, surface
from cracklab.metrics.topology import topology

Values = dict[str, float | None]


def image_scores(pred: Mask, target: Mask, options: EvaluationOptions, several: bool = False) -> Values:
    """Compute the costly scores of one class of one image.

    Args:
        pred: (H, W).
        target: (H, W).
        options: groups, tolerances and policies.
        several: whether there are other classes, so that a class that neither mask contains is absent.

    Returns:
        Scores by name, None if there is nothing to measure; for a single class also counts (`n_...`) for pooling.
    """
    pair = Pair(pred, target)
    groups = (("surface", "boundary") if several else tuple(GROUPS)) if options.groups is None else options.groups
    values: Values = {}
    for name in groups:
        values |= GROUPS[name](pair, options)
    if several:  # nothing is pooled by these counts
        values = {name: value for name, value in values.items() if not name.startswith("n_")}
    absent = several and all(pair.empty)
    if absent or (pair.empty[1] and options.crack_free == "skip"):
        values = {name: value if name.startswith("n_") else None for name, value in values.items()}
    return values


def image_score(name: str, pred: Mask, target: Mask, options: EvaluationOptions) -> float:
    """Compute one score of one class of one image; NaN if there is nothing to measure."""
    if name in BINARY:
        counts = (pred & target, pred & ~target, target & ~pred, ~(pred | target))
        value: float | None = BINARY[name](*(np.array(np.count_nonzero(part)) for part in counts)).item()
        if options.crack_free == "skip" and not target.any():
            value = None
    else:
        groups = [group for group in GROUPS if name in SCORES_OF[group]]
        value = image_scores(pred, target, replace(options, groups=groups))[name]
    return math.nan if value is None else value


def hausdorff95_score(pred: Mask, target: Mask, options: EvaluationOptions) -> float | None:
    """Compute HD95 alone, px, by the same policies."""
    if options.crack_free == "skip" and not target.any():
        return None
    return image_hausdorff95(pred, target, options.empty, options.backend)


def _surface(pair: Pair, options: EvaluationOptions) -> Values:
    if any(pair.empty):
        pred, target = (np.full(np.count_nonzero(edges(mask)), np.inf) for mask in (pair.pred, pair.target))
        return {**_by_policy(pair, options, "surface"), **distance_histogram((pred, target))}
    return {**surface(pair.pred, pair.target, options.tolerance_px, options.backend)}


def _boundary(pair: Pair, options: EvaluationOptions) -> Values:
    overlap, share = image_boundary_iou(pair.pred, pair.target, options.boundary_width_px)
    return {"boundary_iou": overlap, "boundary_share": None if pair.empty[1] else share}


def _skeleton(pair: Pair, options: EvaluationOptions) -> Values:
    counts = line_counts(pair, options.buffer_px)
    if any(pair.empty):
        return {**counts, **_by_policy(pair, options, "skeleton")}
    return {**counts, **skeleton_scores(counts)}


def _topology(pair: Pair, options: EvaluationOptions) -> Values:
    return topology(pair, options.tolerance_px)


def _bands(pair: Pair, options: EvaluationOptions) -> Values:
    return by_width(pair)


GROUPS: Mapping[str, Callable[[Pair, EvaluationOptions], Values]] = {
    "surface": _surface,
    "boundary": _boundary,
    "skeleton": _skeleton,
    "topology": _topology,
    "bands": _bands,
}
"""Groups of metrics by name, in the order of their columns; each a function of one class of one image."""


def _by_policy(pair: Pair, options: EvaluationOptions, group: str) -> Values:
    distance = empty_distance(pair.target.shape, options.empty)
    return {name: empty_score(name, both=all(pair.empty), distance_px=distance) for name in SCORES_OF[group]}
