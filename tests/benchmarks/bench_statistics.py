"""Error rates of `A beats B` and coverage of intervals: `python tests/benchmarks/bench_statistics.py [TABLES [PART ...]]`.

Draws tables of scores in which no method is better (tests/report/replicated_scores.py) over a grid of designs and noise,
and tables in which one method is better for the power. Prints beside the rule of `cracklab report`:

- `before`: the rule up to version 0.1, Wilcoxon's test over all runs with Holm's correction and a bootstrap interval over
  folds of every repeat and net;
- `Holm alone`: the verdict of p after Holm, without the simultaneous interval;
- `none` and `half`: without the ratio of test to training images in the variance, and with half of it;
- `twice`: the ratio added once more for the test images that repeats share.
"""

import math
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special, stats

from cracklab.replication import ALPHA, Replication, standard_error, t_quantile
from cracklab.report.analysis import COMPARED
from cracklab.report.blocks import Blocks
from cracklab.report.comparison import compare
from cracklab.report.statistics import Quantity, average_ranks

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "report"))

from replicated_scores import Design, Floats, Noise, draw  # noqa: E402 - needs the path above

CHUNK = 250
"""Tables drawn at once."""
STRENGTHS = (0.3, 1.0, 3.0)
"""Standard deviations in seed noise."""
Rule = Callable[[Floats, Floats, Design], Floats]
"""From units (tables, methods, units) and runs (tables, methods, repeats, folds, nets, seeds) to verdicts (tables, pairs)."""


def replication(design: Design) -> Replication:
    """Return the units of a design."""
    return Blocks(design.index).replication


def twice_overlap(design: Design) -> float:
    """Return the ratio, and once more in the share 1 - 1 / R of pairs of units that are from different repeats."""
    return (2 - 1 / design.repeats) * replication(design).overlap


def chunks(rng: np.random.Generator, tables: int, methods: int, design: Design, noise: Noise) -> Iterator[Floats]:
    """Draw tables in chunks."""
    for first in range(0, tables, CHUNK):
        yield draw(rng, min(CHUNK, tables - first), methods, design, noise)


def generator(*cell: object) -> np.random.Generator:
    """Return a random generator of its own for every cell."""
    return np.random.default_rng(zlib.crc32(repr(cell).encode()))


def averaged(design: Design, noise: Noise) -> tuple[Design, Noise]:
    """Return a design of one run per unit and the noise with which its scores are distributed as the means of units."""
    runs = design.nets * (design.seeds if design.folds > 1 else 1)
    smaller = replace(design, nets=1, seeds=1 if design.folds > 1 else design.seeds)
    return smaller, replace(noise, seed=noise.seed / math.sqrt(runs), net=noise.net / math.sqrt(design.nets))


def best(runs: Floats) -> Floats:
    """Keep the COMPARED best methods, as a report does."""
    if runs.shape[1] <= COMPARED:
        return runs
    order = np.argsort(-runs.mean(axis=(2, 3, 4, 5)), axis=1)[:, :COMPARED]
    return np.take_along_axis(runs, order[:, :, None, None, None, None], axis=1)


def units_of(runs: Floats) -> Floats:
    """Average what is not independent: (tables, methods, units)."""
    if runs.shape[3] == 1:
        return runs.mean(axis=(2, 3, 4))
    return runs.mean(axis=(4, 5)).reshape(*runs.shape[:2], -1)


def pairs(values: Floats) -> Floats:
    """Return the differences of all pairs of methods, (tables, pairs, ...)."""
    first, second = np.array(list(combinations(range(values.shape[1]), 2))).T
    return values[:, first] - values[:, second]


def t_test(gain: Floats, overlap: float) -> tuple[Floats, Floats]:
    """Return t statistics and two-sided p over units."""
    t = gain.mean(-1) / standard_error(gain, overlap)
    return t, 2 * special.stdtr(gain.shape[-1] - 1, -abs(t))


def holm(p: Floats) -> Floats:
    """Return which comparisons of every table Holm's procedure rejects."""
    order = p.argsort(axis=1)
    steps = np.take_along_axis(p, order, 1) <= ALPHA / np.arange(p.shape[1], 0, -1)
    rejected = np.logical_and.accumulate(steps, axis=1)
    found = np.empty_like(rejected)
    np.put_along_axis(found, order, rejected, 1)
    return found


def now(units: Floats, runs: Floats, design: Design) -> Floats:
    """The rule of `cracklab report`: the simultaneous interval excludes 0, which implies that p after Holm is below 0.05."""
    t, _ = t_test(pairs(units), replication(design).overlap)
    return np.abs(t) > t_quantile(units.shape[-1], 1 - ALPHA / t.shape[1])


def holm_alone(units: Floats, runs: Floats, design: Design) -> Floats:
    """The same without the interval."""
    return holm(t_test(pairs(units), replication(design).overlap)[1])


def twice(units: Floats, runs: Floats, design: Design) -> Floats:
    """As `now`, with room for training photos that matter as much as test photos, in repeated folds too."""
    t, _ = t_test(pairs(units), twice_overlap(design))
    return np.abs(t) > t_quantile(units.shape[-1], 1 - ALPHA / t.shape[1])


def scaled(factor: float) -> Rule:
    """Return the rule `now` with this part of the ratio."""

    def rule(units: Floats, runs: Floats, design: Design) -> Floats:
        t, _ = t_test(pairs(units), factor * replication(design).overlap)
        return np.abs(t) > t_quantile(units.shape[-1], 1 - ALPHA / t.shape[1])

    return rule


def before(units: Floats, runs: Floats, design: Design) -> Floats:
    """Wilcoxon over runs with Holm, and the expanded percentile interval over folds of every repeat and net, or seeds."""
    gain = pairs(runs)
    rows = gain.reshape(*gain.shape[:2], -1)
    if rows.shape[-1] < 2:
        return np.zeros(rows.shape[:2], bool)
    shown = holm(stats.wilcoxon(rows, zero_method="zsplit", axis=-1).pvalue)
    single = design.folds * design.repeats * design.nets == 1
    clusters = rows if single else gain.mean(-1).reshape(*gain.shape[:2], -1)
    n = clusters.shape[-1]
    tail = stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf(1 - ALPHA / 2, n - 1))
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), 1999) / n
    low, high = np.quantile(clusters @ weights.T, (tail, 1 - tail), axis=-1)
    return shown & ((low > 0) | (high < 0))


def rates(
    rules: dict[str, Rule], tables: int, methods: int, design: Design, noise: Noise, better: float = 0.0, seed: int = 0
) -> dict[str, float]:
    """Return the share of null tables with a verdict, or with `better` the share of true differences with a right one."""
    rng = generator(seed, methods, design, noise, better)
    found = dict.fromkeys(rules, 0.0)
    for runs in chunks(rng, tables, methods, design, noise):
        runs[:, 0] += better
        chosen = runs if better else best(runs)
        units = units_of(chosen)
        for name, rule in rules.items():
            verdicts = rule(units, chosen, design)
            right = verdicts[:, : methods - 1] & (pairs(units).mean(-1)[:, : methods - 1] > 0)
            found[name] += right.mean(1).sum() if better else verdicts.any(1).sum()
    return {name: number / tables for name, number in found.items()}


def coverage(tables: int, design: Design, noise: Noise, overlap: float) -> float:
    """Return how often the 95 % interval of one method's mean contains the true mean."""
    rng, held = generator("coverage", design, noise), 0.0
    for runs in chunks(rng, tables, 1, design, noise):
        t, _ = t_test(units_of(runs), overlap)
        held += (np.abs(t) <= t_quantile(design.units, 1 - ALPHA)).sum()
    return held / tables


def check() -> None:
    """Check the rule `now` of this file against `compare` of the report."""
    rng = np.random.default_rng(5)
    for design in (Design(5, 1, 3), Design(5, 3, 1, 2), Design(1, 1, 4)):
        runs = draw(rng, 20, 4, design, Noise(0.3, fold=1))
        runs[:, 0] += 3
        verdicts = now(units_of(runs), runs, design)
        for table, expected in zip(runs, verdicts, strict=True):
            scores = pd.DataFrame(table.reshape(4, -1).T, index=design.index)
            found = compare(scores, Blocks(design.index), Quantity("x"), list(combinations(scores.columns, 2)))
            assert [one.significant for one in found] == list(expected)


def grid(tables: int) -> None:
    """Print false verdicts and coverage over all designs and strengths."""
    print("\n| folds | repeats | cells | false, mean | false, largest | coverage |\n|--:|--:|--:|--:|--:|--:|")
    worst = []
    for folds, repeats in ((1, 1), (5, 1), (5, 3), (5, 10), (10, 1), (10, 3), (10, 10)):
        false, held = [], []
        for seeds, nets in product((1, 3, 10), (1, 2, 4)) if folds > 1 else product((2, 3, 5, 10), (1,)):
            design = Design(folds, repeats, seeds, nets)
            strengths = STRENGTHS if folds > 1 else (0.0,)
            for fold, photo, net in product(strengths, strengths, STRENGTHS if nets > 1 else (0.0,)):
                noise = Noise(fold=fold, photo=photo, net=net)
                means = averaged(design, noise)
                for methods in (2, 6, 12):
                    rate = rates({"now": now}, tables, methods, *means)["now"]
                    false.append(rate)
                    worst.append((rate, methods, design, noise))
                held.append(coverage(tables, *means, replication(design).overlap))
        print(
            f"| {folds} | {repeats} | {len(false)} | {np.mean(false):.1%} | {max(false):.1%} "
            f"| {min(held):.1%} to {max(held):.1%} |",
            flush=True,
        )
    error = np.sqrt(ALPHA * (1 - ALPHA) / tables)
    above = sum(rate > ALPHA + 3 * error for rate, *_ in worst)
    print(
        f"\n{above} of {len(worst)} cells are more than 3 standard errors ({error:.2%}) above 5 %. The largest again:\n"
    )
    print("| methods | design | noise | tables | false |\n|--:|---|---|--:|--:|")
    for _, methods, design, noise in sorted(worst, key=lambda cell: -cell[0])[:5]:
        rate = rates({"now": now}, 20 * tables, methods, *averaged(design, noise), seed=1)["now"]
        print(f"| {methods} | {design} | {in_words(noise)} | {20 * tables} | {rate:.2%} |", flush=True)


def in_words(noise: Noise) -> str:
    """Describe the noise."""
    parts = [
        f"{name} {getattr(noise, name):g}" for name in ("fold", "photo", "training", "net") if getattr(noise, name)
    ]
    return ", ".join(["seed 1", *parts])


def power(tables: int) -> None:
    """Print false verdicts and power of all rules."""
    rules: dict[str, Rule] = {"before": before, "twice": twice, "Holm alone": holm_alone, "now": now}
    print("\n| methods | design | noise | better by | " + " | ".join(f"false, {name}" for name in rules), end="")
    print(" | " + " | ".join(f"power, {name}" for name in rules) + " |\n|--:|---|---|--:|" + "--:|" * 2 * len(rules))
    for methods, design, noise, better in (
        (2, Design(5), Noise(fold=1), 4.0), (6, Design(5), Noise(fold=1), 4.0),
        (6, Design(5, 1, 3), Noise(fold=1), 4.0), (6, Design(5, 1, 3), Noise(seed=0.3, fold=1), 4.0),
        (6, Design(5, 1, 5), Noise(seed=0.5, fold=1), 4.0),
        (2, Design(5, 3), Noise(photo=1), 2.0), (2, Design(5, 10), Noise(photo=1), 2.0), (6, Design(5, 3), Noise(photo=1), 2.0),
        (2, Design(5, 1, 1, 2), Noise(fold=1), 2.0), (2, Design(5, 1, 1, 4), Noise(fold=1), 2.0),
        (2, Design(10), Noise(fold=1), 2.0), (6, Design(10), Noise(fold=1), 2.0), (6, Design(10, 1, 3), Noise(fold=1), 2.0),
        (2, Design(1, 1, 5), Noise(), 2.0), (6, Design(1, 1, 5), Noise(), 2.0), (6, Design(1, 1, 10), Noise(), 2.0),
    ):  # fmt: skip
        false = rates(rules, tables, methods, design, noise)
        right = rates(rules, tables, methods, design, noise, better)
        numbers = [f"{rate:.1%}" for found in (false, right) for rate in found.values()]
        seed = "" if noise.seed == 1 else f" ({noise.seed:g} per run)"
        print(f"| {methods} | {design} | {in_words(noise)}{seed} | {better:g} | {' | '.join(numbers)} |", flush=True)


def shared_training(tables: int) -> None:
    """Print what training images that are shared do to false verdicts and coverage."""
    rules: dict[str, Rule] = {"none": scaled(0), "half": scaled(0.5), "now": now, "twice": twice}
    names = " | ".join(f"{kind}, {rule}" for kind in ("false", "coverage") for rule in rules)
    print(f"\n| photos | folds | repeats | training : test influence | {names} |\n|" + "--:|" * 12)
    for photos, folds, repeats, training in product((100, 20), (5, 10), (1, 3, 10), (0.0, 0.5, 1.0, 2.0)):
        design, noise = Design(folds, repeats), Noise(seed=0.3, photo=1, training=training, photos=photos)
        found, units = rates(rules, tables, 6, design, noise), replication(design)
        overlaps = (0.0, units.overlap / 2, units.overlap, twice_overlap(design))
        held = [coverage(tables, design, noise, overlap) for overlap in overlaps]
        numbers = [f"{rate:.1%}" for rate in (*found.values(), *held)]
        print(f"| {photos} | {folds} | {repeats} | {training:g} : 1 | {' | '.join(numbers)} |", flush=True)


def other_noise(tables: int) -> None:
    """Print false verdicts for noise that is not normal, or not equal among methods."""
    designs = (Design(1, 1, 3), Design(1, 1, 5), Design(1, 1, 10), Design(5, 1, 3), Design(10), Design(5, 3))
    print("\n| noise | methods | " + " | ".join(map(str, designs)) + " |\n|---|--:|" + "--:|" * len(designs))
    for name, options in (
        ("uniform", {"shape": "uniform"}), ("heavy tails (t, 3 degrees)", {"shape": "t3"}),
        ("skewed (exponential)", {"shape": "skewed"}), ("half of the methods a fifth", {"unequal": True}),
        ("skewed, half of the methods a fifth", {"shape": "skewed", "unequal": True}),
        ("a seed in all folds, 0.3", {"common": 0.3}), ("0.5", {"common": 0.5}), ("1", {"common": 1.0}),
    ):  # fmt: skip
        for methods in (2, 6):
            found = [rates({"now": now}, 5 * tables, methods, d, Noise(fold=1, **options))["now"] for d in designs]
            print(f"| {name} | {methods} | {' | '.join(f'{rate:.1%}' for rate in found)} |", flush=True)


def ranks(tables: int) -> None:
    """Print how often Friedman's and Nemenyi's tests find a difference in null tables."""
    print(
        "\n| methods | design | noise | Friedman, before | now | Nemenyi, before | now |\n|--:|---|---|--:|--:|--:|--:|"
    )
    for methods, design, noise in (
        (5, Design(5, 1, 3), Noise(fold=1)), (5, Design(10, 1, 3), Noise(fold=1)), (12, Design(10), Noise(fold=1)),
        (5, Design(5, 10), Noise(photo=1)), (5, Design(1, 1, 10), Noise()), (12, Design(1, 1, 10), Noise()),
    ):  # fmt: skip
        found = np.zeros(4)
        for table in draw(np.random.default_rng(2), tables, methods, design, noise):
            scores = pd.DataFrame(table.reshape(methods, -1).T, index=design.index)
            each = Replication("seed", np.arange(len(scores)), 0.0)  # every run a unit
            one, other = (average_ranks(scores, units, Quantity("x")) for units in (each, replication(design)))
            assert one is not None
            assert other is not None
            for place, made in enumerate((one, other)):
                spread = max(made.average.values()) - min(made.average.values())
                found[[place, 2 + place]] += made.p_friedman < ALPHA, spread > made.critical_difference
        numbers = " | ".join(f"{rate:.1%}" for rate in found / tables)
        print(f"| {methods} | {design} | {in_words(noise)} | {numbers} |", flush=True)


def main() -> None:
    """Print all tables."""
    began, tables = time.monotonic(), int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    check()
    for part in (power, shared_training, other_noise, ranks, grid):
        if part.__name__ not in (sys.argv[2:] or part.__name__):
            continue
        part(tables)
        print(f"\n({part.__name__}: {time.monotonic() - began:.0f} s so far)", file=sys.stderr)


if __name__ == "__main__":
    main()
