"""The content of a report, in order: sentences, tables, figures."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from matplotlib import rc_context
from matplotlib.figure import Figure

from cracklab.report import figures, method_tables, panels, run_tables
from cracklab.report.analysis import Analysis
from cracklab.report.blocks import count
from cracklab.report.sentences import cautions, in_short, summary
from cracklab.report.table import Table, number

MAX_MISSING = 10
"""Number of missing runs that are listed."""
PHOTOS = ("same_images", "worst_images_panel")
"""Names of the pictures of test images."""


@dataclass(frozen=True)
class Picture:
    """A figure: always as PNG, also as SVG if it is drawn."""

    name: str
    title: str
    note: str
    alt: str
    png: bytes
    svg: str | None = None
    wide: bool = False
    """Whether a small screen shows it at full size and scrolls sideways."""


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
    """Sentences on what the runs show."""
    cautions: Sequence[str]
    """Sentences on what limits the conclusions."""
    unfinished: str = ""
    """Sentence on the number of missing runs; empty if none is missing."""
    missing: Sequence[str] = ()
    """Names of the missing runs with their status."""
    sections: Sequence[Section] = field(default_factory=list)

    def without_photos(self) -> "Content":
        """Return the report without pictures of test images; drawn figures stay."""
        kept = [
            replace(section, items=[one for one in section.items if one.name not in PHOTOS])
            for section in self.sections
        ]
        return replace(self, sections=[section for section in kept if section.items])


def build(analyses: Sequence[Analysis], title: str) -> Content:
    """Return all sentences, tables and figures that the runs allow.

    Args:
        analyses: of the metric that ranks the methods, and of further metrics, in which they are compared too.
        title: of the page.
    """
    analysis, *further = analyses
    found = analysis.collection
    runs, methods = len(found.runs), len(analysis.methods)
    missing = [f"{name} ({state})" for name, state in found.missing.items()]
    unfinished = f"Unfinished: {len(missing)} of {runs + len(missing)} runs are missing." if missing else ""
    if len(missing) > MAX_MISSING:
        missing = [*missing[:MAX_MISSING], f"and {len(missing) - MAX_MISSING} more"]
    return Content(
        title,
        f"{runs} {'run' if runs == 1 else 'runs'}, {methods} {'method' if methods == 1 else 'methods'}; {analysis.metric.label}, "
        f"{analysis.metric.protocol}",
        [*summary(analysis), *(in_short(one) for one in further if one.comparisons)],
        cautions(analysis),
        unfinished,
        missing,
        [section for section in _sections(analysis, further) if section.items],
    )


def _sections(analysis: Analysis, further: Sequence[Analysis]) -> list[Section]:
    several = len(analysis.methods) > 1
    return [
        Section(
            "ranking",
            "Ranking",
            _some(method_tables.ranking(analysis), _paired(analysis), _ranks(analysis) if several else None),
        ),
        Section(
            "comparisons",
            "Comparisons",
            [method_tables.comparisons(one, analysis) for one in (analysis, *further) if several and _compared(one)],
        ),
        Section("grid", "Grid", _some(*_grid(analysis))),
        Section("metrics", "Other metrics", [method_tables.overview(analysis)]),
        Section("learning", "Learning", _some(_curves(analysis), method_tables.convergence(analysis))),
        Section("pictures", "Pictures", _some(_same(analysis), _worst(analysis), run_tables.worst_images(analysis))),
        Section("cost", "Cost", _some(run_tables.costs(analysis))),
        Section(
            "environment",
            "Environment and runs",
            _some(run_tables.environment(analysis), run_tables.all_runs(analysis)),
        ),
    ]


def _some(*items: Table | Picture | None) -> list[Table | Picture]:
    return [item for item in items if item is not None]


def _compared(analysis: Analysis) -> bool:
    return bool(analysis.comparisons or analysis.image_comparisons)


def _drawn(name: str, title: str, note: str, alt: str, draw: Callable[[], Figure]) -> Picture:
    with (
        rc_context({"text.parse_math": False, "font.family": figures.font_family()}),  # two `$` are not a formula
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the tables have the name
        figure = draw()
        return Picture(name, title, note, alt, figures.as_png(figure), figures.as_svg(figure))


def _paired(analysis: Analysis) -> Picture:
    key, noun = analysis.metric.key, analysis.collection.block
    many = (
        f" The {figures.MAX_ROWS} best of {len(analysis.methods)}." if len(analysis.methods) > figures.MAX_ROWS else ""
    )
    note = (
        f"{key} of every run: a line joins the runs with the same {noun} and seed; diamonds are means over "
        f"{analysis.replication.unit}s with 95 % intervals.{many}"
    )
    alt = f"{analysis.quantity.name} of every run by method; the tables Ranking and All runs have the numbers"
    return _drawn("paired", f"{analysis.quantity.name} by method", note, alt, lambda: figures.paired(analysis))


def _ranks(analysis: Analysis) -> Picture | None:
    ranks = analysis.ranks
    if ranks is None or len(ranks.average) < 3:
        return None
    p = "" if ranks.p_friedman is None else f" Friedman test that all rank alike: p = {ranks.p_friedman:.2g}."
    shared = ""
    if analysis.replication.overlap:
        shared = f" Both tests count them as {ranks.independent:.1f} independent ones, because they share images."
    note = (
        f"Average ranks over {count(ranks.units, analysis.replication.unit)} ({analysis.metric.key}); bars join methods that the Nemenyi "
        f"test at 0.05 does not tell apart (Demsar 2006).{p}{shared}"
    )
    order = ", ".join(f"{name} {rank:.2f}" for name, rank in list(ranks.average.items())[: figures.MAX_ROWS])
    alt = f"Average ranks, best first: {order}"
    return _drawn("critical_difference", "Average ranks", note, alt, lambda: figures.critical_difference(ranks))


def _grid(analysis: Analysis) -> tuple[Table | Picture, ...]:
    grid = figures.grid_of(analysis)
    if grid is None:
        return ()
    names, points = grid
    note = (
        f"Mean over {analysis.replication.unit}s of {analysis.metric.key}, {analysis.metric.protocol}. The frame marks the best mean; the "
        "table Comparisons says which differences are shown."
    )
    alt = f"Heat map of {analysis.quantity.name} over {names[0]} and {names[1]}; the table below has the numbers"
    means = {at: analysis.mean_of(runs) for at, runs in points.items()}
    rows = [{names[0]: at[0], names[1]: at[1], "mean": means[at], "n": len(points[at])} for at in sorted(points)]
    form = analysis.number_format
    columns = [
        number(names[0], names[0], "g"),
        number(names[1], names[1], "g"),
        number("mean", "mean", form),
        number("n runs", "n", "d"),
    ]
    title = f"{analysis.quantity.name} over {names[0]} and {names[1]}"
    picture = _drawn("heat_map", title, note, alt, lambda: figures.heat_map(means, names, analysis.metric))
    return picture, Table("grid", title, note, columns, rows, folded=True)


def _curves(analysis: Analysis) -> Picture | None:
    if analysis.learning.curves.empty:
        return None
    points = figures.curve_points(analysis)
    drawn = analysis.methods[: figures.MAX_CURVES]
    many = (
        f" The {figures.MAX_CURVES} best of {len(analysis.methods)} methods."
        if len(analysis.methods) > figures.MAX_CURVES
        else ""
    )
    note = (
        f"{analysis.metric.curve} by epoch: mean over runs ({int(points['n'].max())} at most), band of one standard deviation.{many} Dotted: the "
        "target of the table below."
    )
    alt = f"Validation {analysis.quantity.name} by epoch for {', '.join(drawn)}; the table below has the convergence"
    return _drawn("learning_curves", "Learning curves", note, alt, lambda: figures.learning_curves(analysis))


def _same(analysis: Analysis) -> Picture | None:
    sheet = panels.same_images(analysis)
    if sheet is None:
        return None
    note = (
        f"{sheet.block}. Columns: test images. Rows: photo, truth, errors of each method at its checkpoint's threshold."
    )
    alt = f"Errors of {', '.join(sheet.methods)} on the test images {', '.join(sheet.images)}"
    return Picture(PHOTOS[0], "The same images across methods", note, alt, panels.as_png(sheet.picture), wide=True)


def _worst(analysis: Analysis) -> Picture | None:
    found = panels.worst_sheet(analysis)
    if found is None:
        return None
    name, png = found
    note = f"Run {name}: photo, truth, probability, errors, and the target maps of its loss."
    title = f"Worst images of {analysis.methods[0]}" if len(analysis.methods) > 1 else "Worst images"
    return Picture(PHOTOS[1], title, note, f"The worst test images of run {name}", png, wide=True)
