"""What stands in a report, in order: sentences, tables, figures."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from cracklab.report import facts, figures, panels, tables
from cracklab.report.analysis import COMPARED, Analysis, ImageComparison
from cracklab.report.statistics import clusters_of, coverage_at_most, design, interval_text, mean_interval, sentence
from cracklab.report.table import Table, number

MISSING, ALIKE = 50, 3
"""Missing runs that are named, and methods like the best one that have a sentence each."""


@dataclass(frozen=True)
class Picture:
    """A figure: PNG always, SVG where it is drawn from lines."""

    name: str
    title: str
    note: str
    alt: str
    png: bytes
    svg: str | None = None
    wide: bool = False
    """Whether it is shown at full size on a small screen, to be moved sideways."""


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    id: str
    title: str
    items: Sequence[Table | Picture]


@dataclass(frozen=True)
class Content:
    """A whole report."""

    title: str
    subtitle: str
    summary: Sequence[str]
    """Plain sentences on what the runs show."""
    cautions: Sequence[str]
    """What to keep in mind."""
    unfinished: str = ""
    """How many runs are not there yet; nothing where none is missing."""
    missing: Sequence[str] = ()
    """Which these are, and how far they are."""
    sections: Sequence[Section] = field(default_factory=list)


def build(analysis: Analysis, title: str) -> Content:
    """Everything that the runs allow."""
    found = analysis.collection
    runs, methods = len(found.runs), len(analysis.methods)
    missing = [f"{name} ({state})" for name, state in found.missing.items()]
    unfinished = f"Unfinished: {len(missing)} of {runs + len(missing)} runs are missing." if missing else ""
    if len(missing) > MISSING:
        missing = [*missing[:MISSING], f"and {len(missing) - MISSING} more"]
    return Content(
        title,
        f"{runs} {'run' if runs == 1 else 'runs'}, {methods} {'method' if methods == 1 else 'methods'}; {analysis.metric.label}, "
        f"{analysis.metric.protocol}",
        summary(analysis),
        cautions(analysis),
        unfinished,
        missing,
        [section for section in _sections(analysis) if section.items],
    )


def summary(analysis: Analysis) -> list[str]:
    """Sentences: the best method against the others, or the mean where there is one method."""
    best = analysis.methods[0]
    if len(analysis.methods) == 1:
        return [_alone(analysis, best)]
    with_best = [one for one in analysis.comparisons if best in (one.first, one.second)]
    alike = [one for one in with_best if not one.significant]
    lines = [f"{sentence(one, analysis.quantity)}." for one in with_best if one.significant or one in alike[:ALIKE]]
    if len(alike) > ALIKE:
        others = [one.second if one.first == best else one.first for one in alike[ALIKE:]]
        lines.append(f"Nor can they show a difference between {best} and {'; '.join(others)}.")
    if len(analysis.comparisons) > 1:
        shown = sum(one.significant for one in analysis.comparisons)
        lines.append(f"Of {len(analysis.comparisons)} comparisons, these runs show {shown} to be a difference.")
    left = {frozenset((one.first, one.second)) for one in with_best if one.significant}
    images = [one for one in analysis.image_comparisons if best in (one.first, one.second)]
    images = [one for one in images if frozenset((one.first, one.second)) not in left]
    return lines + [_on_images(analysis, one) for one in images[:ALIKE]]


def _alone(analysis: Analysis, method: str) -> str:
    own = analysis.table[[method]].dropna()
    mean = mean_interval(own[method].to_numpy(float), clusters_of(own))
    value, low, high = (analysis.metric.text(end) for end in (mean.value, mean.low, mean.high))
    kind = "95 % interval" if mean.clusters >= 5 else "whole range"
    within = "no interval" if math.isnan(mean.low) else f"{kind} {low} to {high}"
    return f"{method}: {analysis.quantity.name} {value} ({within}, n = {design(own)})."


def _on_images(analysis: Analysis, one: ImageComparison) -> str:
    """A comparison over images in words."""
    if one.difference.value < 0:
        one = one.turned
    verdict = "better than" if one.significant else "ahead of, but not clearly better than,"
    return (
        f"On the {one.images} images ({one.difference.clusters} photos) that both were tested on, and for these trainings alone, "
        f"{one.first} is {analysis.quantity.amount(one.difference.value)} {verdict} {one.second} "
        f"({interval_text(one.difference, analysis.quantity)} over photos)."
    )


def cautions(analysis: Analysis) -> list[str]:
    """What a reader should know before believing the numbers."""
    found, table = analysis.collection, analysis.table
    lines = []
    clusters = len(set(clusters_of(table)))
    folds = table.index.get_level_values(0).nunique() > 1
    if 1 < clusters < 6:
        lines.append(
            f"Intervals resample {clusters} {f'{found.cluster}s' if folds else 'seeds'}: even their whole range holds the truth with "
            f"probability {coverage_at_most(clusters):.0%} at most."
        )
    if folds:
        lines.append(
            "Folds share training images, so their scores are less independent than intervals and tests take them for."
        )
    for axis, noun in (("repeat", "repeat"), ("data.split_seed", "split seed")):
        if folds and len({run.replicate.get(axis) for run in found.runs}) > 1:
            lines.append(
                f"Folds of every {noun} count as folds of their own although they cut the same images: intervals are too narrow."
            )
    unmatched = [method for method in analysis.methods if table[method].isna().any()]
    if len(analysis.methods) > 1 and unmatched and not table.dropna().size:
        lines.append("No block has all methods on the same test images, so there are neither ranks nor wins.")
    elif unmatched:
        lines.append(
            f"Not every method has a run in every block: {', '.join(unmatched[:COMPARED])}. Comparisons use common blocks."
        )
    if any(run.metrics.get(analysis.metric.key) is None for run in found.runs):
        lines.append(
            f"Some runs have no value of {analysis.metric.key}, because there was nothing to measure; they are left out."
        )
    for item in ("determinism tier", "device", "torch", "cracklab", "git revision"):
        different = {facts.items(run.environment).get(item, "not recorded") for run in found.runs}
        if len(different) > 1:
            lines.append(f"Runs differ in their {item}: {', '.join(sorted(different))}.")
    return lines


def _sections(analysis: Analysis) -> list[Section]:
    several = len(analysis.methods) > 1
    return [
        Section(
            "ranking",
            "Ranking",
            _some(tables.ranking(analysis), _paired(analysis), _ranks(analysis) if several else None),
        ),
        Section(
            "comparisons", "Comparisons", [tables.comparisons(analysis)] if several and _compared(analysis) else []
        ),
        Section("grid", "Grid", _some(*_grid(analysis))),
        Section("metrics", "Other metrics", [tables.overview(analysis)]),
        Section("learning", "Learning", _some(_curves(analysis), tables.convergence(analysis))),
        Section("pictures", "Pictures", _some(_same(analysis), _worst(analysis), facts.worst_images(analysis))),
        Section("cost", "Cost", _some(facts.costs(analysis))),
        Section("environment", "Environment and runs", _some(facts.environment(analysis), facts.all_runs(analysis))),
    ]


def _some(*items: Table | Picture | None) -> list[Table | Picture]:
    return [item for item in items if item is not None]


def _compared(analysis: Analysis) -> bool:
    return bool(analysis.comparisons or analysis.image_comparisons)


def _drawn(name: str, title: str, note: str, alt: str, draw: Callable[[], Figure]) -> Picture:
    figure = draw()
    return Picture(name, title, note, alt, figures.as_png(figure), figures.as_svg(figure))


def _paired(analysis: Analysis) -> Picture:
    key, noun = analysis.metric.key, analysis.collection.cluster
    many = f" The {figures.RANKED} best of {len(analysis.methods)}." if len(analysis.methods) > figures.RANKED else ""
    note = f"{key} of every run: circles of one colour and line are one {noun} and seed; diamonds are means with 95 % intervals.{many}"
    alt = f"{analysis.quantity.name} of every run by method; the numbers are in the tables of runs and ranking"
    return _drawn("paired", f"{analysis.quantity.name} by method", note, alt, lambda: figures.paired(analysis))


def _ranks(analysis: Analysis) -> Picture | None:
    ranks = analysis.ranks
    if ranks is None or len(ranks.average) < 3:
        return None
    p = "" if ranks.p_friedman is None else f" Friedman test that all rank alike: p = {ranks.p_friedman:.2g}."
    note = (
        f"Average ranks over {ranks.blocks} blocks ({analysis.metric.key}); bars join methods that the Nemenyi test at 0.05 does not tell "
        f"apart.{p} It was made for independent data sets (Demsar 2006); folds and seeds of one are less than that."
    )
    order = ", ".join(f"{name} {rank:.2f}" for name, rank in list(ranks.average.items())[: figures.RANKED])
    alt = f"Average ranks, best first: {order}"
    return _drawn("critical_difference", "Average ranks", note, alt, lambda: figures.critical_difference(ranks))


def _grid(analysis: Analysis) -> tuple[Table | Picture, ...]:
    grid = figures.grid_of(analysis)
    if grid is None:
        return ()
    names, points = grid
    note = f"Mean over runs of {analysis.metric.key}, {analysis.metric.protocol}; the best is framed."
    alt = f"Heat map of {analysis.quantity.name} over {names[0]} and {names[1]}; the numbers follow as a table"
    rows = [
        {names[0]: at[0], names[1]: at[1], "mean": sum(v) / len(v), "n": len(v)} for at, v in sorted(points.items())
    ]
    form = tables.form_of(analysis)
    columns = [
        number(names[0], names[0], "g"),
        number(names[1], names[1], "g"),
        number("mean", "mean", form),
        number("n runs", "n", "d"),
    ]
    title = f"{analysis.quantity.name} over {names[0]} and {names[1]}"
    picture = _drawn("heat_map", title, note, alt, lambda: figures.heat_map(points, names, analysis.metric))
    return picture, Table("grid", title, note, columns, rows, folded=True)


def _curves(analysis: Analysis) -> Picture | None:
    if analysis.curves.empty:
        return None
    points = figures.curve_points(analysis)
    shown = analysis.methods[: figures.SHOWN]
    many = (
        f" The {figures.SHOWN} best of {len(analysis.methods)} methods."
        if len(analysis.methods) > figures.SHOWN
        else ""
    )
    note = (
        f"{analysis.metric.curve} by epoch: mean over runs ({int(points['n'].max())} at most), band of one standard deviation.{many} Dotted: "
        "the target of the table below."
    )
    alt = f"Validation {analysis.quantity.name} by epoch for {', '.join(shown)}; convergence follows as a table"
    return _drawn("learning_curves", "Learning curves", note, alt, lambda: figures.learning_curves(analysis))


def _same(analysis: Analysis) -> Picture | None:
    sheet = panels.same_images(analysis)
    if sheet is None:
        return None
    note = (
        f"{sheet.block}. Columns: test images; rows: photo, truth, errors of each method at its checkpoint's threshold."
    )
    alt = f"Errors of {', '.join(sheet.methods)} on the test images {', '.join(sheet.images)}"
    return Picture("same_images", "The same images across methods", note, alt, panels.as_png(sheet.picture), wide=True)


def _worst(analysis: Analysis) -> Picture | None:
    found = panels.worst_sheet(analysis)
    if found is None:
        return None
    name, png = found
    note = f"Run {name}: photo, truth, probability, errors, and the maps of its loss."
    title = f"Worst images of {analysis.methods[0]}" if len(analysis.methods) > 1 else "Worst images"
    return Picture("worst_images_panel", title, note, f"The worst test images of run {name}", png, wide=True)
