"""Histograms of probabilities, and the metrics at all thresholds that follow from them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cracklab.errors import ConfigError
from cracklab.metrics.key import MetricKey
from cracklab.metrics.overlap import RATIOS, Counts, Ratios, dice
from cracklab.metrics.rows import mean

BINS = 1000
"""Thresholds are multiples of 1 / BINS."""
NOTHING_COUNTED = "no image has a pixel that counts: evaluate images with pixels that are not ignored"
"""The reason why there is no value."""
Rows = Sequence[Mapping[str, Any]]


def histograms(probabilities: Tensor, truth: Tensor, valid: Tensor | None = None) -> NDArray[np.int32]:
    """Return histograms of the probabilities of each image, of background and of crack pixels.

    Bin k holds the pixels whose probability, rounded up to a multiple of 1 / BINS, is k / BINS: a pixel is above the
    threshold k / BINS if its bin is above k.

    Args:
        probabilities: (B, 1, H, W), any floating dtype and device.
        truth: (B, 1, H, W) bool.
        valid: (B, 1, H, W) bool; False pixels are ignored. None: every pixel counts.

    Returns:
        (B, 2, BINS + 1) on the CPU.

    Example:
        >>> histogram = histograms(torch.tensor([[[[0.2, 0.7004]]]]), torch.tensor([[[[False, True]]]]))
        >>> histogram.nonzero()[1].tolist(), histogram.nonzero()[2].tolist()  # background in bin 200, crack in bin 701
        ([0, 1], [200, 701])
    """
    images = len(probabilities)
    bins = (probabilities.float().nan_to_num() * BINS).ceil().clamp(0, BINS).long()
    image = torch.arange(images, device=bins.device)[:, None, None, None]
    cells = bins + (BINS + 1) * (truth.long() + 2 * image)
    if valid is not None:
        cells = cells[valid]
    numbers = torch.bincount(cells.flatten(), minlength=images * 2 * (BINS + 1))
    return numbers.reshape(images, 2, BINS + 1).cpu().numpy().astype(np.int32)


def counts_by_threshold(histogram: NDArray[np.integer[Any]]) -> tuple[Counts, Counts, Counts, Counts]:
    """Return true positives, false positives, false negatives and true negatives at the thresholds 0, 1 / BINS, ... 1.

    Args:
        histogram: (..., 2, BINS + 1).

    Returns:
        Four arrays (..., BINS + 1).

    Example:
        >>> histogram = histograms(torch.tensor([[[[0.2, 0.7]]]]), torch.tensor([[[[False, True]]]]))
        >>> [counts[0, 500].item() for counts in counts_by_threshold(histogram)]  # at 0.5
        [1, 0, 0, 1]
    """
    up_to = np.cumsum(histogram, -1, dtype=np.int64)
    above = up_to[..., -1:] - up_to
    return above[..., 1, :], above[..., 0, :], up_to[..., 1, :], up_to[..., 0, :]


def bin_index(threshold: float) -> int:
    """Return the index of a threshold.

    Raises:
        ConfigError: if it is not a multiple of 1 / BINS.

    Example:
        >>> bin_index(0.25)
        250
    """
    index = round(threshold * BINS)
    if abs(index - threshold * BINS) > 1e-6 or not 0 <= index <= BINS:
        raise ConfigError(f"the threshold is {threshold}: expected a multiple of {1 / BINS:g} from 0 to 1")
    return index


def stack_histograms(rows: Rows) -> NDArray[np.int32]:
    """Return the histograms of rows, (N, 2, BINS + 1).

    Raises:
        ConfigError: for rows without them.

    Example:
        >>> stack_histograms([{"histogram": np.zeros((2, BINS + 1))}] * 3).shape
        (3, 2, 1001)
    """
    if not rows or any("histogram" not in row for row in rows):
        raise ConfigError("the rows hold no histograms: evaluate one class with Evaluator(curves=True)")
    return np.stack([row["histogram"] for row in rows])


def counted_histograms(rows: Rows) -> NDArray[np.int32]:
    """Return the histograms of the rows that have a counted pixel, (N, 2, BINS + 1).

    Raises:
        ConfigError: for rows without histograms, or if no row has a counted pixel.

    Example:
        >>> counted_histograms([{"histogram": np.eye(2, BINS + 1)}, {"histogram": np.zeros((2, BINS + 1))}]).shape
        (1, 2, 1001)
    """
    histogram = stack_histograms(rows)
    histogram = histogram[histogram.any((1, 2))]
    if not len(histogram):
        raise ConfigError(NOTHING_COUNTED)
    return histogram


def ods(rows: Rows) -> tuple[float, float]:
    """Return the optimal data-set scale: the best pooled F1 (Dice) of one threshold for all images, and that threshold.

    The threshold is picked on the images that it is reported on: the value is a ceiling, not a result.
    Source: Arbelaez 2011, sec. 3.1.

    Example:
        >>> histogram = histograms(torch.tensor([[[[0.2, 0.4]]]]), torch.tensor([[[[False, True]]]]))[0]
        >>> ods([{"histogram": histogram}])  # all correct from 0.2 to below 0.4
        (1.0, 0.399)
    """
    values = _pooled_dice(rows)
    best = _best(values)
    return float(values[best]), best / BINS


def ois(rows: Rows) -> tuple[float, float]:
    """Return the optimal image scale: the mean over images of each one's best F1, and the mean of their best thresholds.

    The thresholds are picked on the images that they are reported on. An image without a counted pixel is excluded from the means.
    Source: Arbelaez 2011, sec. 3.1; the mean over images is usual for cracks.

    Raises:
        ConfigError: for rows without histograms, or if no image has a counted pixel.

    Example:
        >>> truth = torch.tensor([[[[False, True]]]]).expand(2, -1, -1, -1)
        >>> images = histograms(torch.tensor([[0.2, 0.4], [0.6, 0.8]]).reshape(2, 1, 1, 2), truth)
        >>> ois([{"histogram": histogram} for histogram in images])[0]
        1.0
    """
    values = dice(*counts_by_threshold(counted_histograms(rows)))
    best = [_best(image) for image in values]
    return float(values[np.arange(len(values)), best].mean()), float(np.mean(best)) / BINS


def average_precision(rows: Rows) -> float | None:
    """Return the area under the precision-recall curve of all pixels, sum of (R_n - R_(n-1)) P_n; None without truth.

    Example:
        >>> histogram = histograms(torch.tensor([[[[0.2, 0.4, 0.9]]]]), torch.tensor([[[[False, True, False]]]]))[0]
        >>> average_precision([{"histogram": histogram}])  # the crack is the second pixel from the top
        0.5
    """
    stacked = stack_histograms(rows)
    tp, fp, fn, _ = counts_by_threshold(stacked.sum(0, dtype=np.int64))
    # from the highest threshold down; in the end all pixels are predicted, those of bin 0 as well
    crack, background = tp[0] + fn[0], fp[0] + stacked[:, 0, 0].sum()
    if crack == 0:
        return None
    tp, fp = np.append(tp[::-1], crack), np.append(fp[::-1], background)
    precision = tp / np.maximum(tp + fp, 1)
    return float(np.sum(np.diff(tp, prepend=0) * precision) / crack)


def by_threshold(rows: Rows) -> dict[str, Ratios]:
    """Return the curves of the pooled `iou`, `dice`, `precision` and `recall` over `threshold`, 0 to 1 by 1 / BINS.

    Example:
        >>> histogram = histograms(torch.tensor([[[[0.2, 0.7]]]]), torch.tensor([[[[True, True]]]]))[0]
        >>> curves = by_threshold([{"histogram": histogram}])
        >>> curves["threshold"][500].item(), curves["recall"][500].item()
        (0.5, 0.5)
    """
    pooled = counts_by_threshold(stack_histograms(rows).sum(0, dtype=np.int64))
    return {"threshold": np.arange(BINS + 1) / BINS} | {name: ratio(*pooled) for name, ratio in RATIOS.items()}


def best_threshold(rows: Rows, by: Literal["dice", "hd95_px"] = "dice") -> float:
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
    for column in dict.fromkeys(column for row in rows for column in row):
        key = MetricKey.parse(column)
        if key.variant == "hd95_px" and key.threshold:
            value = mean(row.get(column) for row in rows)
            means |= {} if value is None else {float(key.threshold): value}
    if not means:
        raise ConfigError(
            "no image has a value of hd95_px at a stated threshold: evaluate images with counted pixels (and with cracks, if "
            "crack_free is 'skip') and with surface_thresholds such as [0.3, 0.5, 0.7], or set a fixed threshold"
        )
    return min(means, key=lambda threshold: (means[threshold], abs(threshold - 0.5)))


def _pooled_dice(rows: Rows) -> Ratios:
    return dice(*counts_by_threshold(stack_histograms(rows).sum(0, dtype=np.int64)))


def _best(values: Ratios) -> int:
    """Return the index of the highest of the values at all thresholds; of equal ones, the nearest to 0.5."""
    equal = np.flatnonzero(values == values.max())
    return int(equal[np.argmin(np.abs(equal - BINS / 2))])
