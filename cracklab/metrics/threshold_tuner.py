"""The choice of a threshold on validation images, and their scores at it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from torch import Tensor

from cracklab.metrics.curves import best_threshold
from cracklab.metrics.evaluator import Evaluator
from cracklab.metrics.options import EvaluationOptions

Batch = tuple[Sequence[str], Tensor, Tensor, Tensor | None, Tensor | None, Mapping[str, Sequence[float | str]] | None]
"""Arguments of `Evaluator.update`."""


class ThresholdTuner:
    """Keeps the predictions of a validation, chooses a threshold on them, and scores them at that threshold.

    All scores of the validation are then at the threshold that it chose itself, and a later evaluation of the same images at
    this threshold gives the same values. The predictions and masks of this process's images stay in CPU memory until then.

    Args:
        by: `dice`, pooled, over all multiples of 0.001; `hd95`, the mean over images, over `options.threshold_candidates`.
        options: of the evaluation. Its policies also apply to the HD95 by which the threshold is chosen.

    Example:
        >>> import torch
        >>> tuner, evaluator = ThresholdTuner("dice", EvaluationOptions()), Evaluator(EvaluationOptions(thresholds=[]), costly=False)
        >>> tuner.update(["a"], torch.tensor([[[[0.2, 0.4]]]]), torch.tensor([[[[0.0, 1.0]]]]))
        >>> tuner.finish(evaluator)
        >>> evaluator.threshold, evaluator.compute(evaluator.rows())["iou"]  # all correct from 0.2 to below 0.4
        (0.399, 1.0)
    """

    def __init__(self, by: Literal["dice", "hd95"], options: EvaluationOptions) -> None:
        self.by = by
        candidates = options.threshold_candidates if by == "hd95" else []
        options = replace(options, thresholds=[], groups=[], surface_thresholds=candidates)
        self._chooser = Evaluator(options, costly=by == "hd95", curves=by == "dice")
        self._batches: list[Batch] = []

    @classmethod
    def from_options(cls, options: EvaluationOptions) -> "ThresholdTuner | None":
        """Return the tuner for the options; None if they fix the threshold."""
        by = options.threshold
        return cls(by, options) if isinstance(by, str) else None

    def reset(self) -> None:
        """Drop all predictions."""
        self._chooser.reset()
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
        """Keep a batch; arguments are those of `Evaluator.update`."""
        self._chooser.update(ids, probabilities, mask, valid, size)
        kept = None if valid is None else (valid > 0).cpu()
        self._batches.append((ids, probabilities.cpu(), (mask > 0.5).cpu(), kept, size, columns))

    def finish(self, evaluator: Evaluator) -> None:
        """Choose the threshold, and pass it and all batches to an evaluator; all processes must call it.

        Raises:
            ConfigError: if no candidate has a value of HD95.
        """
        evaluator.threshold = best_threshold(self._chooser.rows(), "dice" if self.by == "dice" else "hd95_px")
        for batch in self._batches:
            evaluator.update(*batch)
        self.reset()
