"""Every score by name: which way is better, and what it is where a mask is empty."""

import math
from dataclasses import dataclass
from typing import Literal

from cracklab.errors import ConfigError


@dataclass(frozen=True)
class Score:
    """How to read a score."""

    better: Literal["higher", "lower", "one"]
    """`one`: the nearer to 1 the better."""
    empty: Literal["ratio", "distance", "truth"]
    """`ratio`: truth and prediction both empty 1, one of them 0. `distance`: both 0, one of them the distance to nothing.
    `truth`: defined by the truth alone, so that an empty prediction needs no policy; None without truth."""


Empty = Literal["diagonal"] | float
"""Distance if exactly one mask is empty: the image's diagonal, or a number of px."""
EMPTY: Empty = "diagonal"
"""The default of every metric."""
Backend = Literal["cracklab", "monai"]
"""Implementation that computes HD95."""

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
"""Scores of one image. `betti0_error` needs no policy: an empty mask has 0 components."""


SCORES_OF = {
    "surface": ("hd95_px", "hd100_px", "asd_px", "surface_dice", "boundary_f1"),
    "boundary": ("boundary_iou",),
    "skeleton": ("cl_dice", "cl_iou", "skeleton_precision", "skeleton_recall"),
    "topology": ("pieces_per_crack", "bridged", "betti0_error"),
    "bands": (),
}
"""Group of costly scores -> their names, in the order of their columns."""


def empty_score(name: str, *, both: bool, distance_px: float = 0.0) -> float:
    """The value of a score where truth and prediction are both empty, or exactly one of them is.

    Args:
        name: a score with the policy `ratio` or `distance`.
        both: whether both are empty.
        distance_px: the distance to an empty mask, px.
    """
    if SCORES[name].empty == "ratio":
        return 1.0 if both else 0.0
    return 0.0 if both else distance_px


def empty_distance(shape: tuple[int, ...], empty: Empty) -> float:
    """Return the distance to an empty mask, px, for an image of shape (..., H, W)."""
    return diagonal(shape) if isinstance(empty, str) else float(empty)


def diagonal(shape: tuple[int, ...]) -> float:
    """Return the diagonal sqrt(H^2 + W^2) of an image of shape (..., H, W), px."""
    return math.hypot(*shape[-2:])


def check_empty(empty: Empty) -> None:
    """Raise ConfigError unless the distance to an empty mask is `diagonal` or a length."""
    if empty != "diagonal" and (isinstance(empty, str) or not 0 <= empty < float("inf")):
        raise ConfigError(f"empty is {empty!r}: expected 'diagonal' or a distance in px, 0 or more")


def check_width(width_px: int | None) -> None:
    """Raise ConfigError unless the width of the boundary band is None or at least 1 px."""
    if width_px is not None and width_px < 1:
        raise ConfigError(f"width_px is {width_px}: expected 1 or more, or None for 2 % of the image's diagonal")
