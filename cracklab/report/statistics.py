"""How sure a comparison of runs is: intervals, tests, ranks, and a plain sentence.

A table of scores has a row per block and a column per method. A block is what methods share: fold, seed, net, and the
test images; only scores of one block are paired. The index has two levels: the cluster (the fold, or whatever else a
block has beside the seed) and the seed. Rows of one cluster share data, so they are resampled together; a table of one
cluster is resampled by seed.
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
"""Resamples held in memory at once."""


@dataclass(frozen=True)
class Quantity:
    """What is compared, and how its differences are written: `name` in `unit`s, after multiplying by `factor`."""

    name: str
    better: Better = "higher"
    unit: str = ""
    factor: float = 1.0

    def goodness(self, values: Floats) -> Floats:
        """The values, changed so that more is better."""
        return {"higher": values, "lower": -values, "one": -np.abs(values - 1)}[self.better]

    def text(self, value: float) -> str:
        """A difference, without its unit: one decimal where it has a unit, else three, and two digits of a small one."""
        scaled = value * self.factor
        decimals = 1 if self.unit else 3
        return f"{scaled:.{decimals}f}" if abs(scaled) >= 10.0**-decimals or not scaled else f"{scaled:.2g}"

    def amount(self, value: float) -> str:
        """A difference in words: `1.2 IoU points`, `0.3 px HD95`."""
        words = (
            [self.text(value), self.name, self.unit]
            if self.unit == "points"
            else [self.text(value), self.unit, self.name]
        )
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval, which is NaN to NaN where fewer than two clusters were resampled."""

    value: float
    low: float
    high: float
    clusters: int


def bootstrap_interval(columns: Sequence[Floats], clusters: Sequence[Any], statistic: Callable[..., Any]) -> Interval:
    """A statistic of sums, with its bootstrap interval over whole clusters.

    The percentile interval of few clusters is too narrow, since resampling them underestimates the variance by
    (n - 1) / n and since it uses the normal's quantile: its level is expanded to 1 - 2 Phi(-sqrt(n / (n - 1)) t), with
    Student's t of n - 1 degrees of freedom. Below six clusters that is nearly their whole range, which holds the truth
    with probability 1 - 2^(1 - n) at most (`coverage_at_most`).

    Args:
        columns: numbers to be added up, each (N,).
        clusters: to which cluster each of the N belongs.
        statistic: from the sums, one per column (each a number or an array), to the value.

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
    """The mean of some values with its bootstrap interval over clusters."""
    return bootstrap_interval([values, np.ones(len(values))], clusters, lambda total, number: total / number)


def coverage_at_most(clusters: int) -> float:
    """The probability that the range of n independent values holds the median they are drawn around: 1 - 2^(1 - n)."""
    return 1 - 2.0 ** (1 - clusters)


def clusters_of(scores: pd.DataFrame) -> list[Any]:
    """What the rows of a table of scores are resampled by: the cluster, or the seed where there is one cluster only."""
    several = scores.index.get_level_values(0).nunique() > 1
    return list(scores.index.get_level_values(0 if several else 1))


@dataclass(frozen=True)
class Comparison:
    """Two methods over the blocks that both have; differences are positive where `first`, the better mean, is better."""

    first: str
    second: str
    pairs: int
    difference: Interval
    p: float
    """Of the Wilcoxon signed-rank test, two-sided; zeros are split between both sides (Demsar 2006)."""
    p_holm: float
    """The same after Holm's correction for all comparisons of the table."""
    family: int
    """How many comparisons that are."""
    rank_biserial: float
    """Effect size, (W+ - W-) / (W+ + W-) of the signed ranks: 1 where `first` is always better (Kerby 2014)."""
    superiority: float
    """Probability of superiority: share of the pairs in which `first` is better, a tie counting half."""
    seed_noise: float | None
    """Standard deviation over seeds within a cluster, of both methods; None with one seed."""
    design: str
    """What the pairs are, `5 folds x 3 seeds`."""

    @property
    def significant(self) -> bool:
        """Whether these runs show a difference: Holm's p below 0.05, and an interval without 0."""
        return self.p_holm < ALPHA and self.difference.low > 0


def compare(scores: pd.DataFrame, quantity: Quantity) -> list[Comparison]:
    """Compare every pair of methods over the blocks that both have.

    Args:
        scores: index (cluster, seed), columns methods; NaN where a run is missing.
        quantity: what the scores are.

    Returns:
        A comparison for every pair with a common block, in the order of the columns.
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
    gain = np.round(good[:, 0] - good[:, 1], 12)  # rounding errors are no ranks
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
    """Standard deviation over seeds within a cluster, pooled over clusters and methods; None with one seed each."""
    groups = scores.groupby(level=0)
    freedom = (groups.count() - 1).clip(lower=0).to_numpy().sum()
    if not freedom:
        return None
    squares = ((scores - groups.transform("mean")) ** 2).to_numpy(float)
    return math.sqrt(float(np.nansum(squares)) / freedom)


def design(scores: pd.DataFrame) -> str:
    """What the rows of a table are: `5 folds x 3 seeds`, or their number where not every cluster has every seed."""
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
    """The least number of pairs with which a signed-rank test among `family` comparisons can reach 0.05 after Holm."""
    return math.floor(math.log2(family / ALPHA)) + 2


def sentence(one: Comparison, quantity: Quantity) -> str:
    """A comparison in plain words."""
    by, inside = quantity.amount(one.difference.value), f"{interval_text(one.difference, quantity)}, n = {one.design}"
    if one.significant:
        return f"{one.first} beats {one.second} by {by} ({inside})"
    noise = (
        f"; seed noise {quantity.text(one.seed_noise)} {quantity.unit}".rstrip() if one.seed_noise is not None else ""
    )
    needed = least_pairs(one.family)
    few = f"; too few pairs for a test, {needed} are needed" if one.pairs < needed else ""
    return (
        f"{one.first} and {one.second}: no difference that these runs can show "
        f"({by} in favour of {one.first}, {inside}{noise}{few})"
    )


def interval_text(one: Interval, quantity: Quantity) -> str:
    """The ends of an interval; those of fewer than five clusters are called what they are, nearly the whole range."""
    if math.isnan(one.low):
        return "no interval"
    kind = "95 % interval" if one.clusters >= 5 else "whole range"
    return f"{kind} {quantity.text(one.low)} to {quantity.text(one.high)}"


@dataclass(frozen=True)
class Ranks:
    """Average ranks of methods over the blocks that all of them have; rank 1 is the best, ties share."""

    average: dict[str, float]
    """By method, best first."""
    blocks: int
    critical_difference: float
    """Two average ranks that are further apart differ, Nemenyi test at 0.05."""
    p_friedman: float | None
    """That all methods rank alike; None for two methods."""


def average_ranks(scores: pd.DataFrame, quantity: Quantity) -> Ranks | None:
    """Average ranks with the critical difference; None without two methods and a block that all have.

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
    """Nemenyi's critical difference of average ranks at 0.05, q sqrt(k (k + 1) / (6 N)); Demsar 2006, sec. 3.2.2."""
    q = float(stats.studentized_range.ppf(1 - ALPHA, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * blocks))


def firsts(scores: pd.DataFrame, quantity: Quantity) -> dict[str, float]:
    """In how many rows each method is the best, of those that all methods have; a tie is shared.

    Over blocks these are wins; over epochs, divided by their number, the superiority of Guel 2023, sec. 2.1.6.
    """
    good = quantity.goodness(scores.dropna().to_numpy(float))
    best = good == good.max(axis=1, keepdims=True) if len(good) else np.zeros((1, scores.shape[1]), bool)
    shares = (best / np.maximum(best.sum(1, keepdims=True), 1)).sum(0)
    return {str(name): float(share) for name, share in zip(scores.columns, shares, strict=True)}


def epochs_to(values: Floats, epochs: Sequence[int], target: float, quantity: Quantity) -> int | None:
    """Epochs trained until a score first reached a target; None if it never did. NaN is an epoch without a score.

    Args:
        values: of a run's epochs.
        epochs: their numbers, from 0.
        target: in the score's own scale.
        quantity: what the score is.
    """
    reached = np.flatnonzero(quantity.goodness(values) >= quantity.goodness(np.array(target)))
    return int(epochs[int(reached[0])]) + 1 if len(reached) else None
