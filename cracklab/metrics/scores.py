"""Every score by name: which direction is better, and the policy for empty masks."""

import math
from dataclasses import dataclass
from typing import Literal

from cracklab.bounds import NonNegativeFloat
from cracklab.errors import ConfigError


@dataclass(frozen=True)
class Score:
    """How to read a score.

    Example:
        >>> SCORES["hd95_px"]
        Score(better='lower', empty='distance')
    """

    better: Literal["higher", "lower", "one"]
    """The better direction; `one`: the closer to 1 the better."""
    empty: Literal["ratio", "distance", "truth"]
    """Policy for empty masks. `ratio`: 1 if truth and prediction are empty, 0 if one of them is. `distance`: 0 if both are,
    the distance `Empty` if one is. `truth`: None without truth; an empty prediction needs no policy."""


Empty = Literal["diagonal"] | NonNegativeFloat
"""Distance if exactly one mask is empty, px; `diagonal` is the image's diagonal."""
EMPTY: Empty = "diagonal"
"""The default of `Empty` for every metric."""
Backend = Literal["cracklab", "monai"]
"""Implementation of HD95."""

RATIO = Score("higher", "ratio")
DISTANCE = Score("lower", "distance")

SCORES = {
    "iou": RATIO,
    "dice": RATIO,
    "precision": RATIO,
    "recall": RATIO,
    "accuracy": RATIO,
    "mean_iou": RATIO,
    "mean_accuracy": RATIO,
    "hd95_px": DISTANCE,
    "hd100_px": DISTANCE,
    "asd_px": DISTANCE,
    "surface_dice": RATIO,
    "boundary_f1": RATIO,
    "boundary_iou": RATIO,
    "cl_dice": RATIO,
    "cl_iou": RATIO,
    "skeleton_precision": RATIO,
    "skeleton_recall": RATIO,
    "pieces_per_crack": Score("one", "truth"),
    "bridged": Score("higher", "truth"),
    "betti0_error": Score("lower", "truth"),
}
"""Scores of one image by name. `betti0_error` needs no policy: an empty mask has 0 components."""


SCORES_OF: dict[str, tuple[str, ...]] = {
    "surface": ("hd95_px", "hd100_px", "asd_px", "surface_dice", "boundary_f1"),
    "boundary": ("boundary_iou",),
    "skeleton": ("cl_dice", "cl_iou", "skeleton_precision", "skeleton_recall"),
    "topology": ("pieces_per_crack", "bridged", "betti0_error"),
    "bands": (),
}
"""Names of the scores of each costly group, in the order of their columns."""

NULLABLE = {"crack_share", "width_px", "boundary_share", "false_positive_px", "hd95_mm", "hd100_mm", "asd_mm"}
"""Columns beside the scores in which None means that the image has nothing to measure; such images are excluded from the means."""
OTHER_COLUMNS = NULLABLE | {
    "id", "group", "source", "scale", "mm_per_px", "loss", "images", "threshold", "average_precision", "seen_share", "histogram",
    "tp", "fp", "fn", "tn", "empty_truth", "empty_pred", "hd95_px_empty",
}  # fmt: skip
"""All columns and metrics that are not scores; no score can have one of these names."""


def empty_score(name: str, *, both: bool, distance_px: float = 0.0) -> float:
    """Return the value of a score if at least one mask is empty.

    Args:
        name: a score with the policy `ratio` or `distance`.
        both: whether both masks are empty, not only one.
        distance_px: distance to an empty mask, px.

    Example:
        >>> empty_score("iou", both=True), empty_score("hd95_px", both=False, distance_px=50.0)
        (1.0, 50.0)
    """
    if SCORES[name].empty == "ratio":
        return 1.0 if both else 0.0
    return 0.0 if both else distance_px


def empty_distance(shape: tuple[int, ...], empty: Empty) -> float:
    """Return the distance to an empty mask, px, for an image of shape (..., H, W).

    Example:
        >>> empty_distance((30, 40), "diagonal"), empty_distance((30, 40), 7)
        (50.0, 7.0)
    """
    return diagonal(shape) if isinstance(empty, str) else float(empty)


def diagonal(shape: tuple[int, ...]) -> float:
    """Return the diagonal sqrt(H^2 + W^2) of an image of shape (..., H, W), px.

    Example:
        >>> diagonal((30, 40))
        50.0
    """
    return math.hypot(*shape[-2:])


def check_empty(empty: Empty) -> None:
    """Raise ConfigError unless the distance to an empty mask is `diagonal` or a length.

    Example:
        >>> check_empty(-1.0)
        Traceback (most recent call last):
        cracklab.errors.ConfigError: empty is -1.0: expected 'diagonal' or a distance in px, 0 or more
    """
    if empty != "diagonal" and (isinstance(empty, str) or not 0 <= empty < float("inf")):
        raise ConfigError(f"empty is {empty!r}: expected 'diagonal' or a distance in px, 0 or more")


def check_width(width_px: int | None) -> None:
    """Raise ConfigError unless the width of the boundary band is None or at least 1 px.

    Example:
        >>> check_width(0)
        Traceback (most recent call last):
        cracklab.errors.ConfigError: width_px is 0: expected 1 or more, or None for 2 % of the image's diagonal
    """
    if width_px is not None and width_px < 1:
        raise ConfigError(f"width_px is {width_px}: expected 1 or more, or None for 2 % of the image's diagonal")
