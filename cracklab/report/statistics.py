"""Statistics of scores: quantities, the jackknife, ranks, wins, epochs to a target."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cracklab.replication import ALPHA, Interval, Replication, are_equal, t_quantile

Floats = NDArray[np.float64]
Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Quantity:
    """The quantity that is compared; differences are written in `unit`, after multiplying by `factor`."""

    name: str
    better: Better = "higher"
    unit: str = ""
    factor: float = 1.0

    def goodness(self, values: Floats) -> Floats:
        """Transform values so that higher is better."""
        return values if self.better == "higher" else -values

    def text(self, value: float) -> str:
        """Write a difference without its unit: one decimal if it has a unit, else three; two digits if that would be 0."""
        scaled = value * self.factor
        decimals = 1 if self.unit else 3
        return f"{scaled:.{decimals}f}" if abs(scaled) >= 10.0**-decimals or not scaled else f"{scaled:.2g}"

    def amount(self, value: float) -> str:
        """Write a difference with its unit: `1.2 IoU points`, `0.3 px HD95`."""
        words = (
            [self.text(value), self.name, self.unit]
            if self.unit == "points"
            else [self.text(value), self.unit, self.name]
        )
        return " ".join(word for word in words if word)


def jackknife_interval(
    columns: Sequence[Floats], groups: Sequence[Any], statistic: Callable[..., Any], level: float = 1 - ALPHA
) -> Interval:
    """Compute a statistic of sums and its interval by the jackknife over groups, with Student's t.

    The interval is NaN to NaN for one group, and if every group can be left out without any change.

    Args:
        columns: numbers that are summed, each (N,).
        groups: group of each of the N; groups are independent.
        statistic: computes the value from the sums of the columns, which are numbers or arrays.
        level: coverage.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", ch. 11.
    """
    _, place = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    n = int(place.max()) + 1
    sums = [np.bincount(place, weights=column, minlength=n) for column in columns]
    value = float(statistic(*(column.sum() for column in sums)))
    if n < 2:
        return Interval(value, math.nan, math.nan, n)
    without = np.asarray(statistic(*(column.sum() - column for column in sums)))
    if are_equal(without):
        return Interval(value, math.nan, math.nan, n)
    half = t_quantile(n, level) * math.sqrt((n - 1) * float(np.var(without)))
    return Interval(value, value - half, value + half, n)


@dataclass(frozen=True)
class Ranks:
    """Average ranks of methods over the units that all of them have; rank 1 is the best, ties share a rank."""

    average: dict[str, float]
    """By method, best first."""
    wins: dict[str, float]
    """Number of units in which each method is the best; ties share."""
    units: int
    independent: float
    """Number of units that the tests count: fewer if units share images."""
    critical_difference: float
    """Smallest difference of two average ranks that the Nemenyi test at 0.05 detects."""
    p_friedman: float | None
    """p of the Friedman test that all methods rank alike; None for two methods and for one unit."""


def average_ranks(scores: pd.DataFrame, replication: Replication, quantity: Quantity) -> Ranks | None:
    """Compute average ranks and their critical difference; None without two methods and a block that all of them have.

    The tests are those of Demsar 2006, sec. 3.2.2, for n / (1 + n overlap) independent units in place of n.
    """
    good = quantity.goodness(scores.to_numpy(float))
    good = np.where(np.isnan(good).any(axis=1, keepdims=True), np.nan, good)
    if scores.shape[1] < 2 or np.isnan(good).all():
        return None
    units = np.stack([replication.means(column) for column in good.T], axis=1).round(12)
    n, methods = units.shape
    average = stats.rankdata(-units, axis=1).mean(0)
    independent = 1 / (1 / n + replication.overlap)
    p = None
    if n > 1 and methods > 2 and (np.ptp(units, axis=1) > 0).any():
        chi2 = float(stats.friedmanchisquare(*units.T).statistic) * independent / n
        p = float(stats.chi2.sf(chi2, methods - 1))
    order = average.argsort(kind="stable")
    wins = firsts(pd.DataFrame(units, columns=scores.columns), Quantity(quantity.name))
    return Ranks(
        {str(scores.columns[i]): float(average[i]) for i in order},
        wins,
        n,
        independent,
        critical_difference(methods, independent),
        p,
    )


def critical_difference(methods: int, units: float) -> float:
    """Return Nemenyi's critical difference of average ranks at 0.05, q sqrt(k (k + 1) / (6 N)); Demsar 2006, sec. 3.2.2."""
    q = float(stats.studentized_range.ppf(1 - ALPHA, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * units))


def firsts(scores: pd.DataFrame, quantity: Quantity) -> dict[str, float]:
    """Count the rows in which each method is the best, among the rows that all methods have; ties are split equally.

    Over units, these are the wins; over epochs, divided by their number, the superiority of Guel 2023, sec. 2.1.6.
    """
    good = quantity.goodness(scores.dropna().to_numpy(float))
    best = good == good.max(axis=1, keepdims=True) if len(good) else np.zeros((1, scores.shape[1]), bool)
    shares = (best / np.maximum(best.sum(1, keepdims=True), 1)).sum(0)
    return {str(name): float(share) for name, share in zip(scores.columns, shares, strict=True)}


def epochs_to(values: Floats, epochs: Sequence[int], target: float, quantity: Quantity) -> int | None:
    """Return the number of epochs until a score first reached a target; None if it never did.

    Args:
        values: score of every epoch; NaN for an epoch without a score.
        epochs: numbers of the epochs, from 0.
        target: target, on the scale of the score.
        quantity: the quantity of the score.
    """
    reached = np.flatnonzero(quantity.goodness(values) >= quantity.goodness(np.array(target)))
    return int(epochs[int(reached[0])]) + 1 if len(reached) else None
