"""Curves and histograms over many images, drawn from rows of the evaluator.

Each function returns a matplotlib figure that belongs to no window; `as_image` makes it an array.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cracklab.metrics.curves import average_precision, by_threshold
from cracklab.metrics.surface import DISTANCE_BINS
from cracklab.pictures.compose import FALSE, HIT, MISSED, NEAR, Image

Rows = Sequence[Mapping[str, Any]]
Colour = tuple[float, ...]

COLOURS: dict[str, Colour] = {
    name: tuple(level / 255 for level in rgb)
    for name, rgb in {"blue": HIT, "sky": NEAR, "vermilion": MISSED, "yellow": FALSE, "grey": (110, 110, 110)}.items()
}


def as_image(figure: Figure) -> Image:
    """A figure as (H, W, 3) RGB."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def threshold_curve(rows: Rows, threshold: float | None = None) -> Figure:
    """Pooled Dice, IoU, precision and recall at every threshold, with the one in use.

    Args:
        rows: of `Evaluator.rows`, with histograms.
        threshold: the one in use.

    Raises:
        ConfigError: for rows without histograms.
    """
    values = by_threshold(rows)
    figure, axes = _figure("threshold", "pooled over all pixels")
    styles = {"dice": ("blue", "-"), "iou": ("vermilion", "-"), "precision": ("grey", "--"), "recall": ("grey", ":")}
    names = {"dice": "Dice", "iou": "IoU"}
    for name, (colour, style) in styles.items():
        shown = np.where(values["recall"] > 0, values[name], np.nan) if name == "precision" else values[name]
        axes.plot(values["threshold"], shown, style, color=COLOURS[colour], label=names.get(name, name))
    if threshold is not None:
        at = values["dice"][round(threshold * (len(values["dice"]) - 1))]
        axes.axvline(threshold, color="black", linewidth=0.8)
        axes.annotate(f" {threshold:g}: Dice {at:.3f}", (threshold, 1.02), annotation_clip=False)
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def precision_recall(rows: Rows, threshold: float | None = None) -> Figure:
    """Precision over recall of all pixels, with lines of equal Dice, the average precision and the threshold in use.

    Args:
        rows: of `Evaluator.rows`, with histograms.
        threshold: the one in use.

    Raises:
        ConfigError: for rows without histograms.
    """
    values, average = by_threshold(rows), average_precision(rows)
    figure, axes = _figure("recall", "precision")
    for dice in (0.2, 0.4, 0.6, 0.8):
        recall = np.linspace(dice / 2 + 1e-3, 1, 200)
        axes.plot(recall, dice * recall / (2 * recall - dice), color="0.85", linewidth=0.8)
        axes.annotate(f"Dice {dice}", (1, dice / (2 - dice)), ha="right", va="bottom", color="0.6", fontsize=8)
    label = "no crack in the truth" if average is None else f"average precision {average:.3f}"
    some = values["recall"] > 0  # above the highest probability nothing is predicted
    axes.plot(values["recall"][some], values["precision"][some], color=COLOURS["blue"], label=label)
    if threshold is not None:
        k = round(threshold * (len(values["dice"]) - 1))
        point = values["recall"][k], values["precision"][k]
        axes.plot(
            *point, "o", color=COLOURS["vermilion"], label=f"threshold {threshold:g}, Dice {values['dice'][k]:.3f}"
        )
    axes.set(xlim=(0, 1.01), ylim=(0, 1.01))
    axes.legend(loc="lower left", frameon=False)
    return figure


def distance_errors(rows: Rows) -> Figure:
    """How far predicted outlines are from true ones, and true ones from predicted ones: shares of their edge pixels.

    Args:
        rows: of `Evaluator.rows`, with the group `surface`.
    """
    names = [*DISTANCE_BINS, "more"]
    figure, axes = _figure("distance to the other outline, px", "share of edge pixels")
    place = np.arange(len(names))
    sides = {
        "pred": ("of the prediction (false alarms on the right)", "blue"),
        "true": ("of the truth (misses)", "vermilion"),
    }
    for shift, (side, (label, colour)) in zip((-0.2, 0.2), sides.items(), strict=True):
        numbers = np.array([sum(row.get(f"n_{side}_off_{name}", 0) for row in rows) for name in names], float)
        shares = numbers / max(numbers.sum(), 1)
        axes.bar(place + shift, shares, 0.38, color=COLOURS[colour], label=label)
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
