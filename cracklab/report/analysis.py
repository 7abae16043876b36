"""The analysis of one metric: paired scores, comparisons over runs and over images, ranks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd

from cracklab.errors import ConfigError
from cracklab.registry import nearest
from cracklab.replication import ALPHA, Interval, Replication, mean_interval
from cracklab.report.blocks import Blocks
from cracklab.report.collection import Collection
from cracklab.report.comparison import Comparison, compare
from cracklab.report.learning import LearningCurves, validation_scores
from cracklab.report.metric import Metric
from cracklab.report.statistics import Quantity, Ranks, average_ranks, jackknife_interval
from cracklab.report.tested_run import TestedRun

COMPARED = 8
"""Number of methods that are compared pair by pair, best first, if no pairs are planned: 40 methods would be 780 pairs."""
Block = tuple[str, str, str, str, tuple[str, ...]]
"""Repeat, fold, setting, seed and ids of the test images."""


@dataclass(frozen=True)
class ImageComparison:
    """A comparison of two methods on the images that both were tested on; scores of an image are averaged over runs."""

    first: str
    second: str
    difference: Interval
    """Positive if `first` is better; units are photos; the intervals of all comparisons hold together with 95 %."""
    images: int
    superiority: float
    """Share of the images on which `first` is better; a tie counts half."""

    @property
    def significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.difference.low > 0 or self.difference.high < 0

    @property
    def turned(self) -> "ImageComparison":
        """The same comparison with the methods swapped."""
        old = self.difference
        difference = Interval(-old.value, -old.high, -old.low, old.units)
        return ImageComparison(self.second, self.first, difference, self.images, 1 - self.superiority)


class Analysis:
    """The analysis of one metric of a collection of runs.

    Args:
        collection: the runs.
        metric: the metric.
        target: see `LearningCurves`.
        planned: the pairs of methods to compare, chosen before the runs; none: every pair of the best `COMPARED`.
        absent: further pairs that were planned, `A:B`, of which a method has no run; they count in the corrections.

    Raises:
        ConfigError: for a pair of a method with itself, or of methods that the runs do not have.
    """

    def __init__(
        self,
        collection: Collection,
        metric: Metric,
        target: float | None = None,
        planned: Sequence[tuple[str, str]] = (),
        absent: Sequence[str] = (),
    ) -> None:
        self.collection, self.metric, self._target, self.planned = collection, metric, target, list(planned)
        self.absent = list(absent)
        for pair in self.planned:
            for name in pair:
                if name not in collection.methods:
                    raise ConfigError(f"--pairs names the method {name!r}{nearest(name, collection.methods)}")
            if pair[0] == pair[1] or sum(set(pair) == set(other) for other in self.planned) > 1:
                raise ConfigError(f"--pairs has {':'.join(pair)} twice, or a method with itself: give each pair once")

    @property
    def quantity(self) -> Quantity:
        """Name, direction and unit of the metric."""
        return self.metric.quantity

    @property
    def number_format(self) -> str:
        """Format of the metric's values: two decimals for lengths, else four."""
        return ".2f" if self.quantity.unit in ("px", "mm") else ".4f"

    @cached_property
    def blocks(self) -> dict[Block, dict[str, TestedRun]]:
        """Runs by block and method; runs with different test images are in different blocks, so they are not paired."""
        found: dict[Block, dict[str, TestedRun]] = {}
        for run in self.collection.runs:
            images = run.images.ids if run.images else ()
            found.setdefault((run.repeat, run.fold, run.setting, run.seed, images), {})[run.method] = run
        return found

    def scores(self, key: str) -> pd.DataFrame:
        """Return a metric of test_metrics.json: one row per block, one column per method, NaN for missing values."""
        names = ["repeat", "fold", f"setting of {self.collection.setting}", "seed"]
        index = pd.MultiIndex.from_tuples([block[:4] for block in self.blocks], names=names)
        values = [
            [
                _value(runs[method].metrics.get(key)) if method in runs else math.nan
                for method in self.collection.methods
            ]
            for runs in self.blocks.values()
        ]
        return pd.DataFrame(values, index=index, columns=self.collection.methods, dtype=float)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Scores of the metric, best method first."""
        scores = self.scores(self.metric.key)
        good = self.quantity.goodness(scores.to_numpy(float))
        means = pd.Series([self.mean(column) for column in good.T], index=scores.columns)
        return scores[list(means.sort_values(ascending=False, kind="stable", na_position="last").index)]

    @cached_property
    def rows(self) -> Blocks:
        """Rows of every table of scores."""
        num_folds = min(run.num_folds for run in self.collection.runs)
        return Blocks(self.scores(self.metric.key).index, [block[4] for block in self.blocks], num_folds)

    @property
    def replication(self) -> Replication:
        """Independent units of the blocks."""
        return self.rows.replication

    def interval(self, method: str) -> Interval:
        """Return the mean of a method over units with its 95 % interval."""
        return mean_interval(self.replication.means(self.table[method].to_numpy(float)), self.replication.overlap)

    def mean(self, values: np.ndarray) -> float:
        """Return the mean over units of one value per block; NaN if all values are NaN."""
        units = self.replication.means(values)
        return float(units.mean()) if len(units) else math.nan

    @property
    def methods(self) -> list[str]:
        """All methods, best mean first."""
        return [str(name) for name in self.table.columns]

    def mean_of(self, runs: Sequence[TestedRun]) -> float:
        """Return the mean of the metric over the units of some runs."""
        labels = ([getattr(run, name) for run in runs] for name in ("repeat", "fold", "seed"))
        values = np.array([_value(run.metrics.get(self.metric.key)) for run in runs])
        return float(Replication.of(*labels).means(values).mean())

    @property
    def is_planned(self) -> bool:
        """Whether the pairs were chosen before the runs."""
        return bool(self.planned or self.absent)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs of methods that are compared."""
        return self.planned if self.is_planned else list(combinations(self.methods[:COMPARED], 2))

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Comparisons over runs of `pairs`."""
        family = len(self.planned) + len(self.absent)
        return compare(self.table, self.rows, self.quantity, self.pairs, family or None)

    @cached_property
    def ranks(self) -> Ranks | None:
        """Average ranks and wins of all methods; None if they share no block."""
        return average_ranks(self.table, self.replication, self.quantity)

    @cached_property
    def image_comparisons(self) -> list[ImageComparison]:
        """Comparisons over images of `pairs`."""
        level = 1 - ALPHA / max(len(self.pairs), 1)
        return [found for a, b in self.pairs if (found := self._over_images(a, b, level)) is not None]

    def _over_images(self, a: str, b: str, level: float) -> ImageComparison | None:
        """Compare over the blocks that both methods have; if there are none, over all their runs on common images."""
        shared = [runs for runs in self.blocks.values() if a in runs and b in runs] or list(self.blocks.values())
        sides = [[runs[name] for runs in shared if name in runs] for name in (a, b)]
        first, second = map(self.image_means, sides)
        per_image = self.metric.per_image
        both = first.join(second.drop(columns="group").add_prefix("second "), how="inner").dropna()
        if per_image is None or both.empty:
            return None
        width = len(per_image.columns)
        columns = [both[name].to_numpy(float) for name in both.columns if name != "group"]

        def gain(*sums: np.ndarray) -> np.ndarray:
            *values, number = sums
            good = [self.quantity.goodness(per_image.value(*part, number)) for part in (values[:width], values[width:])]
            return np.asarray(np.round(good[0] - good[1], 12))

        values = (self.image_values(side) for side in sides)
        good = [self.quantity.goodness(np.array([value[name] for name in both.index])) for value in values]
        each = np.round(good[0] - good[1], 12)
        # runs of folds over images have one group per image: take the groups of the method with fewer
        photos = min((found["group"].loc[both.index] for found in (first, second)), key=pd.Series.nunique)
        difference = jackknife_interval([*columns, np.ones(len(both))], list(photos), gain, level)
        return ImageComparison(a, b, difference, len(both), float(((each > 0) + 0.5 * (each == 0)).mean()))

    def image_means(self, runs: Iterable[TestedRun]) -> pd.DataFrame:
        """Return the metric's columns of per_image.csv, averaged over runs: index id, `group`, and numbered columns."""
        width = len(self.metric.per_image.columns) if self.metric.per_image else 0
        parts = [
            pd.DataFrame(run.images.values, index=list(run.images.ids)).assign(group=list(run.images.groups))
            for run in runs
            if run.images is not None and run.images.values.shape[1] == width > 0
        ]
        if not parts:
            return pd.DataFrame({"group": []})
        whole = pd.concat(parts).groupby(level=0)
        means = whole[list(range(width))].mean()
        means.columns = [str(name) for name in means.columns]
        return means.assign(group=whole["group"].first())

    def image_values(self, runs: Iterable[TestedRun]) -> dict[str, float]:
        """Return the metric of every image, averaged over runs; empty if the metric has no values of single images."""
        per_image = self.metric.per_image
        if per_image is None:
            return {}
        parts = [
            pd.Series(per_image.value(*run.images.values.T, 1), index=list(run.images.ids), dtype=float)
            for run in runs
            if run.images is not None and run.images.values.shape[1] == len(per_image.columns)
        ]
        means = pd.concat(parts).groupby(level=0).mean() if parts else pd.Series(dtype=float)
        return {str(name): float(value) for name, value in means.items()}

    @cached_property
    def learning(self) -> LearningCurves:
        """Validation scores of the metric by epoch."""
        curves = validation_scores(self.blocks.values(), self.metric.curve, self.methods)
        return LearningCurves(curves, self.quantity, self._target)

    def runs_of(self, method: str) -> Sequence[TestedRun]:
        """Return the runs of a method."""
        return [run for run in self.collection.runs if run.method == method]


def _value(value: float | None) -> float:
    return math.nan if value is None else float(value)
