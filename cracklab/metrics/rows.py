"""The row of an image: its counts, ratios and costly scores, by the names of the columns of `per_image.csv`."""

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from cracklab.errors import ConfigError
from cracklab.metrics.image_scores import hausdorff95_score, image_scores
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.overlap import BINARY, COUNTS, RATIOS
from cracklab.metrics.scores import SCORES, empty_score

Row = dict[str, Any]
"""One image: `id`, then numbers (int, float, or None if there is nothing to measure) and words by column. Columns `n_...`
are counts, only to be added up over images; `histogram` is that of the probabilities."""
Masks = NDArray[np.bool_]
"""(C, H, W), of one image."""


def class_suffixes(channels: int, background: bool = True, names: Sequence[str] | None = None) -> dict[str, int]:
    """Return the channel of each scored class by the suffix of its columns: none for one class, `/NAME` for several.

    Args:
        channels: number of channels.
        background: whether channel 0 is scored if there are several.
        names: one per channel; None: their indices.

    Raises:
        ConfigError: if the number of names is not that of the channels.

    Example:
        >>> class_suffixes(3, background=False, names=["wall", "crack", "joint"])
        {'/crack': 1, '/joint': 2}
    """
    if channels == 1:
        return {"": 0}
    names = names or [str(c) for c in range(channels)]
    if len(names) != channels:
        raise ConfigError(f"{len(names)} class names for {channels} channels: name each channel once")
    return {f"/{name}": c for c, name in enumerate(names) if c > 0 or background}


@cache
def thread_pool() -> ThreadPoolExecutor:
    """Return the pool of threads that computes costly scores, as large as that of torch.

    Example:
        >>> thread_pool().submit(max, 1, 2).result()
        2
    """
    return ThreadPoolExecutor(max(1, torch.get_num_threads()), thread_name_prefix="metrics")


def overlap_rows(
    counts: NDArray[np.int64], cells: Sequence[tuple[str, int, int]], crack_free: Literal["score", "skip"]
) -> list[Row]:
    """Return the counts and ratios of each image of a batch.

    Args:
        counts: (4, K thresholds, B, C), true and false positives, false and true negatives.
        cells: suffix, index of the threshold and channel of the columns to make.
        crack_free: whether the ratios of a class without truth are scored, or None (`skip`).

    Example:
        >>> counts = np.array([2, 1, 1, 6]).reshape(4, 1, 1, 1)  # TP, FP, FN, TN
        >>> row = overlap_rows(counts, [("@0.5", 0, 0)], "score")[0]
        >>> row["iou@0.5"], row["tp@0.5"], row["crack_share"]
        (0.5, 2, 0.3)
    """
    one = counts.shape[-1] == 1
    ratios = {name: ratio(*counts) for name, ratio in (BINARY if one else RATIOS).items()}
    rows: list[Row] = []
    for i, total in enumerate(counts[:, 0, :, 0].sum(0).tolist()):
        row: Row = _facts(counts[:, 0, i, 0], total) if one else {}
        for suffix, k, c in cells:
            truth, union = counts[::2, k, i, c].any(), counts[:3, k, i, c].any()  # TP + FN, TP + FP + FN
            measured = total and (one or union) and (truth or crack_free == "score")
            row |= {name + suffix: values[k, i, c].item() if measured else None for name, values in ratios.items()}
            row |= dict(zip((name + suffix for name in COUNTS), counts[:, k, i, c].tolist(), strict=True))
        if not one:
            row |= class_means(row, RATIOS, scored=total > 0 and crack_free == "score")
            row |= {"n_correct": int(counts[0, 0, i].sum()), "n_pixels": total}
            row["accuracy"] = row["n_correct"] / total if total else None
        rows.append(row)
    return rows


def _facts(counts: NDArray[np.int64], total: int) -> Row:
    """Return the columns of a single class that are not scores: share of crack, empty masks, false alarms."""
    tp, fp, fn, _ = counts.tolist()
    if not total:
        return {"crack_share": None, "empty_truth": 0, "empty_pred": 0, "false_positive_px": None}
    return {
        "crack_share": (tp + fn) / total,
        "empty_truth": int(tp + fn == 0),
        "empty_pred": int(tp + fp == 0),
        "false_positive_px": None if tp + fn else fp,
    }


def costly_columns(
    options: EvaluationOptions,
    classes: Mapping[str, int],
    pred: Masks,
    truth: Masks,
    more: Mapping[float, Masks],
    mm_per_px: float | None = None,
) -> Row:
    """Compute the costly columns of one image.

    Args:
        options: scores and policies.
        classes: channel of each class by the suffix of its columns; see `class_suffixes`.
        pred: (C, H, W).
        truth: (C, H, W).
        more: predictions at further thresholds, for HD95 alone.
        mm_per_px: scale of the image; None: unknown.

    Example:
        >>> pred, truth = np.zeros((2, 1, 9, 9), bool)
        >>> pred[0, 2], truth[0, 5] = True, True  # two lines, 3 rows apart
        >>> columns = costly_columns(EvaluationOptions(), {"": 0}, pred, truth, {}, mm_per_px=0.5)
        >>> columns["hd95_px"], columns["hd95_mm"], columns["hd95_px_empty"]
        (3.0, 1.5, 0)
    """
    row: Row = {}
    several = len(pred) > 1
    for suffix, c in classes.items():
        row |= {name + suffix: value for name, value in image_scores(pred[c], truth[c], options, several).items()}
    if several:
        names = dict.fromkeys(name.partition("/")[0] for name in row if not name.startswith("n_"))
        row = class_means(row, names, scored=options.crack_free == "score") | row
    if "hd95_px" in row:
        row["hd95_px_empty"] = int(any(pred[c].any() != truth[c].any() for c in classes.values()))
    row |= {f"hd95_px@{threshold:g}": hausdorff95_score(mask[0], truth[0], options) for threshold, mask in more.items()}
    if mm_per_px is not None:
        lengths = [name for name in ("hd95_px", "hd100_px", "asd_px") if row.get(name) is not None]
        row |= {name.replace("_px", "_mm"): row[name] * mm_per_px for name in lengths}
    return row


def has_counted_pixels(row: Row) -> bool:
    """Return whether an image has a counted pixel; True for a row without counts.

    Example:
        >>> has_counted_pixels({"tp": 0, "fp": 0, "fn": 0, "tn": 9}), has_counted_pixels({"n_pixels": 0})
        (True, False)
    """
    pixels = [row["n_pixels"]] if "n_pixels" in row else [row.get(name) for name in COUNTS]
    return any(number != 0 for number in pixels)


def mean(values: Iterable[float | None], empty: float | None = None) -> float | None:
    """Return the mean of the values that are not None, independent of their order; `empty` if there are none.

    Example:
        >>> mean([1.0, None, 2.0])
        1.5
    """
    numbers = [value for value in values if value is not None]
    return math.fsum(numbers) / len(numbers) if numbers else empty


def class_means(row: Row, names: Iterable[str], scored: bool) -> Row:
    """Return the mean of each score over the classes of an image.

    Args:
        row: columns `NAME/CLASS`.
        names: of the scores.
        scored: whether an image without any class gets the value for two empty masks, instead of None.

    Example:
        >>> class_means({"iou/crack": 0.5, "iou/joint": 1.0, "iou/stain": None}, ["iou"], scored=True)
        {'iou': 0.75}
    """
    found = {name: [value for key, value in row.items() if key.startswith(name + "/")] for name in names}
    return {
        name: mean(values, empty_score(name, both=True) if scored and _has_policy(name) else None)
        for name, values in found.items()
    }


def _has_policy(name: str) -> bool:
    return name in SCORES and SCORES[name].empty != "truth"


def without_histograms(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows of numbers and words alone, for a table.

    Example:
        >>> without_histograms([{"id": "a", "iou": 0.5, "histogram": np.zeros((2, 1001))}])
        [{'id': 'a', 'iou': 0.5}]
    """
    return [{name: value for name, value in row.items() if name != "histogram"} for row in rows]
