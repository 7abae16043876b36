"""Everything that is measured on one image beside counts of pixels, in groups that can be left out."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cracklab.errors import ConfigError
from cracklab.metrics.bands import by_width
from cracklab.metrics.boundary import check_width, image_boundary_iou
from cracklab.metrics.masks import Mask, Pair
from cracklab.metrics.overlap import BINARY
from cracklab.metrics.scores import where_empty
from cracklab.metrics.skeleton import lines, scores
from cracklab.metrics.surface import (
    Backend,
    Empty,
    by_distance_to_nothing,
    check_empty,
    far_px,
    image_hausdorff95,
    surface,
)
from cracklab.metrics.topology import topology
from cracklab.registry import nearest

Values = dict[str, float | None]


@dataclass(frozen=True)
class Measures:
    """What to measure on one class of one image, and how.

    Args:
        groups: names of `GROUPS`; None: all for one class, `surface` and `boundary` for several.
        boundary_width_px: width of the band of Boundary IoU, px; None: 2 % of the image's diagonal.
        tolerance_px: how far an outline may be off for surface Dice and boundary F1, a piece for the topology, px.
        buffer_px: how far a centre line may be off for centre-line IoU, skeleton precision and recall, px.
        empty: distance in px where exactly one mask is empty; `diagonal` is the image's.
        crack_free: images without truth: `score` them (1 or 0 px if nothing is predicted there, else the worst), or `skip`
            them in all means over images.
        backend: who computes HD95.

    Raises:
        ConfigError: for a value out of its range.
    """

    groups: tuple[str, ...] | None = None
    boundary_width_px: int | None = None
    tolerance_px: float = 2.0
    buffer_px: float = 4.0
    empty: Empty = "diagonal"
    crack_free: Literal["score", "skip"] = "score"
    backend: Backend = "cracklab"

    def __post_init__(self) -> None:
        check_width(self.boundary_width_px)
        check_empty(self.empty)
        for name in self.groups or ():
            if name not in GROUPS:
                raise ConfigError(f"no group of metrics is called {name!r}{nearest(name, list(GROUPS))}")
        for name, value in {"tolerance_px": self.tolerance_px, "buffer_px": self.buffer_px}.items():
            if not 0 <= value < float("inf"):
                raise ConfigError(f"{name} is {value}: expected px, 0 or more")

    def __call__(self, pred: Mask, target: Mask, several: bool = False) -> Values:
        """Measure one class of one image.

        Args:
            pred: (H, W).
            target: (H, W).
            several: whether there are other classes, so that a class that neither mask contains is absent.

        Returns:
            Scores by name, None where there is nothing to measure; of one class also counts (`n_...`) for pooling.
        """
        pair = Pair(pred, target)
        groups = (("surface", "boundary") if several else tuple(GROUPS)) if self.groups is None else self.groups
        values: Values = {}
        for name in groups:
            values |= GROUPS[name](pair, self)
        if several:  # nothing is pooled by these counts
            values = {name: value for name, value in values.items() if not name.startswith("n_")}
        absent = several and all(pair.empty)
        if absent or (pair.empty[1] and self.crack_free == "skip"):
            values = {name: value if name.startswith("n_") else None for name, value in values.items()}
        return values

    def score(self, name: str, pred: Mask, target: Mask) -> float:
        """One score of one class of one image; NaN where there is nothing to measure."""
        if name in BINARY:
            counts = (pred & target, pred & ~target, target & ~pred, ~(pred | target))
            value: float | None = BINARY[name](*(np.array(np.count_nonzero(part)) for part in counts)).item()
            if self.crack_free == "skip" and not target.any():
                value = None
        else:
            alone = replace(self, groups=tuple(group for group in GROUPS if name in SCORES_OF[group]))
            value = alone(pred, target)[name]
        return math.nan if value is None else value

    def hausdorff95(self, pred: Mask, target: Mask) -> float | None:
        """HD95 alone, px, by the same policies."""
        if self.crack_free == "skip" and not target.any():
            return None
        return image_hausdorff95(pred, target, self.empty, self.backend)


def _surface(pair: Pair, options: Measures) -> Values:
    if any(pair.empty):
        return {**_by_policy(pair, options, "surface"), **by_distance_to_nothing(pair.pred, pair.target)}
    return {**surface(pair.pred, pair.target, options.tolerance_px, options.backend)}


def _boundary(pair: Pair, options: Measures) -> Values:
    overlap, share = image_boundary_iou(pair.pred, pair.target, options.boundary_width_px)
    return {"boundary_iou": overlap, "boundary_share": None if pair.empty[1] else share}


def _skeleton(pair: Pair, options: Measures) -> Values:
    counts = lines(pair, options.buffer_px)
    if any(pair.empty):
        return {**counts, **_by_policy(pair, options, "skeleton")}
    return {**counts, **scores(counts)}


def _topology(pair: Pair, options: Measures) -> Values:
    return topology(pair, options.tolerance_px)


def _bands(pair: Pair, options: Measures) -> Values:
    return by_width(pair)


GROUPS: Mapping[str, Callable[[Pair, Measures], Values]] = {
    "surface": _surface,
    "boundary": _boundary,
    "skeleton": _skeleton,
    "topology": _topology,
    "bands": _bands,
}
"""Groups of metrics by name, in the order of their columns; each a function of one class of one image."""


SCORES_OF = {
    "surface": ("hd95_px", "hd100_px", "asd_px", "surface_dice", "boundary_f1"),
    "boundary": ("boundary_iou",),
    "skeleton": ("cl_dice", "cl_iou", "skeleton_precision", "skeleton_recall"),
    "topology": ("pieces_per_crack", "bridged", "betti0_error"),
    "bands": (),
}
"""Names of the scores of each group."""


def _by_policy(pair: Pair, options: Measures, group: str) -> Values:
    far = far_px(pair.target, options.empty)
    return {name: where_empty(name, all(pair.empty), far) for name in SCORES_OF[group]}
