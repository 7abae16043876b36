"""The figures of a report: learning curves, paired scores, average ranks, heat maps.

Each function returns a matplotlib figure without a window. Colours are from the palette of Okabe and Ito; lines also
differ in their dashes, so that no method is identified by colour alone.
"""

import io
import math
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from cracklab.pictures.colours import SERIES, as_hex
from cracklab.report.analysis import Analysis
from cracklab.report.metric import Metric
from cracklab.report.statistics import Ranks
from cracklab.report.tested_run import TestedRun
from cracklab.study.methods import short

PALETTE = [as_hex(colour) for colour in SERIES]
DASHES = ("-", "--", "-.", ":")
MAX_CURVES = len(PALETTE)
"""Largest number of methods in the figure of learning curves."""
MAX_ROWS = 20
"""Largest number of methods in a figure with one row per method."""
WIDTH = 5.6
"""Inches; text of 10 pt stays readable on a phone."""
CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK TC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Droid Sans Fallback", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR", "IPAexGothic", "NanumGothic",
    "Microsoft YaHei", "SimHei", "Yu Gothic", "MS Gothic", "Malgun Gothic", "PingFang SC", "Hiragino Sans GB", "Hiragino Sans",
    "Apple SD Gothic Neo", "Arial Unicode MS",
)  # fmt: skip
"""Fonts of Linux, Windows and macOS with Chinese, Japanese or Korean characters, which matplotlib's own font lacks."""


def font_family() -> list[str]:
    """Return matplotlib's `font.family`: its own font, then the fonts of `CJK_FONTS` that are installed."""
    installed = {font.name for font in fontManager.ttflist}  # matplotlib warns of the others
    return ["sans-serif", *(name for name in CJK_FONTS if name in installed)]


def as_svg(figure: Figure) -> str:
    """Return a figure as SVG: the same bytes for the same figure, and text as outlines, so that no font is needed."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "cracklab", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG at 200 dpi."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=200, metadata={"Software": None})
    return data.getvalue()


def paired(analysis: Analysis) -> Figure:
    """Draw the score of every run by method, best method on top: a line joins the runs of a block, diamonds are means."""
    table = analysis.table.iloc[:, :MAX_ROWS]
    figure, axes = _figure(0.9 + 0.42 * table.shape[1], _axis_label(analysis.metric))
    places = np.arange(table.shape[1])
    names = [next(iter(runs.values())).block for runs in analysis.blocks.values()]
    blocks = list(dict.fromkeys(names))
    for name, values in zip(names, table.to_numpy(float), strict=True):
        colour = PALETTE[blocks.index(name) % len(PALETTE)]
        there = ~np.isnan(values)
        axes.plot(values[there], places[there] + 0.13, "o-", color=colour, markersize=4, linewidth=0.7, alpha=0.55)
    for place, method in enumerate(table.columns):
        interval = analysis.interval(str(method)).cut(analysis.metric.ends)
        if interval.units:
            axes.plot(interval.value, place - 0.13, "D", color="black", markersize=5)
            if not math.isnan(interval.low):
                axes.plot([interval.low, interval.high], [place - 0.13] * 2, color="black", linewidth=1.6)
    if 1 < len(blocks) <= len(PALETTE):
        marks = [axes.plot([], [], "o", color=PALETTE[i], markersize=4, label=name)[0] for i, name in enumerate(blocks)]
        figure.legend(
            handles=marks,
            title=analysis.collection.block,
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
    """Draw validation scores by epoch: mean over runs with a band of one standard deviation."""
    curves = analysis.learning.curves.iloc[:, :MAX_CURVES]
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
    if math.isfinite(analysis.learning.target):
        axes.axhline(analysis.learning.target, color="0.5", linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate(
            "target",
            (1, analysis.learning.target),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
        )
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def critical_difference(ranks: Ranks) -> Figure:
    """Draw average ranks on a line, best on the right; bars join methods that do not differ (Demsar 2006, Fig. 1)."""
    names = list(ranks.average)[:MAX_ROWS]
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
    """Return the maximal groups of ascending ranks whose ends differ by at most `distance`, as first and last index."""
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.flatnonzero(ranks <= ranks[first] + distance)[-1])
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def heat_map(means: Mapping[tuple[float, float], float], names: tuple[str, str], metric: Metric) -> Figure:
    """Draw the mean score over two numeric settings, with a frame around the best.

    Args:
        means: (value of the first setting, of the second) -> mean score.
        names: names of the settings: rows, columns.
        metric: the metric of the scores.
    """
    down, across = (sorted({point[axis] for point in means}) for axis in (0, 1))
    grid = np.full((len(down), len(across)), np.nan)
    for (y, x), mean in means.items():
        grid[down.index(y), across.index(x)] = mean
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


def grid_of(analysis: Analysis) -> tuple[tuple[str, str], dict[tuple[float, float], list[TestedRun]]] | None:
    """Return the names of the two numeric settings that vary and the runs by their values.

    None if not exactly two vary, or if other settings vary with them: two losses whose parameters have the same names are not a grid.
    """
    runs = [run for run in analysis.collection.runs if len(run.numbers) >= 2]
    names = list(dict.fromkeys(name for run in runs for name in run.numbers))
    varied = [name for name in names if len({run.numbers.get(name) for run in runs} - {None}) > 1]
    if len(varied) != 2:
        return None
    points: dict[tuple[float, float], list[TestedRun]] = {}
    for run in runs:
        if run.metrics.get(analysis.metric.key) is not None and all(name in run.numbers for name in varied):
            points.setdefault((run.numbers[varied[0]], run.numbers[varied[1]]), []).append(run)
    values_of: dict[tuple[tuple[str, str], ...], set[tuple[float, float]]] = {}
    for at, some in points.items():
        for run in some:
            values_of.setdefault(tuple(sorted(run.texts.items())), set()).add(at)
    if any(values != set(points) for values in values_of.values()):
        return None
    names_of = short(varied)
    return ((names_of[varied[0]], names_of[varied[1]]), points) if len(points) > 1 else None


def _figure(height: float, x: str, y: str = "") -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), dpi=130, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _axis_label(metric: Metric) -> str:
    unit = f", {metric.quantity.unit}" if metric.quantity.unit in ("px", "mm") else ""
    return f"{metric.quantity.name}{unit}  ({metric.key})"


def _wrapped(name: str, width: int = 26) -> str:
    """Break a long label after commas."""
    lines = [""]
    for part in name.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] += f"{', ' if lines[-1] else ''}{part}"
    return "\n".join(lines)


def curve_points(analysis: Analysis) -> pd.DataFrame:
    """Return the numbers of `learning_curves`: mean, standard deviation and n of every method and epoch."""
    long = analysis.learning.curves.reset_index().melt(id_vars=["block", "epoch"], var_name="method").dropna()
    return long.groupby(["method", "epoch"])["value"].agg(mean="mean", std="std", n="count").reset_index()
