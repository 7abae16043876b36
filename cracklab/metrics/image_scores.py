"""The costly scores of one class of one image, in groups that can be switched off."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, TypeVar

import numpy as np

from cracklab.errors import ConfigError
from cracklab.geometry.masks import Mask
from cracklab.metrics.bands import by_width
from cracklab.metrics.boundary import image_boundary_iou
from cracklab.metrics.key import MetricKey
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.overlap import BINARY
from cracklab.metrics.pairs import Pair
from cracklab.metrics.scores import OTHER_COLUMNS, SCORES, SCORES_OF, Score, empty_distance, empty_score
from cracklab.metrics.skeleton import line_counts, skeleton_scores
from cracklab.metrics.surface import distance_histogram, edges, image_hausdorff95, surface
from cracklab.metrics.topology import topology

Values = dict[str, float | None]
ScoreFunction = Callable[[Mask, Mask], float | None]
"""From prediction and truth of one class of one image, (H, W) bool, to a score; None if there is nothing to measure."""
F = TypeVar("F", bound=ScoreFunction)
ONE_CLASS = ("skeleton", "topology", "bands")
"""Groups that are left out by default if there are several classes."""


def image_scores(pred: Mask, target: Mask, options: EvaluationOptions, several: bool = False) -> Values:
    """Compute the costly scores of one class of one image.

    Args:
        pred: (H, W).
        target: (H, W).
        options: groups, tolerances and policies.
        several: whether there are other classes, so that a class that neither mask contains is absent.

    Returns:
        Scores by name, None if there is nothing to measure; for a single class also counts (`n_...`) for pooling.

    Example:
        >>> pred, target = np.zeros((2, 9, 9), bool)
        >>> target[4], pred[4, :6] = True, True  # a line of 9 px, of which 6 px are found
        >>> scores = image_scores(pred, target, EvaluationOptions(groups=["surface"], tolerance_px=1))
        >>> scores["hd100_px"], round(scores["surface_dice"], 3)  # 13 of 15 edge pixels match
        (3.0, 0.867)
    """
    pair = Pair(pred, target)
    groups = options.groups
    if groups is None:
        groups = [name for name in GROUPS if not (several and name in ONE_CLASS)]
    values: Values = {}
    for name in groups:
        values |= GROUPS[name](pair, options)
    if several:  # counts are pooled for a single class only
        values = {name: value for name, value in values.items() if not name.startswith("n_")}
    absent = several and all(pair.empty)
    if absent or (pair.empty[1] and options.crack_free == "skip"):
        values = {name: value if name.startswith("n_") else None for name, value in values.items()}
    return values


def image_score(name: str, pred: Mask, target: Mask, options: EvaluationOptions) -> float:
    """Compute one score of one class of one image; NaN if there is nothing to measure.

    Example:
        >>> pred, target = np.zeros((2, 9, 9), bool)
        >>> target[4], pred[4, :6] = True, True
        >>> image_score("recall", pred, target, EvaluationOptions()) == 6 / 9
        True
    """
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
    """Compute HD95 without the other scores of its group, px; None if the image is skipped.

    Example:
        >>> target = np.zeros((30, 40), bool)
        >>> hausdorff95_score(~target, target, EvaluationOptions())  # the diagonal
        50.0
        >>> hausdorff95_score(~target, target, EvaluationOptions(crack_free="skip")) is None
        True
    """
    if options.crack_free == "skip" and not target.any():
        return None
    return image_hausdorff95(pred, target, options.empty, options.backend)


def _surface(pair: Pair, options: EvaluationOptions) -> Values:
    if any(pair.empty):
        pred, target = (np.full(np.count_nonzero(edges(mask)), np.inf) for mask in (pair.pred, pair.target))
        return {**_empty_scores(pair, options, "surface"), **distance_histogram((pred, target))}
    return {**surface(pair.pred, pair.target, options.tolerance_px, options.backend)}


def _boundary(pair: Pair, options: EvaluationOptions) -> Values:
    iou, share = image_boundary_iou(pair.pred, pair.target, options.boundary_width_px)
    return {"boundary_iou": iou, "boundary_share": None if pair.empty[1] else share}


def _skeleton(pair: Pair, options: EvaluationOptions) -> Values:
    counts = line_counts(pair, options.buffer_px)
    if any(pair.empty):
        return {**counts, **_empty_scores(pair, options, "skeleton")}
    return {**counts, **skeleton_scores(counts)}


def _topology(pair: Pair, options: EvaluationOptions) -> Values:
    return topology(pair, options.tolerance_px)


def _bands(pair: Pair, options: EvaluationOptions) -> Values:
    return by_width(pair)


GROUPS: dict[str, Callable[[Pair, EvaluationOptions], Values]] = {
    "surface": _surface,
    "boundary": _boundary,
    "skeleton": _skeleton,
    "topology": _topology,
    "bands": _bands,
}
"""Groups of scores by name, in the order of their columns; each a function of one class of one image."""


def _empty_scores(pair: Pair, options: EvaluationOptions, group: str) -> Values:
    distance = empty_distance(pair.target.shape, options.empty)
    return {name: empty_score(name, both=all(pair.empty), distance_px=distance) for name in SCORES_OF[group]}


def register_score(
    name: str,
    better: Literal["higher", "lower", "one"] = "higher",
    empty: Literal["ratio", "distance", "truth"] = "ratio",
) -> Callable[[F], F]:
    """Return a decorator that adds a function of prediction and truth to the scores of every evaluation.

    Its mean over images is `val/NAME` and `test/NAME`, and `per_image.csv` has its column. It is a costly score in a group of
    its own name, see `EvaluationOptions`.

    Args:
        name: of the score.
        better: see `Score`.
        empty: policy for empty masks, see `Score`; with `ratio` and `distance` the function gets no empty mask, with `truth`
            no empty truth.

    Raises:
        ConfigError: if the name belongs to another score, or is not one word.

    Example:
        >>> @register_score("width_px", better="lower")
        ... def width(pred, target):
        ...     return 1.0
        Traceback (most recent call last):
        cracklab.errors.ConfigError: 'width_px' is the name of another score or column: rename the score
    """
    if not name.isidentifier() or MetricKey.parse(name).name != name:
        raise ConfigError(
            f"the name of the score {name!r} could be read as a suffix: give one word, such as 'area_error'"
        )
    if name in SCORES or name in GROUPS or name in OTHER_COLUMNS or name.startswith("n_"):
        raise ConfigError(f"{name!r} is the name of another score or column: rename the score")

    def decorate(function: F) -> F:
        SCORES[name], SCORES_OF[name] = Score(better, empty), (name,)
        GROUPS[name] = partial(_own, name, function)
        return function

    return decorate


def _own(name: str, function: ScoreFunction, pair: Pair, options: EvaluationOptions) -> Values:
    policy = SCORES[name].empty
    if policy == "truth" and pair.empty[1]:
        return {name: None}
    if policy != "truth" and any(pair.empty):
        return _empty_scores(pair, options, name)
    try:
        value = function(pair.pred, pair.target)
        number = math.nan if value is None else float(value)
    except Exception as error:  # code of the user's own
        said = " ".join(str(error).split())[:300]
        raise ConfigError(f"the score {name!r} fails ({type(error).__name__}: {said}): correct its function") from error
    return {name: number if math.isfinite(number) else None}
