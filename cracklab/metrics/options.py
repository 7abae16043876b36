"""All options of the evaluation: thresholds, policies, tolerances."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from cracklab.bounds import NonNegativeFloat, OpenUnitInterval, PositiveInt, UnitInterval, bounded
from cracklab.errors import ConfigError
from cracklab.metrics.scores import EMPTY, SCORES_OF, Backend, Empty, check_empty
from cracklab.registry import nearest

CrackFree = Literal["score", "skip"]
"""Whether images without crack count in means over images."""


@bounded
@dataclass(frozen=True)
class EvaluationOptions:
    """How predictions are scored; `cracklab/metrics/README.md` defines every score and policy.

    Args:
        threshold: probability above which a pixel is crack: a number, or `dice` or `hd95`. Then every validation of fit
            chooses the threshold with the highest pooled Dice, or the lowest mean HD95, and its scores are at that threshold.
            The checkpoint keeps it; validate, test, predict and export use it and choose none.
        threshold_candidates: thresholds that `hd95` chooses from; each costs one HD95 per image and validation.
        thresholds: further thresholds to report, as `iou@0.5`.
        surface_thresholds: further thresholds for HD95, as `hd95_px@0.1`; the protocol `krasniqi2026` needs 0.1.
        groups: groups of costly scores to compute: surface, boundary, skeleton, topology, bands. None: all of them; for
            several classes, surface and boundary.
        surface_every_n_epochs: number of epochs between validations that compute the costly scores; the last epoch and
            every test compute them too.
        boundary_width_px: width of the band of Boundary IoU, px; None: 2 % of the image's diagonal.
        tolerance_px: tolerance of surface Dice, boundary F1 and topology, px.
        buffer_px: tolerance of centre-line IoU, skeleton precision and recall, px.
        empty: distance if exactly one mask is empty, px; `diagonal` is the image's diagonal.
        crack_free: whether images without crack count in means over images (`score`), or are ignored (`skip`).
        background: whether channel 0 counts in means over several classes.
        backend: implementation of HD95.

    Raises:
        ConfigError: for a value out of range.

    Example:
        >>> EvaluationOptions(boundary_width_px=2).tolerance_px
        2.0
    """

    threshold: OpenUnitInterval | Literal["dice", "hd95"] = "dice"
    threshold_candidates: list[OpenUnitInterval] = field(default_factory=lambda: [0.3, 0.4, 0.5, 0.6, 0.7])
    thresholds: list[UnitInterval] = field(default_factory=lambda: [0.5])
    surface_thresholds: list[UnitInterval] = field(default_factory=lambda: [0.1])
    groups: list[str] | None = None
    surface_every_n_epochs: PositiveInt = 5
    boundary_width_px: PositiveInt | None = None
    tolerance_px: NonNegativeFloat = 2.0
    buffer_px: NonNegativeFloat = 4.0
    empty: Empty = EMPTY
    crack_free: CrackFree = "score"
    background: bool = True
    backend: Backend = "cracklab"

    def __post_init__(self) -> None:
        check_empty(self.empty)
        if self.threshold == "hd95" and not self.threshold_candidates:
            raise ConfigError(
                "evaluation.threshold 'hd95' chooses one of evaluation.threshold_candidates, which is empty: give some, such as [0.3, 0.5]"
            )
        for name in self.groups or ():
            if name not in SCORES_OF:
                raise ConfigError(f"no group of metrics is called {name!r}{nearest(name, list(SCORES_OF))}")
        for name, given, choices in (
            ("crack_free", self.crack_free, get_args(CrackFree)),
            ("backend", self.backend, get_args(Backend)),
        ):
            if given not in choices:
                raise ConfigError(f"{name} is {given!r}{nearest(given, choices)}")

    @property
    def first_threshold(self) -> float:
        """The threshold before a validation has chosen one."""
        return 0.5 if isinstance(self.threshold, str) else self.threshold
