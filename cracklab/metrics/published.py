"""Values behind published numbers: each function computes those of one protocol from the rows of the images.

`protocols.py` has their definitions, in words, and their sources. An image without a counted pixel is excluded from the means.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cracklab.errors import ConfigError
from cracklab.metrics import curves
from cracklab.metrics.aggregate import aggregate
from cracklab.metrics.overlap import BINARY, Counts, dice, iou, mean_iou
from cracklab.metrics.rows import Row, has_counted_pixels, mean
from cracklab.metrics.skeleton import cl_iou

Values = dict[str, float | None]
Rows = Sequence[Row]
HUNDREDTHS = [k * curves.BINS // 100 for k in range(100)]
"""Indices of the thresholds 0.00, 0.01, ... 0.99."""


def deepcrack_pooled(rows: Rows) -> Values:
    """Return the values of Liu 2019 (DeepCrack): pooled, threshold 0.5."""
    values = _pooled(rows, 0.5)
    return {
        "global_accuracy": values["accuracy"],
        "class_average_accuracy": values["mean_accuracy"],
        "mean_iou": values["mean_iou"],
        "precision": values["precision"],
        "recall": values["recall"],
        "f1": values["dice"],
        "iou": values["iou"],
    }


def per_image(rows: Rows) -> Values:
    """Return means over images at the checkpoint's threshold."""
    values = aggregate(rows)
    names = ("iou_image", "dice_image", "precision_image", "recall_image", "hd95_px", "boundary_iou", "cl_dice")
    return {name.removesuffix("_image"): values[name] for name in names if name in values}


def native(rows: Rows) -> Values:
    """Return the main scores; the rows are those at the size of the files."""
    values = aggregate(rows)
    names = (*BINARY, "iou_image", "dice_image", "hd95_px", "hd95_mm", "asd_px", "boundary_iou", "cl_dice", "bridged")
    return {name: values[name] for name in (*names, "average_precision", "seen_share") if name in values}


def krasniqi2026(rows: Rows) -> Values:
    """Return the values of Krasniqi and Shehu 2026, Table 2: means over images, threshold 0.1."""
    counts = _counts(rows, 0.1)
    distances = [row.get("hd95_px@0.1") for row in rows]
    return {
        "iou@0.1": _average(iou(*counts)),
        "dice@0.1": _average(dice(*counts)),
        "hd95_px@0.1": mean(distances),
        "hd95_px": mean([row.get("hd95_px") for row in rows]),
    }


def ozcan2024(rows: Rows) -> Values:
    """Return the values of Oezcan and Schmiedecke 2024, Table 1: means over images, threshold 0.5."""
    counts = _counts(rows, 0.5)
    values: Values = {name: _average(BINARY[name](*counts)) for name in ("precision", "recall", "iou")}
    histogram = curves.counted_histograms(rows)
    middle = np.maximum(np.arange(curves.BINS + 1) - 0.5, 0) / curves.BINS
    soft, truth = histogram @ middle, histogram[:, 1].sum(-1)
    soft_dice = (2 * soft[:, 1] + 1) / (soft.sum(-1) + truth + 1)
    return values | {"f1": _average(dice(*counts)), "dice": _average(soft_dice)}


def gul2023(rows: Rows) -> Values:
    """Return the values of Guel 2023, sec. 4.3: means over classes with the background."""
    values = aggregate(rows)
    if any("n_correct" in row for row in rows):
        _require_background(rows)
        return {"boundary_iou": values.get("boundary_iou"), "iou": values["iou"], "dice": values["dice"]}
    tp, fp, fn, tn = _counts(rows, 0.5).sum(-1)
    both = (dice(tp, fp, fn, tn) + dice(tn, fn, fp, tp)) / 2
    return {"boundary_iou": values.get("boundary_iou"), "iou": mean_iou(tp, fp, fn, tn).item(), "dice": both.item()}


def chen2023(rows: Rows) -> Values:
    """Return the values of Chen 2023, Tables I to IV: pooled, threshold 0.5."""
    values = _pooled(rows, 0.5)
    return {"iou": values["iou"], "f1": values["dice"], "recall": values["recall"], "precision": values["precision"]}


def deopujari2025(rows: Rows) -> Values:
    """Return the values of Deopujari 2025, Table 1: means over classes with the background, threshold 0.5."""
    if any("n_correct" in row for row in rows):
        _require_background(rows)
        values = aggregate(rows)
        return {"mean_iou": values["iou"], "mean_pixel_accuracy": values["recall"], "accuracy": values["accuracy"]}
    pooled = _pooled(rows, 0.5)
    return {
        "mean_iou": pooled["mean_iou"],
        "mean_pixel_accuracy": pooled["mean_accuracy"],
        "accuracy": pooled["accuracy"],
    }


def scsegamba(rows: Rows) -> Values:
    """Return the best means over images; each probability is divided by the largest one of its image."""
    histogram = curves.counted_histograms(rows)
    largest = curves.BINS - (histogram.sum(1)[:, ::-1] > 0).argmax(-1)
    at = (np.array(HUNDREDTHS) * largest[:, None] / curves.BINS).round().astype(np.int64)
    counts = [np.take_along_axis(part, at, -1) for part in curves.counts_by_threshold(histogram)]
    f1, both = dice(*counts), mean_iou(*counts)
    pooled = [part[:, 0].sum() for part in counts]
    return {
        "ods": float(f1.mean(0).max()),
        "ois": float(f1.max(-1).mean()),
        "mean_iou": float(both.mean(0).max()),
        "precision": BINARY["precision"](*pooled).item(),
        "recall": BINARY["recall"](*pooled).item(),
        "f1": dice(*pooled).item(),
    }


def omnicrack(rows: Rows) -> Values:
    """Return the centre-line IoU of Benz and Rodehorst 2024, by source data set and their mean."""
    rows = [row for row in rows if has_counted_pixels(row)]
    if not rows:
        raise ConfigError(curves.NOTHING_COUNTED)
    if any("n_line" not in row for row in rows):
        raise ConfigError("the rows hold no centre lines: evaluate with the group 'skeleton'")
    sources = sorted({str(row.get("source", "all")) for row in rows})
    values: Values = {}
    for source in sources:
        part = [row for row in rows if str(row.get("source", "all")) == source]
        names = ("n_line", "n_line_near", "n_pred_line", "n_pred_line_near")
        values[f"cl_iou_4px/{source}"] = cl_iou(*(sum(row[name] for row in part) for name in names))
    return {"cl_iou_4px": mean(values.values()), **values}


def best_on_test(rows: Rows) -> Values:
    """Return the best scores over thresholds: ODS, OIS and average precision."""
    (ods, ods_threshold), (ois, ois_threshold) = curves.ods(rows), curves.ois(rows)
    return {
        "ods": ods,
        "ods_threshold": ods_threshold,
        "ois": ois,
        "ois_threshold": ois_threshold,
        "average_precision": curves.average_precision(rows),
    }


def _counts(rows: Rows, threshold: float) -> Counts:
    """Return the counts of each image that has a counted pixel at a threshold, (4, N)."""
    return np.stack(curves.counts_by_threshold(curves.counted_histograms(rows)))[..., curves.bin_index(threshold)]


def _pooled(rows: Rows, threshold: float) -> Values:
    counts = _counts(rows, threshold).sum(-1)
    return {name: ratio(*counts).item() for name, ratio in BINARY.items()}


def _require_background(rows: Rows) -> None:
    """Raise ConfigError if rows of several classes lack one: then truth and prediction do not cover all pixels."""
    for parts in (("tp", "fn"), ("tp", "fp")):
        counted = sum(row[name] for row in rows for name in row if name.startswith(tuple(f"{part}/" for part in parts)))
        if counted < sum(row["n_pixels"] for row in rows):
            raise ConfigError("the background was not scored: the protocol needs model.evaluation.background: true")


def _average(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(values.mean())
