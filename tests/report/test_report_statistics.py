"""Statistics of runs against published examples, closed forms and independent computations."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cracklab.report.sentences import sentence
from cracklab.report.statistics import (
    Interval,
    Quantity,
    average_ranks,
    bootstrap_interval,
    compare,
    coverage_at_most,
    critical_difference,
    design,
    epochs_to,
    firsts,
    least_pairs,
    mean_interval,
    seed_noise,
)

IOU = Quantity("IoU", "higher", "points", 100)
HD95 = Quantity("HD95", "lower", "px")
PIECES = Quantity("pieces per crack", "one")

# Demsar 2006, Table 6: AUC of C4.5, with m tuned, with cf tuned, with both, on 14 datasets (one rank apart where he prints a tie)
DEMSAR = pd.DataFrame(
    [
        (0.763, 0.768, 0.771, 0.798), (0.599, 0.591, 0.590, 0.569), (0.954, 0.971, 0.968, 0.967), (0.628, 0.661, 0.654, 0.657),
        (0.882, 0.888, 0.886, 0.898), (0.936, 0.931, 0.916, 0.931), (0.661, 0.668, 0.609, 0.685), (0.583, 0.583, 0.563, 0.625),
        (0.775, 0.838, 0.866, 0.875), (1.000, 1.000, 1.000, 1.000), (0.940, 0.962, 0.965, 0.962), (0.619, 0.666, 0.614, 0.669),
        (0.972, 0.981, 0.9751, 0.975), (0.957, 0.978, 0.946, 0.970),
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
    index=pd.MultiIndex.from_product([range(14), [0]], names=["dataset", "seed"]),
)  # fmt: skip


def table(values: dict[str, list[float]], folds: int, seeds: int = 1) -> pd.DataFrame:
    return pd.DataFrame(values, index=pd.MultiIndex.from_product([range(folds), range(seeds)], names=["fold", "seed"]))


def test_average_ranks_and_friedman_are_those_of_demsar():
    ranks = average_ranks(DEMSAR, IOU)
    printed = {"C4.5+m+cf": 1.964, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5": 3.143}
    assert list(ranks.average) == list(printed)
    assert ranks.average == pytest.approx(printed, abs=5e-4)
    assert ranks.critical_difference == pytest.approx(1.25, abs=5e-3)
    k, n = 4, 14  # his chi2 of 9.28 is not corrected for ties, SciPy's is: sum of t^3 - t over tied ranks
    ties = 60 + 3 * 6
    assert ranks.p_friedman == pytest.approx(stats.chi2.sf(9.28 / (1 - ties / (n * (k**3 - k))), k - 1), rel=5e-3)


@pytest.mark.parametrize(
    ("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (10, 3.164)]
)
def test_critical_difference_has_the_published_quantiles(methods, q):
    assert critical_difference(methods, 10) == pytest.approx(q * math.sqrt(methods * (methods + 1) / 60), rel=5e-4)


def test_signed_ranks_are_those_of_demsar():
    (one,) = compare(DEMSAR[["C4.5", "C4.5+m"]], IOU)  # Table 2: R+ = 93, R- = 12
    assert (one.first, one.second, one.pairs) == ("C4.5+m", "C4.5", 14)
    assert one.rank_biserial == pytest.approx((93 - 12) / 105)
    assert one.superiority == pytest.approx((10 + 0.5 * 2) / 14)
    assert one.p < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_p_is_that_of_all_sign_flips(seed):
    gain = np.random.default_rng(seed).normal(0.4, 1, 9)
    (one,) = compare(table({"a": list(gain), "b": [0.0] * 9}, 9), IOU)
    ranks = stats.rankdata(abs(gain))
    sums = np.array([(ranks * signs).sum() for signs in product((-1, 1), repeat=9)])
    assert one.p == pytest.approx((abs(sums) >= abs((ranks * np.sign(gain)).sum()) - 1e-9).mean())


def test_p_with_zeros_and_ties_is_that_of_all_sign_flips():
    gain = np.array([1.0, 2, 3, 3, 5, -6, 0, 0])
    (one,) = compare(table({"a": list(gain), "b": [0.0] * 8}, 8), IOU)
    ranks = stats.rankdata(abs(gain))
    signed = ranks * np.sign(gain)
    sums = np.array([(abs(signed) * signs).sum() for signs in product((-1, 1), repeat=8)])
    assert one.p == pytest.approx((abs(sums) >= abs(signed.sum()) - 1e-9).mean())


def test_holm_steps_down_from_the_smallest_p():
    base = np.arange(8) / 7
    scores = table({"a": list(base), "b": list(base + 0.1), "c": list(base + 0.3 * (base - 0.4))}, 8)
    found = compare(scores, IOU)
    raw = np.array([one.p for one in found])
    order = raw.argsort()
    steps = np.maximum.accumulate(raw[order] * np.array([3, 2, 1])).clip(max=1)
    assert [found[i].p_holm for i in order] == pytest.approx(list(steps))
    assert {one.family for one in found} == {3}
    assert len(set(raw)) == 3


def test_no_test_of_five_pairs_can_show_a_difference():
    (five,) = compare(table({"a": [0.9] * 5, "b": [0.1, 0.2, 0.3, 0.25, 0.15]}, 5), IOU)
    (six,) = compare(table({"a": [0.9] * 6, "b": [0.1, 0.2, 0.3, 0.25, 0.15, 0.22]}, 6), IOU)
    assert (five.p, six.p) == (2 * 0.5**5, 2 * 0.5**6)
    assert not five.significant
    assert six.significant
    assert "too few pairs for a test, at least 6 are needed" in sentence(five, IOU)
    assert [least_pairs(m) for m in (1, 3, 15)] == [6, 7, 10]
    assert all(m * 2 * 0.5 ** least_pairs(m) < 0.05 <= m * 2 * 0.5 ** (least_pairs(m) - 1) for m in range(1, 50))


def test_the_interval_of_a_large_normal_sample_is_nearly_students():
    values = np.random.default_rng(1).normal(5, 2, 40)
    found = mean_interval(values, range(40))
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.12 * (high - low))


def test_an_interval_of_few_clusters_is_wider_than_the_plain_percentile_and_within_the_range():
    values = np.array([1.0, 2, 4, 7, 11])
    found = mean_interval(values, range(5))
    plain = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    assert 1 <= found.low < plain.low
    assert plain.high < found.high <= 11
    assert coverage_at_most(5) == 1 - 2 / 2**5


def test_intervals_have_their_nominal_coverage():
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(120):
        fold, seed = rng.normal(0, 1, 8).repeat(3), rng.normal(0, 0.5, 24)
        found = mean_interval(fold + seed, np.arange(8).repeat(3))
        hits.append(found.low <= 0 <= found.high)
    assert 0.90 <= np.mean(hits) <= 1  # 0.84 if rows are treated as independent


def test_clusters_are_resampled_whole():
    values = np.array([0.0, 1, 2, 3, 4, 5])
    one_each, thrice = (mean_interval(np.repeat(values, k), np.repeat(range(6), k)) for k in (1, 3))
    assert (one_each.low, one_each.high, one_each.clusters) == (thrice.low, thrice.high, 6)
    assert one_each == thrice


def test_a_ratio_is_resampled_by_its_sums():
    tp, union = np.array([50.0, 2, 30, 9, 40, 3]), np.array([60.0, 20, 35, 30, 45, 10])
    found = bootstrap_interval([tp, union], list("abcdef"), lambda hits, of: hits / of)
    assert found.value == tp.sum() / union.sum()
    assert (tp / union).min() < found.low < found.value < found.high < (tp / union).max()


def test_one_cluster_has_no_interval():
    (one,) = compare(table({"a": [0.7], "b": [0.6]}, 1), IOU)
    assert math.isnan(one.difference.low)
    assert not one.significant
    assert "no interval, n = 1 seed" in sentence(one, IOU)


def test_seeds_are_the_clusters_if_there_is_one_fold():
    (one,) = compare(table({"a": [0.7, 0.71, 0.72], "b": [0.6, 0.65, 0.61]}, 1, 3), IOU)
    assert one.difference.clusters == 3
    assert one.design == "3 seeds"
    assert "whole range" in sentence(one, IOU)  # contains the truth with probability 3/4 only


def test_seed_noise_is_the_pooled_standard_deviation():
    scores = table({"a": [1.0, 3, 10, 14], "b": [5.0, 5, 7, np.nan]}, 2, 2)
    assert seed_noise(scores) == pytest.approx(math.sqrt((2 + 8 + 0) / 3))
    assert seed_noise(table({"a": [1.0, 2]}, 2)) is None


def test_a_block_that_one_method_lacks_is_left_out():
    scores = table({"a": [0.5, 0.6, 0.7, 0.9], "b": [0.4, 0.5, np.nan, 0.8], "c": [np.nan] * 4}, 4)
    (one,) = compare(scores, IOU)
    assert (one.pairs, one.design) == (3, "3 folds")
    assert one.difference.value == pytest.approx(0.1)


@pytest.mark.parametrize(("quantity", "winner"), [(IOU, "b"), (HD95, "a"), (PIECES, "b")])
def test_the_better_one_comes_first(quantity, winner):
    scores = table({"a": [0.2, 0.3, 0.4], "b": [1.1, 0.8, 1.2]}, 3)
    (one,) = compare(scores, quantity)
    assert one.first == winner == next(iter(average_ranks(scores, quantity).average))
    assert one.difference.value > 0
    assert one.superiority == 1
    assert firsts(scores, quantity)[winner] == 3


def test_wins_are_shared_among_ties():
    scores = table({"a": [3.0, 1, 2, np.nan], "b": [1.0, 1, 3, 9], "c": [2.0, 1, 3, 9]}, 4)
    assert firsts(scores, IOU) == pytest.approx({"a": 1 + 1 / 3, "b": 1 / 3 + 0.5, "c": 1 / 3 + 0.5})
    assert sum(firsts(scores, IOU).values()) == 3


def test_epochs_to_a_target_count_from_one():
    values = np.array([0.1, np.nan, 0.5, 0.4, 0.6])
    assert epochs_to(values, range(5), 0.5, IOU) == 3
    assert epochs_to(values, range(5), 0.7, IOU) is None
    assert epochs_to(values, range(5), 0.1, HD95) == 1
    assert epochs_to(values, [4, 9, 14, 19, 24], 0.45, IOU) == 15


def test_a_design_is_described_by_its_counts():
    full = table({"a": [0.0] * 6}, 2, 3)
    assert design(full) == "2 folds x 3 seeds"
    assert design(full.iloc[:5]) == "5 runs over 2 folds"
    assert design(full.iloc[::3]) == "2 folds"
    assert design(full.rename_axis(index=["encoder x fold", "seed"])) == "2 settings of encoder x fold x 3 seeds"


def test_a_sentence_states_verdict_difference_interval_and_design():
    rng = np.random.default_rng(0)
    base = rng.normal(0.7, 0.02, 15)
    scores = table({"dice": list(base), "hybrid": list(base + rng.normal(0.012, 0.004, 15))}, 5, 3)
    (one,) = compare(scores, IOU)
    assert one.significant
    assert sentence(one, IOU).startswith("hybrid beats dice by 1.")
    assert sentence(one, IOU).endswith("n = 5 folds x 3 seeds)")
    less = replace(one, p_holm=0.2, seed_noise=0.011)
    assert sentence(less, IOU).startswith("hybrid and dice: these runs show no difference (")
    assert "seed noise 1.1 points" in sentence(less, IOU)
    assert "favour of hybrid" in sentence(less, IOU)
    assert "1.2 px HD95 in favour" in sentence(replace(less, difference=Interval(1.2, -1, 2, 5)), HD95)


def test_equal_scores_show_no_difference():
    (one,) = compare(table({"a": [0.5] * 7, "b": [0.5] * 7}, 7), IOU)
    assert (one.p, one.rank_biserial, one.superiority, one.difference.value) == (1, 0, 0.5, 0)
    assert not one.significant
    assert average_ranks(table({"a": [0.5] * 3, "b": [0.5] * 3, "c": [0.5] * 3}, 3), IOU).p_friedman is None
