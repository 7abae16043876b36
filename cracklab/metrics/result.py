"""The result of one evaluation, as callbacks, tables and loggers read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cracklab.metrics.rows import Row


@dataclass(frozen=True)
class EvaluationResult:
    """Rows and metrics of one validation or test, the same on every process."""

    stage: Literal["val", "test"]
    epoch: int
    """Epoch in which it was computed, from 0."""
    rows: Sequence[Row]
    """One row per image, sorted by id."""
    metrics: Mapping[str, float | None]
    """`stage/name` -> value, sorted by name; None if there was nothing to measure."""
    threshold: float
    """The probability threshold of metrics without `@`."""
    complete: bool
    """Whether the costly scores were computed."""

    @property
    def scores(self) -> dict[str, float]:
        """The metrics that have a value."""
        return {name: value for name, value in self.metrics.items() if value is not None}
