"""How often the verdict `beats` is wrong, and how often intervals hold the truth: `python tests/benchmarks/bench_statistics.py`.

Two methods that do not differ; the difference of a run is a fold's part plus a seed's part, both normal. `beats` is what
`cracklab report` says; beside it the same from runs taken for independent, by a t test and a percentile interval.
"""

import sys

import numpy as np
import pandas as pd
from scipy import stats

from cracklab.report.statistics import Quantity, compare

REPEATS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    print(
        "| folds x seeds | fold : seed noise | beats | interval holds 0 | t test of all runs | percentile interval of all runs holds 0 |"
    )
    print("|---|---|---|---|---|---|")
    for folds, seeds in ((5, 1), (5, 3), (10, 3), (1, 10)):
        index = pd.MultiIndex.from_product([range(folds), range(seeds)], names=["fold", "seed"])
        for share in (0.0, 1.0, 3.0) if folds > 1 else (0.0,):
            shown = held = naive = plain = 0
            for _ in range(REPEATS):
                gain = np.repeat(rng.normal(0, share, folds), seeds) + rng.normal(0, 1, folds * seeds)
                (one,) = compare(pd.DataFrame({"a": gain, "b": 0.0}, index=index), Quantity("x"))
                shown += one.significant
                held += one.difference.low <= 0
                naive += stats.ttest_1samp(gain, 0).pvalue < 0.05
                means = rng.choice(gain, (2000, len(gain))).mean(1)
                low, high = np.quantile(means, (0.025, 0.975))
                plain += low <= 0 <= high
            numbers = " | ".join(f"{count / REPEATS:.1%}" for count in (shown, held, naive, plain))
            print(f"| {folds} x {seeds} | {share:g} : 1 | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
