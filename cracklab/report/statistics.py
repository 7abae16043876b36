"""Statistics of runs: intervals, tests, ranks.

A table of scores has one row per block and one column per method. The runs of a block have the same fold, seed, net and
test images; only scores of the same block are paired. The index has two levels: the cluster (the fold, or all of a block
but its seed) and the seed. Rows of a cluster share data, so they are resampled together; a table with one cluster is
resampled by seed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

Floats = NDArray[np.float64]
Better = Literal["higher", "lower", "one"]
ALPHA = 0.05
RESAMPLES = 9999
BATCH = 500
"""Number of resamples held in memory at once."""


@dataclass(frozen=True)
class Quantity:
    """The quantity that is compared; differences are written in `unit`, after multiplying by `factor`."""

    name: str
    better: Better = "higher"
    unit: str = ""
    factor: float = 1.0

    def goodness(self, values: Floats) -> Floats:
        """Transform values so that higher is better."""
        return {"higher": values, "lower": -values, "one": -np.abs(values - 1)}[self.better]

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


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval, which is NaN to NaN for fewer than two clusters."""

    value: float
    low: float
    high: float
    clusters: int


def bootstrap_interval(columns: Sequence[Floats], clusters: Sequence[Any], statistic: Callable[..., Any]) -> Interval:
    """Compute a statistic of sums and its bootstrap interval over whole clusters.

    A percentile interval of few clusters is too narrow: resampling underestimates the variance by (n - 1) / n and the
    interval uses the quantile of the normal distribution. Its level is therefore expanded to 1 - 2 Phi(-sqrt(n / (n - 1)) t), with
    Student's t of n - 1 degrees of freedom. Below six clusters that is nearly their whole range, which holds the truth
    with probability 1 - 2^(1 - n) at most (`coverage_at_most`).

    Args:
        columns: numbers that are summed, each (N,).
        clusters: cluster of each of the N.
        statistic: computes the value from the sums of the columns, which are numbers or arrays.

    Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap" (expanded percentile interval).
    """
    _, place = np.unique(np.asarray(clusters).astype(str), return_inverse=True)
    n = int(place.max()) + 1
    sums = [np.bincount(place, weights=column, minlength=n) for column in columns]
    value = float(statistic(*(column.sum() for column in sums)))
    if n < 2:
        return Interval(value, math.nan, math.nan, n)
    wide = 1 - 2 * stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(1 - ALPHA / 2, n - 1))
    found = stats.bootstrap(
        sums,
        lambda *resampled, axis: statistic(*(column.sum(axis) for column in resampled)),
        n_resamples=RESAMPLES,
        batch=BATCH,
        vectorized=True,
        paired=True,
        confidence_level=float(wide),
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high), n)


def mean_interval(values: Floats, clusters: Sequence[Any]) -> Interval:
    """Compute a mean and its bootstrap interval over clusters."""
    return bootstrap_interval([values, np.ones(len(values))], clusters, lambda total, number: total / number)


def coverage_at_most(clusters: int) -> float:
    """Return the probability that the range of n independent values contains the median of their distribution, 1 - 2^(1 - n)."""
    return 1 - 2.0 ** (1 - clusters)


def clusters_of(scores: pd.DataFrame) -> list[Any]:
    """Return the resampling unit of every row of a table of scores: its cluster, or its seed if there is one cluster."""
    several = scores.index.get_level_values(0).nunique() > 1
    return list(scores.index.get_level_values(0 if several else 1))


@dataclass(frozen=True)
class Comparison:
    """A comparison of two methods over their common blocks; `first` has the better mean, positive differences favour it."""

    first: str
    second: str
    pairs: int
    difference: Interval
    p: float
    """Two-sided p of the Wilcoxon signed-rank test; zeros are split between both signs (Demsar 2006)."""
    p_holm: float
    """p after Holm's correction for all comparisons of the table."""
    family: int
    """Number of comparisons of the table."""
    rank_biserial: float
    """Effect size, (W+ - W-) / (W+ + W-) of the signed ranks: 1 if `first` is always better (Kerby 2014)."""
    superiority: float
    """Probability of superiority: share of the pairs in which `first` is better; a tie counts half."""
    seed_noise: float | None
    """Standard deviation over seeds within a cluster, pooled over both methods; None with one seed."""
    design: str
    """Number of folds, settings and seeds, `5 folds x 3 seeds`."""

    @property
    def significant(self) -> bool:
        """Whether p after Holm is below 0.05 and the interval excludes 0."""
        return self.p_holm < ALPHA and self.difference.low > 0


def compare(scores: pd.DataFrame, quantity: Quantity) -> list[Comparison]:
    """Compare every pair of methods over the blocks that both have.

    Args:
        scores: index (cluster, seed), columns methods; NaN for a missing run.
        quantity: the quantity of the scores.

    Returns:
        One comparison for every pair of methods with a common block, in the order of the columns.
    """
    found = []
    for a, b in combinations(scores.columns, 2):
        both = scores[[a, b]].dropna()
        if len(both):
            found.append(_compare(both, quantity))
    if not found:
        return []
    corrected = multipletests([one.p for one in found], method="holm")[1]
    return [
        Comparison(**{**vars(one), "p_holm": float(p), "family": len(found)})
        for one, p in zip(found, corrected, strict=True)
    ]


def _compare(both: pd.DataFrame, quantity: Quantity) -> Comparison:
    first, second = both.columns
    good = quantity.goodness(both.to_numpy(float))
    gain = np.round(good[:, 0] - good[:, 1], 12)  # rounding errors must not get ranks
    if gain.mean() < 0:
        first, second, gain = second, first, -gain
    p = 1.0
    if gain.any():
        p = float(stats.wilcoxon(gain, zero_method="zsplit").pvalue)
    ranks = stats.rankdata(np.abs(gain))
    return Comparison(
        first=str(first),
        second=str(second),
        pairs=len(gain),
        difference=mean_interval(gain, clusters_of(both)),
        p=p,
        p_holm=p,
        family=1,
        rank_biserial=float((ranks * np.sign(gain)).sum() / ranks.sum()),
        superiority=float(((gain > 0) + 0.5 * (gain == 0)).mean()),
        seed_noise=seed_noise(both),
        design=design(both),
    )


def seed_noise(scores: pd.DataFrame) -> float | None:
    """Return the standard deviation over seeds, pooled over clusters and methods; None with one seed per cluster."""
    groups = scores.groupby(level=0)
    freedom = (groups.count() - 1).clip(lower=0).to_numpy().sum()
    if not freedom:
        return None
    squares = ((scores - groups.transform("mean")) ** 2).to_numpy(float)
    return math.sqrt(float(np.nansum(squares)) / freedom)


def design(scores: pd.DataFrame) -> str:
    """Describe the rows of a table: `5 folds x 3 seeds`, or their number if a cluster lacks a seed."""
    clusters, seeds = (scores.index.get_level_values(level).nunique() for level in (0, 1))
    noun = str(scores.index.names[0])
    of_clusters = _count(clusters, "fold") if noun == "fold" else f"{_count(clusters, 'setting')} of {noun}"
    if clusters * seeds != len(scores):
        return f"{len(scores)} runs over {of_clusters}"
    if clusters == 1:
        return _count(seeds, "seed")
    return of_clusters if seeds == 1 else f"{of_clusters} x {_count(seeds, 'seed')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def least_pairs(family: int) -> int:
    """Return the smallest number of pairs for which a signed-rank test in a family of comparisons can reach 0.05 after Holm."""
    return math.floor(math.log2(family / ALPHA)) + 2


@dataclass(frozen=True)
class Ranks:
    """Average ranks of methods over the blocks that all of them have; rank 1 is the best, ties share a rank."""

    average: dict[str, float]
    """By method, best first."""
    blocks: int
    critical_difference: float
    """Smallest difference of two average ranks that the Nemenyi test at 0.05 detects."""
    p_friedman: float | None
    """p of the Friedman test that all methods rank alike; None for two methods."""


def average_ranks(scores: pd.DataFrame, quantity: Quantity) -> Ranks | None:
    """Compute average ranks and their critical difference; None without two methods and a block that all of them have.

    Source: Demsar 2006, sec. 3.2.2.
    """
    whole = scores.dropna()
    if len(whole) < 1 or whole.shape[1] < 2:
        return None
    good = quantity.goodness(whole.to_numpy(float))
    ranks = pd.Series(stats.rankdata(-np.round(good, 12), axis=1).mean(0), index=whole.columns).sort_values(
        kind="stable"
    )
    differ = len(whole) > 1 and whole.shape[1] > 2 and bool((np.ptp(good, axis=1) > 0).any())
    p = float(stats.friedmanchisquare(*good.T).pvalue) if differ else None
    return Ranks(
        {str(name): float(rank) for name, rank in ranks.items()},
        len(whole),
        critical_difference(whole.shape[1], len(whole)),
        p,
    )


def critical_difference(methods: int, blocks: int) -> float:
    """Return Nemenyi's critical difference of average ranks at 0.05, q sqrt(k (k + 1) / (6 N)); Demsar 2006, sec. 3.2.2."""
    q = float(stats.studentized_range.ppf(1 - ALPHA, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * blocks))


def firsts(scores: pd.DataFrame, quantity: Quantity) -> dict[str, float]:
    """Count the rows in which each method is the best, among the rows that all methods have; ties are split equally.

    Over blocks, these are the wins; over epochs, divided by their number, the superiority of Guel 2023, sec. 2.1.6.
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
