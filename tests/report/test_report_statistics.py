"""Statistics of runs against published examples, closed forms and independent computations."""

import math
import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from replicated_scores import Design, Noise, draw
from scipy import stats

from cracklab.replication import Interval, Replication, are_equal, mean_interval, p_value, standard_error
from cracklab.report.blocks import Blocks
from cracklab.report.comparison import compare, holm, required_effect
from cracklab.report.sentences import sentence
from cracklab.report.statistics import (
    Quantity,
    average_ranks,
    critical_difference,
    epochs_to,
    firsts,
    jackknife_interval,
)

IOU = Quantity("IoU", "higher", "points", 100)
HD95 = Quantity("HD95", "lower", "px")

# Demsar 2006, Table 6: AUC of C4.5, with m tuned, with cf tuned, with both, on 14 datasets (one rank apart where he prints a tie)
DEMSAR = pd.DataFrame(
    [
        (0.763, 0.768, 0.771, 0.798), (0.599, 0.591, 0.590, 0.569), (0.954, 0.971, 0.968, 0.967), (0.628, 0.661, 0.654, 0.657),
        (0.882, 0.888, 0.886, 0.898), (0.936, 0.931, 0.916, 0.931), (0.661, 0.668, 0.609, 0.685), (0.583, 0.583, 0.563, 0.625),
        (0.775, 0.838, 0.866, 0.875), (1.000, 1.000, 1.000, 1.000), (0.940, 0.962, 0.965, 0.962), (0.619, 0.666, 0.614, 0.669),
        (0.972, 0.981, 0.9751, 0.975), (0.957, 0.978, 0.946, 0.970),
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
    index=pd.Index(range(14), name="seed"),  # data sets are independent, as seeds are
)  # fmt: skip


def table(values: dict[str, list[float]], folds: int, seeds: int = 1) -> pd.DataFrame:
    return pd.DataFrame(values, index=pd.MultiIndex.from_product([range(folds), range(seeds)], names=["fold", "seed"]))


def comparisons(scores: pd.DataFrame, quantity: Quantity = IOU, pairs=None, family=None):
    pairs = pairs or list(combinations(scores.columns, 2))
    return compare(scores, Blocks(scores.index), quantity, pairs, family)


def replication(scores: pd.DataFrame) -> Replication:
    return Blocks(scores.index).replication


def design(scores: pd.DataFrame) -> str:
    return Blocks(scores.index).design(np.full(len(scores), True))


def seed_noise(scores: pd.DataFrame) -> float | None:
    return Blocks(scores.index).seed_noise(scores.to_numpy(float))


def test_seeds_and_nets_of_a_fold_are_one_unit():
    labels = {"repeats": [0] * 8, "folds": [0, 0, 0, 0, 1, 1, 1, 1], "seeds": [1, 2] * 4}
    found = Replication.of(**labels)
    assert (found.unit, found.overlap) == ("fold", 1)  # two folds: one half tests, one half trains
    assert found.means(np.array([1.0, 2, 3, 4, 5, 6, 7, np.nan])).tolist() == [2.5, 6.0]


def test_folds_of_repeats_are_units_with_the_ratio_of_one_division():
    folds, repeats = list(range(5)) * 3, [0] * 5 + [1] * 5 + [2] * 5
    found = Replication.of(repeats, folds, [0] * 15)
    assert (found.unit, len(set(found.unit_of)), found.overlap) == ("fold", 15, 1 / 4)


def test_runs_on_one_split_have_the_seed_as_unit():
    found = Replication.of([0] * 6, [0] * 6, [1, 2, 3] * 2)  # two nets with three seeds each
    assert (found.unit, len(set(found.unit_of)), found.overlap) == ("seed", 3, 0)


def test_the_ratio_of_splits_that_are_not_folds_comes_from_their_test_images():
    tests = [("a", "b"), ("c", "d"), ("d", "e")]
    found = Replication.of([0, 1, 2], [0] * 3, [0] * 3, tests)
    assert (found.unit, found.overlap) == ("split", 2 / 3)  # 2 of 5 images test
    assert Replication.of([0, 1, 2], [0] * 3, [0] * 3, [("a", "b")] * 3).overlap == 0  # one test set: like seeds
    assert Replication.of([0, 1, 2], [0] * 3, [0] * 3).overlap == 1  # unknown
    assert Replication.of([0, 0, 1, 1], [0] * 4, [5, 6, 5, 6]).unit_of.tolist() == [0, 0, 1, 1]  # seeds are averaged
    unequal = [("a", "b"), ("a", "b"), ("c", "d", "e", "f")]
    assert Replication.of([0, 0, 1], [0] * 3, [5, 6, 5], unequal).overlap == 1  # of 6 images, 2 and 4 test


def test_the_corrected_t_test_adds_the_ratio_of_test_to_training_images():
    units = np.array([0.8, 1.1, 0.2, 0.9, 0.6])
    t = units.mean() / math.sqrt((1 / 5 + 1 / 4) * units.var(ddof=1))  # Nadeau and Bengio 2003 for five folds
    assert p_value(units, 0.25) == pytest.approx(2 * stats.t.sf(t, 4))
    assert p_value(units, 0.0) == pytest.approx(stats.ttest_1samp(units, 0).pvalue)
    found = mean_interval(units, 0.0)
    assert (found.low, found.high) == pytest.approx(stats.ttest_1samp(units, 0).confidence_interval(0.95))
    wide = mean_interval(units, 0.25)
    assert (wide.high - wide.low) / (found.high - found.low) == pytest.approx(1.5)  # sqrt(0.45 / 0.2)


@pytest.mark.parametrize(
    ("repeats", "training", "least", "most"),
    [
        (1, 1, 1.0, 1.12),
        (1, 0, 1.42, 1.58),
        (10, 0, 1.0, 1.1),
    ],  # once: sqrt(0.45 / 0.4), sqrt(0.45 / 0.2); ten times: 1.05
)
def test_the_standard_error_covers_test_photos_and_without_repeats_training_photos(repeats, training, least, most):
    """Five folds of 100 photos; the influence of a training photo is none, or that of a test photo."""
    noise = Noise(seed=0, photo=1, training=training)
    runs = draw(np.random.default_rng(0), 2000, 1, Design(5, repeats), noise).reshape(2000, -1)
    assert least < np.sqrt((standard_error(runs, 1 / 4) ** 2).mean()) / runs.mean(1).std() < most


def test_one_unit_and_equal_units_give_no_test():
    for units in ([0.5], [0.5, 0.5, 0.5]):
        found = mean_interval(np.array(units), 0.0)
        assert found.value == 0.5
        assert math.isnan(found.low)
        assert math.isnan(p_value(np.array(units), 0.0))


@pytest.mark.parametrize(
    ("methods", "made", "noise"),
    [
        (6, Design(5, 1, 3), Noise(seed=1, fold=1)),  # 22 % with a test over runs
        (6, Design(5, 1, 3), Noise(seed=0.3, fold=1)),  # 50 %
        (5, Design(5, 1, 5), Noise(seed=0.5, fold=1)),  # 59 %
        (2, Design(5, 10), Noise(photo=1)),  # 43 % with every fold of every repeat as independent
        (2, Design(5, 1, 1, 4), Noise(fold=1)),  # 23 % with every net as a fold
        (2, Design(1, 1, 5), Noise()),
        (6, Design(1, 1, 10), Noise()),
    ],
)
def test_null_tables_have_a_false_verdict_in_at_most_5_percent(methods, made, noise):
    rng, tables = np.random.default_rng(1), 200
    false = 0
    for runs in draw(rng, tables, methods, made, noise):
        found = comparisons(pd.DataFrame(runs.reshape(methods, -1).T, index=made.index))
        false += any(one.significant for one in found)
    assert false / tables <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / tables)  # 9.6 %, below all the values above


@pytest.mark.parametrize(
    ("made", "noise", "least", "most"),
    [
        (Design(1, 1, 5), Noise(), 0.93, 0.97),
        (Design(5, 1, 3), Noise(photo=3, training=3), 0.93, 0.975),
        (Design(5, 10), Noise(seed=0.3, photo=3), 0.93, 0.98),
        (Design(5, 1, 3), Noise(fold=1), 0.975, 0.995),  # conservative: photos that train do not matter here
    ],
)
def test_intervals_have_their_nominal_coverage(made, noise, least, most):
    runs = draw(np.random.default_rng(2), 2000, 1, made, noise).reshape(2000, -1)
    units = Blocks(made.index).replication
    found = [mean_interval(units.means(row), units.overlap) for row in runs]
    assert least <= np.mean([one.low <= 0 <= one.high for one in found]) <= most


def test_simultaneous_intervals_hold_together():
    rng, held = np.random.default_rng(3), 0
    for runs in draw(rng, 300, 4, Design(1, 1, 6), Noise()):
        scores = pd.DataFrame(runs.reshape(4, -1).T, index=Design(1, 1, 6).index)
        held += all(one.difference.low <= 0 <= one.difference.high for one in comparisons(scores))
    assert held / 300 >= 0.92  # 0.85 with an interval of 95 % for each pair


def test_a_clear_difference_is_shown():
    made = Design(10, 1, 2)
    runs = draw(np.random.default_rng(4), 50, 3, made, Noise(fold=0.5))
    runs[:, 0] += 4
    verdicts = [
        [one.significant for one in comparisons(pd.DataFrame(table.reshape(3, -1).T, index=made.index))]
        for table in runs
    ]
    assert np.mean(verdicts, axis=0)[:2].min() > 0.9
    assert np.mean(verdicts, axis=0)[2] < 0.1


def test_the_required_effect_is_where_a_verdict_turns():
    made = np.array([0.3, -1.2, 0.8, 0.4, -0.3])
    made = (made - made.mean()) / made.std(ddof=1)
    for factor, shown in ((0.999, False), (1.001, True)):
        gain = made + factor * required_effect(units=5, overlap=0.25, family=1)
        (one,) = comparisons(table({"a": list(gain), "b": [0.0] * 5}, 5))
        assert one.std == pytest.approx(1)
        assert one.significant == shown


def test_average_ranks_and_friedman_are_those_of_demsar():
    ranks = average_ranks(DEMSAR, replication(DEMSAR), IOU)
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


def test_ranks_and_wins_are_over_folds_and_count_what_is_independent():
    rng = np.random.default_rng(6)
    scores = table({name: list(rng.normal(size=15)) for name in "abc"}, 5, 3)
    found = average_ranks(scores, replication(scores), IOU)
    folds = scores.groupby(level="fold").mean()
    assert found.average == pytest.approx(folds.rank(axis=1, ascending=False).mean().to_dict())
    assert found.wins == {name: (folds.idxmax(axis=1) == name).sum() for name in "abc"}
    assert (found.units, found.independent) == (5, pytest.approx(1 / (1 / 5 + 1 / 4)))
    assert found.critical_difference == critical_difference(3, found.independent)
    chi2 = stats.friedmanchisquare(*folds.to_numpy().T).statistic * found.independent / 5
    assert found.p_friedman == pytest.approx(stats.chi2.sf(chi2, 2))


def test_ranks_are_over_blocks_that_all_methods_have_and_ignore_rounding_errors():
    scores = table(
        {"a": [0.1 + 0.2, 0.1 + 0.2, 0.9, 0.8], "b": [0.3, 0.3, 0.7, 0.9], "c": [0.1, 0.1, np.nan, 0.1]}, 2, 2
    )
    found = average_ranks(
        scores, replication(scores), IOU
    )  # a and b tie in the first fold, b is best in what is left of the second
    assert found.average == {"b": 1.25, "a": 1.75, "c": 3}
    assert found.wins == {"a": 0.5, "b": 1.5, "c": 0}


def test_friedman_and_nemenyi_are_rarely_wrong_on_null_tables():
    made, wrong = Design(5, 1, 3), np.zeros(2)
    for runs in draw(np.random.default_rng(7), 200, 5, made, Noise(fold=1)):
        scores = pd.DataFrame(runs.reshape(5, -1).T, index=made.index)
        found = average_ranks(scores, replication(scores), IOU)
        spread = max(found.average.values()) - min(found.average.values())
        wrong += found.p_friedman < 0.05, spread > found.critical_difference
    assert wrong.max() / 200 <= 0.05  # 31 % and 28 % with every run as a block


def test_signed_ranks_are_those_of_demsar():
    (one,) = comparisons(DEMSAR[["C4.5", "C4.5+m"]])  # Table 2: R+ = 93, R- = 12
    assert (one.first, one.second, one.pairs) == ("C4.5+m", "C4.5", 14)
    assert one.rank_biserial == pytest.approx((93 - 12) / 105)
    assert (
        stats.wilcoxon(DEMSAR["C4.5"], DEMSAR["C4.5+m"], zero_method="zsplit").statistic == 12
    )  # two of the 14 are zero
    assert one.superiority == pytest.approx((10 + 0.5 * 2) / 14)
    assert one.p == pytest.approx(stats.ttest_rel(DEMSAR["C4.5+m"], DEMSAR["C4.5"]).pvalue)


def test_holm_steps_down_from_the_smallest_p():
    rng = np.random.default_rng(8)
    scores = table({"a": list(rng.normal(0, 1, 8)), "b": list(rng.normal(2, 1, 8)), "c": list(rng.normal(5, 1, 8))}, 8)
    found = comparisons(scores)
    raw = np.array([one.p for one in found])
    order = raw.argsort()
    steps = np.maximum.accumulate(raw[order] * np.array([3, 2, 1])).clip(max=1)
    assert [found[i].p_holm for i in order] == pytest.approx(list(steps))
    assert {one.family for one in found} == {3}
    assert len(set(raw)) == 3


def test_holm_is_at_most_1_and_counts_comparisons_without_a_test():
    np.testing.assert_allclose(
        holm(np.array([0.04, np.nan, 0.01])), [0.08, np.nan, 0.03]
    )  # p.adjust(c(0.01, 0.04), n = 3) in R
    assert holm(np.array([0.6, 0.7, np.nan])).tolist()[:2] == [1, 1]


def test_comparisons_over_folds_have_the_corrected_test_and_interval():
    rng = np.random.default_rng(12)
    scores = table({name: list(rng.normal(size=15)) for name in "abc"}, 5, 3)
    for one in comparisons(scores):
        gain = (scores[one.first] - scores[one.second]).groupby(level="fold").mean()
        error = math.sqrt((1 / 5 + 1 / 4) * gain.var())  # Nadeau and Bengio 2003 for five folds
        assert one.p == pytest.approx(2 * stats.t.sf(gain.mean() / error, 4))
        limits = stats.t.interval(1 - 0.05 / 3, 4, gain.mean(), error)
        assert (one.difference.low, one.difference.high) == pytest.approx(limits)


def test_the_interval_of_one_of_three_comparisons_has_a_third_of_the_error():
    rng = np.random.default_rng(9)
    scores = table({name: list(rng.normal(size=6)) for name in "abc"}, 1, 6)
    for one in comparisons(scores):
        gain = scores[one.first] - scores[one.second]
        low, high = stats.t.interval(1 - 0.05 / 3, 5, gain.mean(), stats.sem(gain))
        assert (one.difference.low, one.difference.high) == pytest.approx((low, high))


def test_planned_comparisons_are_corrected_for_their_number_alone_run_or_not():
    rng = np.random.default_rng(13)
    scores = table({name: list(rng.normal(i, 1, 8)) for i, name in enumerate("abcd")}, 1, 8)
    (one,) = comparisons(scores, pairs=[("a", "c")])
    gain = scores[one.first] - scores[one.second]
    assert one.p == one.p_holm == pytest.approx(stats.ttest_1samp(gain, 0).pvalue)
    assert (one.difference.low, one.difference.high) == pytest.approx(stats.ttest_1samp(gain, 0).confidence_interval())
    scores["d"] = np.nan
    missing = comparisons(scores, pairs=[("a", "c"), ("a", "d")], family=2)
    assert [(found.first, found.family) for found in missing] == [(one.first, 2)]
    assert missing[0].p_holm == pytest.approx(2 * one.p)
    limits = stats.t.interval(1 - 0.05 / 2, 7, gain.mean(), stats.sem(gain))
    assert (missing[0].difference.low, missing[0].difference.high) == pytest.approx(limits)


def test_a_verdict_never_contradicts_its_interval():
    rng = np.random.default_rng(10)
    for runs in draw(rng, 100, 4, Design(1, 1, 5), Noise()) + np.arange(4)[:, None, None, None, None]:
        for one in comparisons(pd.DataFrame(runs.reshape(4, -1).T, index=Design(1, 1, 5).index)):
            assert one.significant == (one.difference.low > 0)
            assert not one.significant or one.p_holm < 0.05


def test_the_jackknife_of_a_mean_is_students_interval():
    values = np.random.default_rng(1).normal(5, 2, 40)
    found = jackknife_interval([values, np.ones(40)], range(40), lambda total, number: total / number)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 39, values.mean(), stats.sem(values)))
    assert found.units == 40
    two = values[:2]
    found = jackknife_interval([two, np.ones(2)], range(2), lambda total, number: total / number, level=0.99)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.99, 1, two.mean(), stats.sem(two)))


def test_the_jackknife_leaves_out_whole_groups():
    values = np.random.default_rng(2).normal(size=(12, 3))
    thrice = jackknife_interval(
        [values.ravel(), np.ones(36)], np.arange(12).repeat(3), lambda total, number: total / number
    )
    means = values.mean(1)
    assert (thrice.low, thrice.high) == pytest.approx(stats.t.interval(0.95, 11, means.mean(), stats.sem(means)))


def test_the_jackknife_of_a_ratio_of_sums_has_its_nominal_coverage():
    rng, held = np.random.default_rng(3), 0
    for _ in range(1000):
        union = rng.uniform(20, 100, 30)
        hits = union * np.clip(0.6 + rng.normal(0, 0.15, 30), 0, 1)
        found = jackknife_interval([hits, union], range(30), lambda part, whole: part / whole)
        held += found.low <= 0.6 <= found.high
    assert 0.93 <= held / 1000 <= 0.97


def test_one_cell_has_no_interval():
    (one,) = comparisons(table({"a": [0.7], "b": [0.6]}, 1))
    assert math.isnan(one.difference.low)
    assert math.isnan(one.p_holm)
    assert not one.significant
    assert sentence(one, IOU, Replication.of([0], [0], [0])) == (
        "a and b: no difference is shown (10.0 IoU points in favour of a, no interval, n = 1 run; one seed gives no test)"
    )


def test_seeds_are_the_units_if_there_is_one_fold():
    (one,) = comparisons(table({"a": [0.7, 0.71, 0.72], "b": [0.6, 0.65, 0.61]}, 1, 3))
    assert one.difference.units == 3
    assert one.design == "3 seeds"


def test_seed_noise_is_the_pooled_standard_deviation():
    scores = table({"a": [1.0, 3, 10, 14], "b": [5.0, 5, 7, np.nan]}, 2, 2)
    assert seed_noise(scores) == pytest.approx(
        math.sqrt((2 + 8 + 0) / 3)
    )  # squares about the means of folds, 3 degrees
    assert seed_noise(table({"a": [1.0, 2]}, 2)) is None
    (one,) = comparisons(table({"a": [1.0, 3, 10, 14], "b": [5.0, 5, 7, np.nan]}, 2, 2))
    assert one.seed_noise == 1  # sqrt((2 + 0) / 2): the block that b lacks is left out


def test_a_block_that_one_method_lacks_is_left_out():
    scores = table({"a": [0.5, 0.6, 0.7, 0.9], "b": [0.4, 0.5, np.nan, 0.75], "c": [np.nan] * 4}, 4)
    (one,) = comparisons(scores)
    assert (one.pairs, one.difference.units, one.design) == (3, 3, "3 folds")
    assert one.difference.value == pytest.approx((0.1 + 0.1 + 0.15) / 3)


@pytest.mark.parametrize(("quantity", "winner"), [(IOU, "b"), (HD95, "a")])
def test_the_better_one_comes_first(quantity, winner):
    scores = table({"a": [0.2, 0.3, 0.4], "b": [1.1, 0.8, 1.2]}, 3)
    (one,) = comparisons(scores, quantity)
    ranks = average_ranks(scores, replication(scores), quantity)
    assert one.first == winner == next(iter(ranks.average))
    assert one.difference.value > 0
    assert one.superiority == 1
    assert ranks.wins[winner] == firsts(scores, quantity)[winner] == 3


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
    assert design(full.iloc[:3]) == "3 seeds"
    assert design(full.iloc[:1]) == "1 run"
    assert design(pd.DataFrame(index=Design(5, 3, 2, 4).index)) == "3 repeats of 5 folds x 4 settings of net x 2 seeds"
    assert design(pd.DataFrame(index=Design(1, 3, 2).index)) == "3 splits x 2 seeds"


def test_a_sentence_states_verdict_difference_interval_and_design():
    rng = np.random.default_rng(0)
    base = rng.normal(0.7, 0.02, 15)
    scores = table({"dice": list(base), "hybrid": list(base + rng.normal(0.012, 0.004, 15))}, 5, 3)
    (one,) = comparisons(scores)
    units = replication(scores)
    assert one.significant
    assert sentence(one, IOU, units).startswith("hybrid beats dice by 1.")
    assert sentence(one, IOU, units).endswith("n = 5 folds x 3 seeds)")
    less = replace(one, p_holm=0.2, seed_noise=0.011)
    assert sentence(less, IOU, units).startswith("hybrid and dice: no difference is shown (")
    assert "seed noise 1.1 points" in sentence(less, IOU, units)
    assert "favour of hybrid" in sentence(less, IOU, units)
    assert "1.2 px HD95 in favour" in sentence(replace(less, difference=Interval(1.2, -1, 2, 5)), HD95, units)
    assert "(simultaneous 95 % interval" in sentence(replace(one, family=3), IOU, units)


def test_a_sentence_says_what_would_be_enough():
    gain = np.array([0.03, 0.0, 0.04, 0.01, 0.02]) + 0.008  # mean 0.028 is 1.77 standard deviations; 5 folds need 1.86
    scores = table({"a": list(0.5 + gain), "b": [0.5] * 5}, 5)
    (one,) = comparisons(scores)
    # two repeats need (2.262 + 0.883) sqrt(1/10 + 1/4) = 1.86, three (2.145 + 0.868) sqrt(1/15 + 1/4) = 1.70
    assert "3 repeats of the folds show it four times out of five" in sentence(one, IOU, replication(scores))
    scores["a"] -= (
        0.008  # 1.26 standard deviations, but no number of repeats needs less than (1.96 + 0.84) sqrt(1/4) = 1.4
    )
    (one,) = comparisons(scores)
    assert "10 repeats of the folds may not be enough" in sentence(one, IOU, replication(scores))


def test_the_number_of_seeds_that_is_suggested_shows_the_difference_four_times_out_of_five():
    rng, effect = np.random.default_rng(11), 1.0
    seeds = table({"a": [0.0, 1.0, 2.0], "b": [0.0] * 3}, 1, 3)  # 1 standard deviation
    (one,) = comparisons(seeds)
    number = int(re.search(r"(\d+) seeds show it", sentence(one, IOU, replication(seeds))).group(1))
    found = {
        n: np.mean(stats.ttest_1samp(rng.normal(effect, 1, (4000, n)), 0, axis=1).pvalue < 0.05) for n in (7, number)
    }
    assert found[number] >= 0.78
    assert found[7] < 0.65  # 7 seeds are the fewest that show a mean and a spread of exactly this size


def test_scores_that_differ_by_rounding_errors_alone_are_equal():
    scores = table({"a": [0.7] * 6}, 3, 2).iloc[:-1]
    third = Replication.of([0] * 7, [0, 0, 0, 1, 1, 2, 2], range(7)).means(np.full(7, 0.7))
    assert np.ptp(third) > 0  # 0.7 + 0.7 + 0.7 is not 3 x 0.7
    for units in (third, replication(scores).means(scores["a"].to_numpy())):
        assert math.isnan(mean_interval(units, 0.5).low)
        assert math.isnan(p_value(units, 0.5))
    assert are_equal(1e6 * third)
    assert not are_equal(np.array([1e-14, 2e-14]))
    (one,) = comparisons(table({"a": [0.1 + 0.2, 0.5, 0.6], "b": [0.3, 0.4, 0.4]}, 3))
    assert (one.superiority, one.rank_biserial) == pytest.approx(
        (2.5 / 3, 5 / 6)
    )  # a tie, and the signed ranks 2 and 3
    constant = jackknife_interval([np.full(9, 0.7), np.ones(9)], range(9), lambda total, number: total / number)
    assert math.isnan(constant.low)  # no spread is no certainty


def test_equal_scores_show_no_difference():
    (one,) = comparisons(table({"a": [0.5] * 7, "b": [0.5] * 7}, 7))
    assert sentence(one, IOU, replication(table({"a": [0.5] * 7}, 7))) == (
        "a and b: no difference is shown (0.0 IoU points, no interval, n = 7 folds; no test, because all differences are equal)"
    )
    assert (one.rank_biserial, one.superiority, one.difference.value) == (0, 0.5, 0)
    assert math.isnan(one.p)
    assert not one.significant
    equal = table({"a": [0.5] * 3, "b": [0.5] * 3, "c": [0.5] * 3}, 3)
    assert average_ranks(equal, replication(equal), IOU).p_friedman is None
