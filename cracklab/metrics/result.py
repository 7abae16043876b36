"""The result of one evaluation, which callbacks, tables and loggers read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cracklab.metrics.rows import Row


@dataclass(frozen=True)
class EvaluationResult:
    """Rows and metrics of one validation or test, the same on every process.

    Example:
        >>> result = EvaluationResult("val", 0, [], {"val/iou": 0.5, "val/bridged": None}, threshold=0.5, complete=True)
        >>> result.scores
        {'val/iou': 0.5}
    """

    stage: Literal["val", "test"]
    epoch: int
    """Epoch of the evaluation, from 0."""
    rows: Sequence[Row]
    """One row per image, sorted by id."""
    metrics: Mapping[str, float | None]
    """Values by `stage/name`, sorted; None if there was nothing to measure."""
    threshold: float
    """The probability threshold of metrics without `@`."""
    complete: bool
    """Whether the costly scores were computed."""
    native_rows: Sequence[Row] | None = None
    """The rows of a test at the size of the files; their metrics are called `native/name`. None if there are no files."""

    @property
    def scores(self) -> dict[str, float]:
        """The metrics that have a value."""
        return {name: value for name, value in self.metrics.items() if value is not None}
