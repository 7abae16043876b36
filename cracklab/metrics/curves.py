"""Thresholds: histograms of the probabilities, and what follows from them for every threshold at once."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cracklab.errors import ConfigError
from cracklab.metrics.key import MetricKey
from cracklab.metrics.overlap import RATIOS, Counts, Values, dice
from cracklab.metrics.rows import mean

BINS = 1000
"""Thresholds are multiples of 1 / BINS."""
Histogram = NDArray[np.int64]
"""(2, BINS + 1): numbers of background and of crack pixels whose probability, rounded up to 1 / BINS, is k / BINS."""


def histograms(probabilities: Tensor, truth: Tensor, valid: Tensor | None = None) -> NDArray[np.int32]:
    """Histograms of the probabilities of each image; p > k / BINS for what stands right of bin k.

    Args:
        probabilities: (B, 1, H, W), any floating dtype and device.
        truth: (B, 1, H, W) bool.
        valid: (B, 1, H, W) bool; None: every pixel counts.

    Returns:
        (B, 2, BINS + 1) on the CPU.
    """
    images = len(probabilities)
    bins = (probabilities.float().nan_to_num() * BINS).ceil().clamp(0, BINS).long()
    image = torch.arange(images, device=bins.device)[:, None, None, None]
    cells = bins + (BINS + 1) * (truth.long() + 2 * image)
    if valid is not None:
        cells = cells[valid]
    counted = torch.bincount(cells.flatten(), minlength=images * 2 * (BINS + 1))
    return counted.reshape(images, 2, BINS + 1).cpu().numpy().astype(np.int32)


def counts_by_threshold(histogram: NDArray[np.integer[Any]]) -> tuple[Counts, Counts, Counts, Counts]:
    """True positives, false positives, false negatives, true negatives at thresholds 0, 1 / BINS, ... 1.

    Args:
        histogram: (..., 2, BINS + 1).

    Returns:
        Four arrays (..., BINS + 1).
    """
    up_to = np.cumsum(histogram, -1, dtype=np.int64)
    above = up_to[..., -1:] - up_to
    return above[..., 1, :], above[..., 0, :], up_to[..., 1, :], up_to[..., 0, :]


def bin_index(threshold: float) -> int:
    """The index of a threshold.

    Raises:
        ConfigError: for one that is no multiple of 1 / BINS.
    """
    index = round(threshold * BINS)
    if abs(index - threshold * BINS) > 1e-6 or not 0 <= index <= BINS:
        raise ConfigError(f"the threshold is {threshold}: expected a multiple of {1 / BINS:g} from 0 to 1")
    return index


def stack_histograms(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.int32]:
    """The histograms of rows, (N, 2, BINS + 1).

    Raises:
        ConfigError: for rows without them.
    """
    if not rows or any("histogram" not in row for row in rows):
        raise ConfigError("the rows hold no histograms: evaluate one class with Evaluator(curves=True)")
    return np.stack([row["histogram"] for row in rows])


def ods(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Optimal data-set scale: the best pooled F1 (Dice) that one threshold for all images reaches, and that threshold.

    Picked on the images it is reported on: a ceiling, not a result. Source: Arbelaez 2011, sec. 3.1.
    """
    values = _pooled_dice(rows)
    best = _best(values)
    return float(values[best]), best / BINS


def ois(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Optimal image scale: the mean over images of the best F1 that a threshold of its own reaches, and their mean.

    Picked on the images it is reported on. Source: Arbelaez 2011, sec. 3.1; mean over images, as for cracks.
    """
    values = dice(*counts_by_threshold(stack_histograms(rows)))
    best = [_best(image) for image in values]
    return float(values[np.arange(len(values)), best].mean()), float(np.mean(best)) / BINS


def average_precision(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Area under the precision-recall curve of all pixels, sum of (R_n - R_(n-1)) P_n; None without truth."""
    hits, false, missed, _ = counts_by_threshold(stack_histograms(rows).sum(0, dtype=np.int64))
    # the lowest scores last; all pixels, those of bin 0 too, are predicted in the end
    total, background = hits[0] + missed[0], false[0] + stack_histograms(rows)[:, 0, 0].sum()
    if total == 0:
        return None
    hits, false = np.append(hits[::-1], total), np.append(false[::-1], background)
    precision = hits / np.maximum(hits + false, 1)
    return float(np.sum(np.diff(hits, prepend=0) * precision) / total)


def by_threshold(rows: Sequence[Mapping[str, Any]]) -> dict[str, Values]:
    """`threshold`, 0 to 1 in steps of 1 / BINS, and the pooled `iou`, `dice`, `precision` and `recall` at each."""
    pooled = counts_by_threshold(stack_histograms(rows).sum(0, dtype=np.int64))
    return {"threshold": np.arange(BINS + 1) / BINS} | {name: ratio(*pooled) for name, ratio in RATIOS.items()}


def best_threshold(rows: Sequence[Mapping[str, Any]], by: Literal["dice", "hd95_px"] = "dice") -> float:
    """Return the best threshold for the images of a validation; of equally good ones, the nearest to 0.5.

    Args:
        rows: of `Evaluator.rows`.
        by: `dice`: highest pooled Dice over all multiples of 1 / BINS. `hd95_px`: lowest mean HD95 over the thresholds that
            the evaluator got as `surface_thresholds`. Images without a value are ignored, and so are thresholds at which no
            image has one.

    Raises:
        ConfigError: for rows without histograms (`dice`), or without any value of HD95 at a threshold (`hd95_px`).

    Example:
        >>> rows = [{"id": "a", "hd95_px@0.3": 9.0, "hd95_px@0.6": 4.0}, {"id": "b", "hd95_px@0.3": 1.0, "hd95_px@0.6": 2.0}]
        >>> best_threshold(rows, by="hd95_px")  # means 5 px and 3 px
        0.6
    """
    if by == "dice":
        return _best(_pooled_dice(rows)) / BINS
    means: dict[float, float] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        key = MetricKey.parse(name)
        average = mean(row.get(name) for row in rows) if key.variant == "hd95_px" and key.threshold else None
        if key.threshold and average is not None:
            means[float(key.threshold)] = average
    if not means:
        raise ConfigError(
            "no image has a value of hd95_px at a stated threshold: evaluate images with counted pixels (and with cracks, if "
            "crack_free is 'skip') and with surface_thresholds such as [0.3, 0.5, 0.7], or set a fixed threshold"
        )
    return min(means, key=lambda threshold: (means[threshold], abs(threshold - 0.5)))


def _pooled_dice(rows: Sequence[Mapping[str, Any]]) -> Values:
    return dice(*counts_by_threshold(stack_histograms(rows).sum(0, dtype=np.int64)))


def _best(values: Values) -> int:
    """Index of the largest of values at all thresholds; of equal ones the nearest to 0.5. Threshold 1 predicts nothing."""
    equal = np.flatnonzero(values == values.max())
    return int(equal[np.argmin(np.abs(equal - BINS / 2))])
