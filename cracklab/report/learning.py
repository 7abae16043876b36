"""Learning curves: how fast each method's validation score improves."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from cracklab.report.statistics import Quantity, epochs_to, firsts
from cracklab.report.tested_run import TestedRun

SHARE_OF_BEST = 0.95
"""Default target of `epochs to target`: this share of the best mean score of a method."""


@dataclass(frozen=True)
class Convergence:
    """How fast a method's validation score improves."""

    method: str
    superiority: float
    """Share of the epochs of all blocks in which the method is the best one (Guel 2023)."""
    best: float
    """Score of the best epoch, mean over runs."""
    reached: int
    """Number of runs that reached the target."""
    runs: int
    epochs: float
    """Median number of epochs that these runs needed."""


def validation_scores(
    blocks: Iterable[Mapping[str, TestedRun]], name: str | None, methods: Sequence[str]
) -> pd.DataFrame:
    """Return a column of metrics.csv: index (block, epoch), one column per method; empty if no run has any."""
    parts: dict[tuple[int, str], pd.Series] = {}
    for number, runs in enumerate(blocks):
        for method, run in runs.items():
            if name in run.curve and "epoch" in run.curve:
                parts[number, method] = run.curve.set_index("epoch")[name].dropna()
    if not parts:
        return pd.DataFrame()
    long = pd.concat(parts, names=["block", "method", "epoch"])
    wide: pd.DataFrame = long.unstack("method")
    return wide.reindex(columns=[method for method in methods if method in long.index.unique("method")])


class LearningCurves:
    """The learning curves of all methods.

    Args:
        curves: validation scores, from `validation_scores`.
        quantity: direction of the score.
        target: score for `epochs to target`; None: `SHARE_OF_BEST` of the best method's score.
    """

    def __init__(self, curves: pd.DataFrame, quantity: Quantity, target: float | None = None) -> None:
        self.curves, self._quantity, self._target = curves, quantity, target

    @cached_property
    def target(self) -> float:
        """Validation score of `epochs to target`."""
        if self._target is not None:
            return self._target
        best = self._best_epochs.mean()
        if self._quantity.better == "higher":
            return float(SHARE_OF_BEST * best.max())
        return float(best.min() / SHARE_OF_BEST)

    @cached_property
    def _best_epochs(self) -> pd.DataFrame:
        """Score of the best epoch: index block, one column per method."""
        by_block = self.curves.groupby(level="block")
        return by_block.max() if self._quantity.better == "higher" else by_block.min()

    def convergence(self) -> list[Convergence]:
        """Return the convergence of every method with learning curves, best method first."""
        if self.curves.empty:
            return []
        complete = len(self.curves.dropna())
        shares = firsts(self.curves, self._quantity)
        return [
            self._convergence(method, shares[method] / complete if complete else math.nan)
            for method in map(str, self.curves.columns)
        ]

    def _convergence(self, method: str, superiority: float) -> Convergence:
        series = [part.dropna() for _, part in self.curves[method].groupby(level="block")]
        series = [part for part in series if len(part)]
        needed = [
            epochs_to(part.to_numpy(float), list(part.index.get_level_values("epoch")), self.target, self._quantity)
            for part in series
        ]
        reached = [epochs for epochs in needed if epochs is not None]
        median = float(np.median(reached)) if reached else math.nan
        best = float(self._best_epochs[method].mean())
        return Convergence(method, superiority, best, len(reached), len(series), median)
