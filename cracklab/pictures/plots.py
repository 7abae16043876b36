"""Curves and histograms over many images, drawn from rows of the evaluator.

Each function returns a matplotlib figure without a window; `as_image` turns it into an array.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cracklab.metrics.curves import average_precision, by_threshold
from cracklab.metrics.surface import OFF
from cracklab.pictures.colours import BLUE, GREY, VERMILION, as_hex
from cracklab.pictures.compose import Image

Rows = Sequence[Mapping[str, Any]]


def as_image(figure: Figure) -> Image:
    """Return a figure as an image (H, W, 3).

    Example:
        >>> as_image(Figure(figsize=(2, 1), dpi=100)).shape
        (100, 200, 3)
    """
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def threshold_curve(rows: Rows, threshold: float | None = None) -> Figure:
    """Plot Dice, IoU, precision and recall, pooled over all pixels, against the threshold.

    Args:
        rows: of `Evaluator.rows`, with histograms.
        threshold: the threshold in use, which is marked.

    Raises:
        ConfigError: for rows without histograms.

    Example:
        >>> histogram = np.zeros((2, 1001), int)
        >>> histogram[0, 100], histogram[1, 900] = 50, 10  # background at 0.1, crack at 0.9: separable
        >>> dice = threshold_curve([{"id": "a", "histogram": histogram}], threshold=0.5).axes[0].lines[0].get_ydata()
        >>> float(dice[500])
        1.0
    """
    values = by_threshold(rows)
    figure, axes = _figure("threshold", "pooled over all pixels")
    styles = {"dice": (BLUE, "-"), "iou": (VERMILION, "-"), "precision": (GREY, "--"), "recall": (GREY, ":")}
    names = {"dice": "Dice", "iou": "IoU"}
    for name, (colour, style) in styles.items():
        shown = np.where(values["recall"] > 0, values[name], np.nan) if name == "precision" else values[name]
        axes.plot(values["threshold"], shown, style, color=as_hex(colour), label=names.get(name, name))
    if threshold is not None:
        at = values["dice"][round(threshold * (len(values["dice"]) - 1))]
        axes.axvline(threshold, color="black", linewidth=0.8)
        axes.annotate(f" {threshold:g}: Dice {at:.3f}", (threshold, 1.02), annotation_clip=False)
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def precision_recall(rows: Rows, threshold: float | None = None) -> Figure:
    """Plot precision against recall, pooled over all pixels, with lines of equal Dice and the average precision.

    Args:
        rows: of `Evaluator.rows`, with histograms.
        threshold: the threshold in use, which is marked.

    Raises:
        ConfigError: for rows without histograms.

    Example:
        >>> histogram = np.zeros((2, 1001), int)
        >>> histogram[0, 100], histogram[1, 900] = 50, 10  # background at 0.1, crack at 0.9: separable
        >>> precision_recall([{"id": "a", "histogram": histogram}]).axes[0].lines[-1].get_label()
        'average precision 1.000'
    """
    values, average = by_threshold(rows), average_precision(rows)
    figure, axes = _figure("recall", "precision")
    for dice in (0.2, 0.4, 0.6, 0.8):
        recall = np.linspace(dice / 2 + 1e-3, 1, 200)
        axes.plot(recall, dice * recall / (2 * recall - dice), color="0.85", linewidth=0.8)
        axes.annotate(f"Dice {dice}", (1, dice / (2 - dice)), ha="right", va="bottom", color="0.6", fontsize=8)
    label = "no crack in the truth" if average is None else f"average precision {average:.3f}"
    predicted = values["recall"] > 0  # no precision above the highest probability
    axes.plot(values["recall"][predicted], values["precision"][predicted], color=as_hex(BLUE), label=label)
    if threshold is not None:
        k = round(threshold * (len(values["dice"]) - 1))
        point = values["recall"][k], values["precision"][k]
        axes.plot(*point, "o", color=as_hex(VERMILION), label=f"threshold {threshold:g}, Dice {values['dice'][k]:.3f}")
    axes.set(xlim=(0, 1.01), ylim=(0, 1.01))
    axes.legend(loc="lower left", frameon=False)
    return figure


def distance_errors(rows: Rows) -> Figure:
    """Plot a histogram of the distances from predicted outlines to true ones, and from true ones to predicted ones.

    Args:
        rows: of `Evaluator.rows`, with the group `surface`.

    Example:
        >>> figure = distance_errors([{"n_pred_off_0": 3, "n_pred_off_1": 1, "n_true_off_0": 4}])
        >>> [float(bar.get_height()) for bar in figure.axes[0].patches][:2]  # shares of 3 and 1 in 4
        [0.75, 0.25]
    """
    names = [*OFF, "more"]
    figure, axes = _figure("distance to the other outline, px", "share of edge pixels")
    place = np.arange(len(names))
    sides = {
        "pred": ("of the prediction (false alarms on the right)", BLUE),
        "true": ("of the truth (misses)", VERMILION),
    }
    for shift, (side, (label, colour)) in zip((-0.2, 0.2), sides.items(), strict=True):
        numbers = np.array([sum(row.get(f"n_{side}_off_{name}", 0) for row in rows) for name in names], float)
        shares = numbers / max(numbers.sum(), 1)
        axes.bar(place + shift, shares, 0.38, color=as_hex(colour), label=label)
        for x, share in zip(place + shift, shares, strict=True):
            axes.annotate(
                "<1%" if 0 < share < 0.01 else f"{share:.0%}", (x, share), ha="center", va="bottom", fontsize=7
            )
    labels = [
        "0",
        "1",
        *(f"{low}-{high}" for low, high in pairwise(names[1:-1])),
        f"> {names[-2]}",
    ]
    axes.set_xticks(place, labels)
    axes.legend(frameon=False)
    return figure


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 4.4), dpi=130, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
