"""The threshold that validation chooses, and the scores of the same predictions at it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from torch import Tensor

from cracklab.metrics.curves import best_threshold
from cracklab.metrics.evaluator import Evaluator
from cracklab.metrics.options import EvaluationOptions

Batch = tuple[Sequence[str], Tensor, Tensor, Tensor | None, Tensor | None, Mapping[str, Sequence[float | str]] | None]
"""What `Evaluator.update` takes."""


class ThresholdTuner:
    """Keeps the predictions of one validation, chooses a threshold on them, and has them scored at it.

    Every score of that validation is then at the threshold that it chose itself, and a later evaluation of the same
    images at this threshold finds the same. Costs memory: the predictions and masks of this process's images, on the CPU.

    Args:
        by: `dice`, pooled, over all multiples of 0.001; `hd95`, the mean over images, over `options.threshold_candidates`.
        options: of the evaluation; its policies apply to the HD95 that chooses, too.
    """

    def __init__(self, by: Literal["dice", "hd95"], options: EvaluationOptions) -> None:
        self.by = by
        candidates = options.threshold_candidates if by == "hd95" else []
        options = replace(options, thresholds=[], groups=[], surface_thresholds=candidates)
        self._judge = Evaluator(options, costly=by == "hd95", curves=by == "dice")
        self._batches: list[Batch] = []

    @classmethod
    def from_options(cls, options: EvaluationOptions) -> "ThresholdTuner | None":
        """Return the tuner that the options ask for; None if the threshold is fixed."""
        by = options.threshold
        return cls(by, options) if isinstance(by, str) else None

    def reset(self) -> None:
        """Forget all predictions."""
        self._judge.reset()
        self._batches = []

    def update(
        self,
        ids: Sequence[str],
        probabilities: Tensor,
        mask: Tensor,
        valid: Tensor | None = None,
        size: Tensor | None = None,
        columns: Mapping[str, Sequence[float | str]] | None = None,
    ) -> None:
        """Keep a batch; arguments as of `Evaluator.update`."""
        self._judge.update(ids, probabilities, mask, valid, size)
        kept = None if valid is None else (valid > 0).cpu()
        self._batches.append((ids, probabilities.cpu(), (mask > 0.5).cpu(), kept, size, columns))

    def finish(self, evaluator: Evaluator) -> None:
        """Give an evaluator the threshold and then all batches; every process has to call it."""
        evaluator.threshold = best_threshold(self._judge.rows(), "dice" if self.by == "dice" else "hd95_px")
        for batch in self._batches:
            evaluator.update(*batch)
        self.reset()
