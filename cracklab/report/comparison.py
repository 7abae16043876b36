"""Comparisons of methods over independent units."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from cracklab.replication import ALPHA, Interval, mean_interval, p_value, t_quantile
from cracklab.report.blocks import Blocks
from cracklab.report.statistics import Floats, Quantity


@dataclass(frozen=True)
class Comparison:
    """A comparison of two methods over their common blocks; `first` has the better mean, positive differences favour it."""

    first: str
    second: str
    pairs: int
    """Number of common blocks."""
    difference: Interval
    """Mean over units; intervals of all comparisons of a table hold together with 95 % (Bonferroni)."""
    std: float | None
    """Standard deviation of the difference over units; None for one unit."""
    p: float
    """Two-sided p of the corrected t test over units; NaN without a test."""
    p_holm: float
    """p after Holm's correction for all comparisons of the table."""
    family: int
    """Number of comparisons of the table."""
    rank_biserial: float
    """Effect size, (W+ - W-) / (W+ + W-) of the signed ranks of units: 1 if `first` is always better (Kerby 2014). The rank of a
    unit without a difference is split between W+ and W- (Demsar 2006, sec. 3.1.3), as a tie of `superiority` counts half."""
    superiority: float
    """Probability of superiority: share of the units in which `first` is better; a tie counts half."""
    seed_noise: float | None
    """Standard deviation over seeds within a fold and setting, pooled over both methods; None with one seed."""
    design: str
    """Number of folds, settings and seeds, `5 folds x 3 seeds`."""

    @property
    def significant(self) -> bool:
        """Whether p after Holm is below 0.05 and the simultaneous interval excludes 0.

        The interval is the stricter of both from the second comparison on: a verdict never contradicts its interval.
        """
        return self.p_holm < ALPHA and self.difference.low > 0


def compare(
    scores: pd.DataFrame,
    blocks: Blocks,
    quantity: Quantity,
    pairs: Sequence[tuple[str, str]],
    family: int | None = None,
) -> list[Comparison]:
    """Compare pairs of methods over the blocks that both have.

    Args:
        scores: columns methods; NaN for a missing run.
        blocks: the rows.
        quantity: the quantity of the scores.
        pairs: the methods of each comparison.
        family: number of comparisons for which p and intervals are corrected; None: those with a common block.

    Returns:
        One comparison for every pair with a common block, in the order of the pairs.
    """
    good = {pair: quantity.goodness(scores[list(pair)].to_numpy(float)) for pair in pairs}
    good = {pair: values for pair, values in good.items() if not np.isnan(values).any(1).all()}
    family = family or len(good)
    found = [_compare(*pair, values, blocks, family) for pair, values in good.items()]
    corrected = holm(np.array([one.p for one in found] + [math.nan] * (family - len(found))))
    return [replace(one, p_holm=float(p)) for one, p in zip(found, corrected, strict=False)]


def holm(p: Floats) -> Floats:
    """Correct p-values for their number: the largest of (m - i) p_(i) up to each, in ascending order, at most 1.

    Args:
        p: (m,) p-values; NaN is a comparison without a test, which counts as not rejected and stays NaN.

    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()  # 3 x 0.01, then 2 x 0.03, which the largest cannot fall below
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)  # NaN last
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected


def _compare(first: str, second: str, good: Floats, blocks: Blocks, family: int) -> Comparison:
    """Compare two methods by goodness (rows, 2)."""
    gain = good[:, 0] - good[:, 1]
    units = np.round(blocks.replication.means(gain), 12)  # rounding errors must not get ranks
    if units.mean() < 0:
        first, second, units = second, first, -units
    ranks = stats.rankdata(np.abs(units))
    common = ~np.isnan(gain)
    overlap = blocks.replication.overlap
    return Comparison(
        first=first,
        second=second,
        pairs=int(common.sum()),
        difference=mean_interval(units, overlap, 1 - ALPHA / family),
        std=float(units.std(ddof=1)) if len(units) > 1 else None,
        p=p_value(units, overlap),
        p_holm=math.nan,
        family=family,
        rank_biserial=float((ranks * np.sign(units)).sum() / ranks.sum()),
        superiority=float(((units > 0) + 0.5 * (units == 0)).mean()),
        seed_noise=blocks.seed_noise(np.where(common[:, None], good, np.nan)),
        design=blocks.design(common),
    )


def required_effect(units: int, overlap: float, family: int, power: float = 0.5) -> float:
    """Return the mean difference that is shown with a probability, in standard deviations of the difference over units.

    With a power of 0.5, it is the smallest difference that counts as shown.

    >>> round(required_effect(units=5, overlap=0.25, family=1), 2)  # 2.776 sqrt(1 / 5 + 1 / 4)
    1.86
    >>> round(required_effect(units=5, overlap=0.25, family=1, power=0.8), 2)  # (2.776 + 0.941) sqrt(1 / 5 + 1 / 4)
    2.49
    """
    return (t_quantile(units, 1 - ALPHA / family) + t_quantile(units, 2 * power - 1)) * math.sqrt(1 / units + overlap)
