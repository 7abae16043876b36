"""The blocks of a table of scores: the settings that their runs share, and which blocks are independent.

A table of scores has one row per block and one column per method. The runs of a block have the same fold, seed, other axes
and test images; only scores of the same block are paired.
"""

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cracklab.replication import Replication

Rows = NDArray[np.bool_]
REPLICATES = ("repeat", "fold", "seed")
"""Index levels that repeat a run; all others are settings."""


class Blocks:
    """The rows of a table of scores.

    Args:
        index: levels `repeat`, `fold`, `setting of AXES` and `seed`, of which all but one may be absent.
        tests: ids of the test images of every row.
        num_folds: number of folds of the design; 0: the folds of the rows.
    """

    def __init__(self, index: pd.Index, tests: Sequence[Collection[str]] | None = None, num_folds: int = 0) -> None:
        labels: dict[str, list[Any]] = {name: [None] * len(index) for name in REPLICATES}
        labels |= {str(name): list(index.get_level_values(i)) for i, name in enumerate(index.names)}
        self.replication = Replication.of(labels["repeat"], labels["fold"], labels["seed"], tests, num_folds=num_folds)
        """Independent units of the rows."""
        self._codes = {name: pd.factorize(np.array(column, object))[0] for name, column in labels.items()}
        others = np.stack([codes for name, codes in self._codes.items() if name != "seed"])
        self._but_seed = np.unique(others, axis=1, return_inverse=True)[1].reshape(-1)

    def design(self, rows: Rows) -> str:
        """Describe some rows: `5 folds x 3 seeds`, or their number if the product is incomplete."""
        numbers = {name: len(np.unique(codes[rows])) for name, codes in self._codes.items()}
        runs, complete = int(rows.sum()), math.prod(numbers.values())
        repeats, folds, seeds = (numbers.pop(name) for name in REPLICATES)
        splits = count(folds, "fold") if folds > 1 else count(repeats, "split") if repeats > 1 else ""
        if folds > 1 and repeats > 1:
            splits = f"{count(repeats, 'repeat')} of {splits}"
        axes = [f"{number} {name.replace('setting', 'settings', 1)}" for name, number in numbers.items() if number > 1]
        if complete != runs:
            return f"{count(runs, 'run')} over {' x '.join([splits or count(seeds, 'seed'), *axes])}"
        parts = [*([splits] if splits else []), *axes, *([count(seeds, "seed")] if seeds > 1 else [])]
        return " x ".join(parts) or "1 run"

    def seed_noise(self, scores: NDArray[np.float64]) -> float | None:
        """Return the standard deviation over seeds, pooled over methods and all else; None with one seed each.

        Args:
            scores: (rows, methods), NaN for a missing run.
        """
        squares, freedom = 0.0, 0
        for column in scores.T:
            known = ~np.isnan(column)
            values, groups = column[known], self._but_seed[known]
            number = np.bincount(groups)
            means = np.bincount(groups, weights=values) / np.maximum(number, 1)
            squares += float(((values - means[groups]) ** 2).sum())
            freedom += int(np.maximum(number - 1, 0).sum())
        return math.sqrt(squares / freedom) if freedom else None


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "fold"), count(5, "fold")
    ('1 fold', '5 folds')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
