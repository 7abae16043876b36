"""How predictions are scored: the options, and what they make."""

from dataclasses import dataclass, field
from typing import Literal

from cracklab.data.datamodule import CrackDataModule
from cracklab.errors import ConfigError, DataError
from cracklab.metrics.evaluator import Evaluator
from cracklab.metrics.protocols import SURFACE_THRESHOLDS
from cracklab.metrics.tuning import Tuner

SCALE = "mm_per_px"
"""Column of a table of images with their scale, mm per px."""


@dataclass
class Evaluation:
    """How predictions are scored; `cracklab/metrics/README.md` defines every score and policy.

    Args:
        threshold: probability above which a pixel is crack: a number, or chosen by every validation of fit for the best
            pooled `dice`, or for the least mean `hd95`. Kept in the checkpoint; validate, test, predict and export use
            it and choose nothing. A validation's scores are at the threshold that it chose.
        threshold_candidates: thresholds that `hd95` chooses from; each costs one HD95 an image and validation.
        thresholds: further thresholds to report, as `iou@0.5`.
        surface_thresholds: further thresholds for HD95, as `hd95_px@0.1`, which one protocol wants.
        groups: costly metrics: surface, boundary, skeleton, topology, bands; None: all, for several classes the first two.
        surface_every_n_epochs: how often validation computes the costly metrics; at the last epoch it does, and test always.
        boundary_width_px: width of the band of Boundary IoU, px; None: 2 % of the image's diagonal.
        tolerance_px: how far an outline may be off for surface Dice and boundary F1, a piece for the topology, px.
        buffer_px: how far a centre line may be off for centre-line IoU, skeleton precision and recall, px.
        empty: distance where exactly one mask is empty, px; `diagonal` is the image's.
        crack_free: whether means over images `score` images without crack, or `skip` them.
        background: several classes: whether channel 0 counts in means.
        backend: who computes HD95.
    """

    threshold: float | Literal["dice", "hd95"] = "dice"
    threshold_candidates: list[float] = field(default_factory=lambda: [0.3, 0.4, 0.5, 0.6, 0.7])
    thresholds: list[float] = field(default_factory=lambda: [0.5])
    surface_thresholds: list[float] = field(default_factory=lambda: list(SURFACE_THRESHOLDS))
    groups: list[str] | None = None
    surface_every_n_epochs: int = 5
    boundary_width_px: int | None = None
    tolerance_px: float = 2.0
    buffer_px: float = 4.0
    empty: Literal["diagonal"] | float = "diagonal"
    crack_free: Literal["score", "skip"] = "score"
    background: bool = True
    backend: Literal["cracklab", "monai"] = "cracklab"

    def evaluator(self) -> Evaluator:
        """The evaluator.

        Raises:
            ConfigError: for a value out of its range.
        """
        fixed = [] if isinstance(self.threshold, str) else [self.threshold]
        for name, values in {"threshold": fixed, "threshold_candidates": self.threshold_candidates}.items():
            if any(not 0 < value < 1 for value in values):
                raise ConfigError(
                    f"evaluation.{name} is {values[0] if name == 'threshold' else values}: probabilities between 0 and 1 are needed"
                )
        if self.threshold == "hd95" and not self.threshold_candidates:
            raise ConfigError(
                "evaluation.threshold 'hd95' chooses from evaluation.threshold_candidates, which is empty"
            )
        if self.surface_every_n_epochs < 1:
            raise ConfigError(
                f"evaluation.surface_every_n_epochs is {self.surface_every_n_epochs}: 1 or more is needed"
            )
        evaluator = Evaluator(
            thresholds=self.thresholds,
            surface_thresholds=self.surface_thresholds,
            groups=self.groups,
            boundary_width_px=self.boundary_width_px,
            tolerance_px=self.tolerance_px,
            buffer_px=self.buffer_px,
            empty=self.empty,
            crack_free=self.crack_free,
            background=self.background,
            backend=self.backend,
        )
        evaluator.threshold = fixed[0] if fixed else 0.5
        return evaluator

    def tuner(self) -> Tuner | None:
        """Who chooses the threshold; None where it is fixed."""
        return Tuner(self.threshold, self.threshold_candidates) if isinstance(self.threshold, str) else None


def facts(data: CrackDataModule) -> dict[str, dict[str, float | str]]:
    """What per_image.csv tells of each image beside its scores, by id: `group`, its photo; `source`; `mm_per_px`.

    The last two where any image has them; the scale, a column of the layout's table, where images keep their size.

    Raises:
        DataError: for a scale that is no number.
    """
    records = data.records
    sources = any(record.source for record in records)
    scaled = data.transform.resize is None and any(SCALE in record.columns for record in records)
    found: dict[str, dict[str, float | str]] = {}
    for record in records:
        found[record.id] = {"group": record.group}
        if sources:
            found[record.id]["source"] = record.source
        if scaled:
            try:
                found[record.id][SCALE] = float(record.columns.get(SCALE) or "nan")
            except ValueError:
                raise DataError(
                    f"{SCALE} of {record.image} is {record.columns[SCALE]!r}: give a number, or leave it empty"
                ) from None
    return found
