"""Every score by name: which way is better, and what it is where a mask is empty."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Score:
    """How to read a score."""

    better: Literal["higher", "lower", "one"]
    """`one`: the nearer to 1 the better."""
    empty: Literal["ratio", "distance", "truth"]
    """`ratio`: truth and prediction both empty 1, one of them 0. `distance`: both 0, one of them the distance to nothing.
    `truth`: defined by the truth alone, so that an empty prediction needs no policy; None without truth."""


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


def where_empty(name: str, both: bool, far_px: float) -> float:
    """The value of a score where truth and prediction are both empty, or exactly one of them is.

    Args:
        name: a score with the policy `ratio` or `distance`.
        both: whether both are empty.
        far_px: the distance to nothing, px.
    """
    if SCORES[name].empty == "ratio":
        return 1.0 if both else 0.0
    return 0.0 if both else far_px
