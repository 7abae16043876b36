"""The figures of a report: curves, paired plots, ranks, heat maps.

Each function returns a matplotlib figure that belongs to no window. Colours are of Okabe and Ito's palette; lines differ
in dashes too, and no method is told by its colour alone.
"""

import io
import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from cracklab.pictures.colours import SERIES, as_hex
from cracklab.report.analysis import Analysis
from cracklab.report.labels import short
from cracklab.report.metric import Metric
from cracklab.report.statistics import Ranks, clusters_of, mean_interval

PALETTE = [as_hex(colour) for colour in SERIES]
DASHES = ("-", "--", "-.", ":")
SHOWN = len(PALETTE)
"""Methods in a figure of curves."""
RANKED = 20
"""Methods in a figure with a line each."""
WIDTH = 5.6
"""Inches: with 10 pt letters still readable on a phone."""


def as_svg(figure: Figure) -> str:
    """A figure as SVG, the same bytes for the same figure; letters are outlines, so that no font is needed."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "cracklab", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def as_png(figure: Figure) -> bytes:
    """A figure as PNG, 200 dots an inch."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=200, metadata={"Software": None})
    return data.getvalue()


def paired(analysis: Analysis) -> Figure:
    """The score of every run by method, runs of one block joined, with means and intervals; best method on top."""
    table = analysis.table.iloc[:, :RANKED]
    figure, axes = _figure(0.9 + 0.42 * table.shape[1], _axis_label(analysis.metric))
    places = np.arange(table.shape[1])
    clusters = list(dict.fromkeys(table.index.get_level_values(0)))
    for cluster, values in zip(table.index.get_level_values(0), table.to_numpy(float), strict=True):
        colour = PALETTE[clusters.index(cluster) % len(PALETTE)]
        there = ~np.isnan(values)
        axes.plot(values[there], places[there] + 0.13, "o-", color=colour, markersize=4, linewidth=0.7, alpha=0.55)
    for place, method in enumerate(table.columns):
        own = table[[method]].dropna()
        if len(own):
            interval = mean_interval(own[method].to_numpy(float), clusters_of(own))
            axes.plot(interval.value, place - 0.13, "D", color="black", markersize=5)
            if not math.isnan(interval.low):
                axes.plot([interval.low, interval.high], [place - 0.13] * 2, color="black", linewidth=1.6)
    if 1 < len(clusters) <= len(PALETTE):
        marks = [
            axes.plot([], [], "o", color=PALETTE[i], markersize=4, label=name)[0] for i, name in enumerate(clusters)
        ]
        figure.legend(
            handles=marks,
            title=analysis.collection.cluster,
            loc="outside lower center",
            ncols=5,
            frameon=False,
            fontsize=9,
        )
    axes.set_yticks(places, [_wrapped(str(name)) for name in table.columns])
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.grid(axis="x", color="0.9", linewidth=0.8)
    return figure


def learning_curves(analysis: Analysis) -> Figure:
    """Validation scores by epoch: the mean over runs, with a band of one standard deviation."""
    curves = analysis.curves.iloc[:, :SHOWN]
    figure, axes = _figure(3.7, "epoch", f"{analysis.quantity.name} of validation images")
    for i, method in enumerate(curves.columns):
        by_epoch = curves[method].groupby(level="epoch")
        mean, std = by_epoch.mean().dropna(), by_epoch.std().reindex(by_epoch.mean().dropna().index)
        epochs = mean.index.to_numpy() + 1
        colour = PALETTE[i]
        axes.plot(epochs, mean, DASHES[i % len(DASHES)], color=colour, label=_wrapped(str(method)), linewidth=1.6)
        if std.notna().any():
            low, high = (mean - std).to_numpy(float), (mean + std).to_numpy(float)
            axes.fill_between(epochs, low, high, color=colour, alpha=0.13, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if math.isfinite(analysis.target):
        axes.axhline(analysis.target, color="0.5", linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate(
            "target", (1, analysis.target), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8
        )
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def critical_difference(ranks: Ranks) -> Figure:
    """Average ranks on a line, best on the right; bars join methods that do not differ (Demsar 2006, Fig. 1)."""
    names = list(ranks.average)[:RANKED]
    values = np.array([ranks.average[name] for name in names])
    bars = cliques(values, ranks.critical_difference)
    half = math.ceil(len(names) / 2)
    depth = 0.35 + 0.16 * len(bars)
    bottom = depth + 0.3 * half + 0.1
    low, high = math.floor(values.min()), max(math.ceil(values.max()), math.floor(values.min()) + 1)
    sides = names[half:], names[:half]
    left, right = (min(0.083 * max(map(len, side)) + 0.65, 2.4) for side in sides)  # inches
    inch = (high - low) / (WIDTH - left - right)  # in ranks
    figure = Figure(figsize=(WIDTH, 0.6 * (bottom + 1.5)), dpi=130)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(high + left * inch, low - right * inch), ylim=(bottom, -1.5))
    axes.axis("off")
    axes.plot([low, high], [0, 0], color="black", linewidth=1)
    for tick in range(low, high + 1, 1 + (high - low) // 8):
        axes.plot([tick, tick], [0, -0.13], color="black", linewidth=1)
        axes.text(tick, -0.2, str(tick), ha="center", va="bottom", fontsize=10)
    end = max(high - ranks.critical_difference, low - right * inch)
    axes.plot([high, end], [-0.85, -0.85], color="black", linewidth=1.6)
    axes.text(high, -0.92, f"critical difference {ranks.critical_difference:.2f}", ha="left", va="bottom", fontsize=10)
    for i, (first, last) in enumerate(bars):
        ends = [values[first] - 0.03 * inch, values[last] + 0.03 * inch]
        axes.plot(ends, [0.22 + 0.16 * i] * 2, color=PALETTE[0], linewidth=3.2, solid_capstyle="butt")
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        best = place < half
        at = depth + 0.3 * (place if best else len(names) - 1 - place)
        end = low - 0.1 * inch if best else high + 0.1 * inch
        axes.plot([value, value, end], [0, at, at], color="0.35", linewidth=0.8)
        text, side = (f" {value:.2f} {name}", "left") if best else (f"{name} {value:.2f} ", "right")
        axes.text(end, at, text, ha=side, va="center", fontsize=10)
    return figure


def cliques(ranks: np.ndarray, distance: float) -> list[tuple[int, int]]:
    """The longest stretches of ascending ranks whose ends differ by `distance` at most, as first and last index."""
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.flatnonzero(ranks <= ranks[first] + distance)[-1])
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def heat_map(points: Mapping[tuple[float, float], Sequence[float]], names: tuple[str, str], metric: Metric) -> Figure:
    """The mean score over two numeric settings; a frame round the best.

    Args:
        points: (value of the first setting, of the second) -> scores of its runs.
        names: of the settings: down, across.
        metric: what the scores are.
    """
    down, across = (sorted({point[axis] for point in points}) for axis in (0, 1))
    grid = np.full((len(down), len(across)), np.nan)
    for (y, x), values in points.items():
        grid[down.index(y), across.index(x)] = float(np.mean(values))
    figure, axes = _figure(1.3 + 0.5 * len(down), names[1], names[0])
    lower = metric.quantity.better == "lower"
    axes.imshow(grid, cmap="cividis_r" if lower else "cividis", aspect="auto")
    axes.set_xticks(range(len(across)), [f"{value:g}" for value in across])
    axes.set_yticks(range(len(down)), [f"{value:g}" for value in down])
    axes.spines[:].set_visible(False)
    middle = (np.nanmin(grid) + np.nanmax(grid)) / 2
    best = np.nanargmax(metric.quantity.goodness(grid))
    for flat, ((i, j), value) in enumerate(np.ndenumerate(grid)):
        if not math.isnan(value):
            colour = "white" if (value <= middle) != lower else "black"
            axes.text(j, i, metric.text(value), ha="center", va="center", fontsize=9, color=colour)
        if flat == best:
            box = (j - 0.48, i - 0.48)
            axes.add_patch(Rectangle(box, 0.96, 0.96, fill=False, edgecolor=PALETTE[1], linewidth=2.5))
    return figure


def grid_of(analysis: Analysis) -> tuple[tuple[str, str], dict[tuple[float, float], list[float]]] | None:
    """Scores over the two numeric settings that the runs vary; None where these are not two, or have one value."""
    runs = [run for run in analysis.collection.runs if len(run.numbers) >= 2]
    names = list(dict.fromkeys(name for run in runs for name in run.numbers))
    varied = [name for name in names if len({run.numbers.get(name) for run in runs} - {None}) > 1]
    if len(varied) != 2:
        return None
    points: dict[tuple[float, float], list[float]] = {}
    for run in runs:
        value = run.metrics.get(analysis.metric.key)
        if value is not None and all(name in run.numbers for name in varied):
            points.setdefault((run.numbers[varied[0]], run.numbers[varied[1]]), []).append(value)
    shown = short(varied)
    return ((shown[varied[0]], shown[varied[1]]), points) if len(points) > 1 else None


def _figure(height: float, x: str, y: str = "") -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), dpi=130, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _axis_label(metric: Metric) -> str:
    unit = f", {metric.quantity.unit}" if metric.quantity.unit in ("px", "mm") else ""
    return f"{metric.quantity.name}{unit}  ({metric.key})"


def _wrapped(name: str, width: int = 26) -> str:
    """A long label over several lines, broken after commas."""
    lines = [""]
    for part in name.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] += f"{', ' if lines[-1] else ''}{part}"
    return "\n".join(lines)


def curve_points(analysis: Analysis) -> pd.DataFrame:
    """The numbers behind `learning_curves`: a row per method and epoch, with mean, standard deviation and n."""
    long = analysis.curves.reset_index().melt(id_vars=["block", "epoch"], var_name="method").dropna()
    return long.groupby(["method", "epoch"])["value"].agg(mean="mean", std="std", n="count").reset_index()
