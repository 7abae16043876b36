"""Replicated runs: which of them are independent, and tests and intervals that follow.

Runs that share their test images (seeds, nets) are averaged first: the unit is the fold. Runs on a single split have the
seed as unit, and their results hold for the images of that split.

Folds share training images, and repeats of the folds share test images too. That makes the variance of the mean over units
larger than 1 / n of the variance between units, by an amount that the scores do not reveal (Bengio and Grandvalet 2004).
Nadeau and Bengio (2003) therefore add the ratio of test to training images, 1 / (k - 1) for k folds; Bouckaert and Frank
(2004) do the same for repeated folds. For repeated folds, this is right if photos sway the score by testing alone; for folds
without repeats, it leaves room for training photos that sway it as much as test photos.
"""

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Floats = NDArray[np.float64]
ALPHA = 0.05
ROUNDING = 1e-12
"""Relative error of sums of floats."""


@dataclass(frozen=True)
class Interval:
    """A value with its interval, which is NaN to NaN if the units do not determine one."""

    value: float
    low: float
    high: float
    units: int
    """Number of independent units."""

    def cut(self, ends: tuple[float, float]) -> "Interval":
        """Return the interval clipped to two ends.

        Example:
            >>> Interval(0.1, -0.3, 0.5, 2).cut((0.0, 1.0))
            Interval(value=0.1, low=0.0, high=0.5, units=2)
        """
        return Interval(self.value, max(self.low, ends[0]), min(self.high, ends[1]), self.units)  # NaN stays NaN


@dataclass(frozen=True)
class Replication:
    """The independent units of a set of runs."""

    unit: Literal["fold", "split", "seed"]
    """A split is one of several divisions into training and test images that are not folds."""
    unit_of: NDArray[np.intp]
    """(N,) number of the unit of every run."""
    overlap: float
    """Ratio of test to training images, added to 1 / n in the variance of a mean; 0 if seeds are the units."""

    @classmethod
    def of(
        cls,
        repeats: Sequence[Hashable],
        folds: Sequence[Hashable],
        seeds: Sequence[Hashable],
        tests: Sequence[Collection[str]] | None = None,
        *,
        num_folds: int = 0,
    ) -> "Replication":
        """Find the units of N runs.

        Args:
            repeats: (N,) label of the division of images that a run uses: repeat, split seed.
            folds: (N,) label of the fold of that division that a run is tested on.
            seeds: (N,) label of the seed.
            tests: (N,) ids of the test images, for the ratio of splits that are not folds; without them it is taken to be 1.
            num_folds: number of folds of the design, of which some may have no run yet; 0: the folds of these runs.

        >>> Replication.of(repeats=[0, 0, 0, 0], folds=["a", "a", "b", "b"], seeds=[1, 2, 1, 2])
        Replication(unit='fold', unit_of=array([0, 0, 1, 1]), overlap=1.0)
        """
        splits = list(zip(repeats, folds, strict=True))
        if len(set(splits)) < 2:
            return cls("seed", _codes(seeds), 0.0)
        parts = len(set(folds))
        if parts > 1:
            return cls("fold", _codes(splits), 1 / (max(parts, num_folds) - 1))
        return cls("split", _codes(splits), _ratio(tests or ()))

    def means(self, values: Floats) -> Floats:
        """Average the values of the runs (N,) within each unit; NaN is a run without a value, a unit without any is left out.

        >>> Replication("fold", np.array([0, 0, 1, 1, 2]), 0.5).means(np.array([1.0, 3.0, 5.0, np.nan, np.nan]))
        array([2., 5.])
        """
        known = ~np.isnan(values)
        number = np.bincount(self.unit_of[known])
        sums = np.bincount(self.unit_of[known], weights=values[known])
        means: Floats = sums[number > 0] / number[number > 0]
        return means


def _codes(labels: Sequence[Hashable]) -> NDArray[np.intp]:
    """Number the labels in the order in which they first appear."""
    number = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return np.array([number[label] for label in labels], np.intp)


def _ratio(tests: Sequence[Collection[str]]) -> float:
    """Return the ratio of test to other images; the test images together stand for all images, which underestimates their number."""
    different = {frozenset(ids) for ids in tests}
    everything = len(frozenset().union(*different))
    if not everything:
        return 1.0
    tested = sum(map(len, different)) / len(different)
    return tested / (everything - tested) if everything > tested else 0.0  # 0: all have the same test images


def standard_error(units: Floats, overlap: float) -> Floats:
    """Return the standard error of the mean over units, sqrt((1 / n + overlap) s^2).

    Args:
        units: (..., n) value of every unit.
        overlap: `Replication.overlap`.

    Source: Nadeau and Bengio 2003, "Inference for the Generalization Error".

    >>> float(standard_error(np.array([2.0, 4.0, 6.0, 8.0]), overlap=0.35))  # s^2 = 20 / 3, (0.25 + 0.35) s^2 = 4
    2.0
    """
    error: Floats = np.sqrt((1 / units.shape[-1] + overlap) * units.var(axis=-1, ddof=1))
    return error


def are_equal(values: Floats) -> bool:
    """Return whether values differ by rounding errors alone.

    >>> are_equal(np.array([0.7, (0.7 + 0.7 + 0.7) / 3])), are_equal(np.array([0.7, 0.7001]))
    (True, False)
    """
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


def mean_interval(units: Floats, overlap: float, level: float = 1 - ALPHA) -> Interval:
    """Compute the mean over units and its interval: Student's t, n - 1 degrees of freedom, `standard_error`.

    The interval is NaN to NaN for fewer than two units and for equal units, whose noise is unknown.

    Args:
        units: (n,) value of every unit.
        overlap: `Replication.overlap`.
        level: coverage; 1 - ALPHA / m makes m intervals simultaneous (Bonferroni).

    >>> found = mean_interval(np.array([2.0, 4.0, 6.0, 8.0]), overlap=0.35)  # 5 -+ 3.182 x 2
    >>> found.value, round(found.low, 3), round(found.high, 3), found.units
    (5.0, -1.365, 11.365, 4)
    """
    n = len(units)
    value = float(units.mean()) if n else math.nan
    if n < 2 or are_equal(units):
        return Interval(value, math.nan, math.nan, n)
    half = t_quantile(n, level) * float(standard_error(units, overlap))
    return Interval(value, value - half, value + half, n)


def t_quantile(units: int, level: float) -> float:
    """Return half the width of an interval in standard errors.

    >>> round(t_quantile(units=5, level=0.95), 3)
    2.776
    """
    return float(stdtrit(units - 1, (1 + level) / 2))


def p_value(units: Floats, overlap: float) -> float:
    """Return the two-sided p of the corrected t test that the mean over units is 0; NaN where `mean_interval` is NaN.

    Sources: Nadeau and Bengio 2003 (corrected resampled t test); Bouckaert and Frank 2004 (repeated folds).

    >>> round(p_value(np.array([2.0, 4.0, 6.0, 8.0]), overlap=0.35), 4)  # t = 5 / 2, 3 degrees of freedom
    0.0877
    """
    n = len(units)
    if n < 2 or are_equal(units):
        return math.nan
    return 2 * float(stdtr(n - 1, -abs(float(units.mean())) / float(standard_error(units, overlap))))
