"""The result of one evaluation, which callbacks, tables and loggers read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cracklab.metrics.aggregate import aggregate
from cracklab.metrics.evaluator import Evaluator
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

    @classmethod
    def of(
        cls, stage: Literal["val", "test"], epoch: int, evaluator: Evaluator, native: Evaluator | None
    ) -> "EvaluationResult":
        """Return the result of the rows of all processes.

        Args:
            stage: of the evaluation.
            epoch: the same, from 0.
            evaluator: of the images as the net sees them.
            native: of the images at the size of the files, if there are files.
        """
        rows, threshold = evaluator.rows(), evaluator.threshold
        found: dict[str, dict[str, float | None]] = {stage: evaluator.compute(rows) | {"threshold": threshold}}
        native_rows = None if native is None else native.rows()
        if native_rows is not None:
            found["native"] = aggregate(native_rows)
        metrics = {f"{kind}/{name}": value for kind, values in found.items() for name, value in values.items()}
        return cls(stage, epoch, rows, dict(sorted(metrics.items())), threshold, evaluator.costly, native_rows)

    @property
    def scores(self) -> dict[str, float]:
        """The metrics that have a value."""
        return {name: value for name, value in self.metrics.items() if value is not None}
