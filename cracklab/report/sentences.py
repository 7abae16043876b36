"""The sentences of a report: what the runs show, and what limits it."""

import math

from cracklab.replication import Interval, Replication
from cracklab.report.analysis import COMPARED, Analysis, ImageComparison
from cracklab.report.blocks import count
from cracklab.report.comparison import Comparison, required_effect
from cracklab.report.run_tables import environment_items
from cracklab.report.statistics import Quantity

MAX_ALIKE = 3
"""Number of methods not shown to differ from the best one that get a sentence of their own."""
HARDLY = 3.0
"""Runs that show only differences of at least this many standard deviations are said to show hardly anything."""
POWER = 0.8
"""Probability with which the number of repeats, splits or seeds that the report suggests shows a difference."""
MORE = {"fold": 10, "split": 50, "seed": 50}
"""Largest number of repeats, splits and seeds that the report suggests."""


def summary(analysis: Analysis) -> list[str]:
    """Return sentences on the planned pairs, else on the best method against the others, or on the mean of a single method."""
    best = analysis.methods[0]
    if len(analysis.methods) == 1:
        return [_single_method(analysis, best)]
    about = [one for one in analysis.comparisons if analysis.is_planned or best in (one.first, one.second)]
    alike = [] if analysis.is_planned else [one for one in about if not one.significant]
    listed = [one for one in about if one not in alike[MAX_ALIKE:]]
    lines = [f"{sentence(one, analysis.quantity, analysis.replication)}." for one in listed]
    if len(alike) > MAX_ALIKE:
        others = [one.second if one.first == best else one.first for one in alike[MAX_ALIKE:]]
        lines.append(f"Nor is a difference shown between {best} and {'; '.join(others)}.")
    if len(analysis.comparisons) > 1:
        significant = sum(one.significant for one in analysis.comparisons)
        lines.append(f"{significant} of {len(analysis.comparisons)} comparisons show a difference.")
    decided = {frozenset((one.first, one.second)) for one in about if one.significant}
    images = [one for one in analysis.image_comparisons if analysis.is_planned or best in (one.first, one.second)]
    images = [one for one in images if frozenset((one.first, one.second)) not in decided]
    return lines + [_on_images(analysis, one) for one in images[:MAX_ALIKE]]


def in_short(analysis: Analysis) -> str:
    """Return a sentence on the comparisons in a metric that does not rank the methods."""
    shown = [
        f"{one.first} beats {one.second} by {analysis.quantity.amount(one.difference.value)}"
        for one in analysis.comparisons
        if one.significant
    ]
    text = "; ".join(shown) or "no difference is shown"
    return f"{analysis.metric.key}, {count(len(analysis.comparisons), 'comparison')}: {text}."


def sentence(one: Comparison, quantity: Quantity, replication: Replication) -> str:
    """Return a comparison as a sentence without its full stop."""
    by = quantity.amount(one.difference.value) + (f" in favour of {one.first}" if one.difference.value else "")
    inside = f"{interval_text(one.difference, quantity, one.family)}, n = {one.design}"
    if one.significant:
        return f"{one.first} beats {one.second} by {quantity.amount(one.difference.value)} ({inside})"
    noise = (
        f"; seed noise {quantity.text(one.seed_noise)} {quantity.unit}".rstrip() if one.seed_noise is not None else ""
    )
    return f"{one.first} and {one.second}: no difference is shown ({by}, {inside}{noise}{_enough(one, replication)})"


def interval_text(one: Interval, quantity: Quantity, family: int) -> str:
    """Return the ends of an interval of a difference, one of `family` that hold together."""
    if math.isnan(one.low):
        return "no interval"
    kind = "simultaneous 95 % interval" if family > 1 else "95 % interval"
    return f"{kind} {quantity.text(one.low)} to {quantity.text(one.high)}"


def _enough(one: Comparison, replication: Replication) -> str:
    """Return which number of repeats, splits or seeds shows the difference of a comparison with the probability `POWER`."""
    if one.difference.units < 2:
        return f"; one {replication.unit} gives no test"
    if math.isnan(one.difference.low) or not one.std:
        return "; no test, because all differences are equal"
    noun = {"fold": "repeats of the folds", "split": "splits", "seed": "seeds"}[replication.unit]
    for number in range(2, MORE[replication.unit] + 1):
        units = _units(replication, number)
        needed = required_effect(units, replication.overlap, one.family, POWER) * one.std
        if units > one.difference.units and needed <= one.difference.value:
            return f"; if difference and spread are as large as here, {number} {noun} show it four times out of five"
    return (
        f"; if difference and spread are as large as here, {MORE[replication.unit]} {noun} may not be enough to show it"
    )


def _units(replication: Replication, number: int) -> int:
    """Return the number of units of a design with this many repeats of the folds, splits or seeds."""
    return number * (round(1 / replication.overlap) + 1) if replication.unit == "fold" else number


def _single_method(analysis: Analysis, method: str) -> str:
    mean = analysis.interval(method).cut(analysis.metric.ends)
    value, low, high = (analysis.metric.text(end) for end in (mean.value, mean.low, mean.high))
    within = "no interval" if math.isnan(mean.low) else f"95 % interval {low} to {high}"
    return f"{method}: {analysis.quantity.name} {value} ({within}, n = {analysis.rows.design(analysis.table[method].notna().to_numpy())})."


def _on_images(analysis: Analysis, one: ImageComparison) -> str:
    """Return a comparison over images as a sentence."""
    if one.difference.value < 0:
        one = one.turned
    where = f"On the {count(one.images, 'image')} ({count(one.difference.units, 'photo')}) that both were tested on"
    if not one.difference.value:
        return f"{where}, {one.first} and {one.second} have the same score."
    verdict = "better than" if one.significant else "ahead of, but not clearly better than,"
    interval = interval_text(one.difference, analysis.quantity, len(analysis.image_comparisons))
    return f"{where}, and for these trainings alone, {one.first} is {analysis.quantity.amount(one.difference.value)} {verdict} {one.second} ({interval} over photos)."


def unit_note(analysis: Analysis) -> str:
    """Return a sentence on the unit of means, intervals and tests."""
    unit = analysis.replication.unit
    if not analysis.replication.overlap:
        return f"Means, intervals and t tests are over {unit}s and hold for the images of this split."
    extra = [f"{name}s" for name in ("seed",) if len(set(analysis.table.index.get_level_values(name))) > 1]
    extra += [analysis.collection.setting] if analysis.collection.setting else []
    averaged = f"{' and '.join(extra).capitalize()} are averaged within each {unit}. " if extra else ""
    return (
        f"{averaged}Means, intervals and t tests are over {unit}s, with the correction for shared images (after Nadeau and Bengio "
        "2003)."
    )


def cautions(analysis: Analysis) -> list[str]:
    """Return sentences on what limits the conclusions."""
    found, table = analysis.collection, analysis.table
    lines = [*_limits(analysis)]
    if analysis.absent:
        lines.append(
            f"Planned comparisons of methods without a run, which count in the corrections: {', '.join(analysis.absent)}."
        )
    unmatched = [method for method in analysis.methods if table[method].isna().any()]
    if len(analysis.methods) > 1 and unmatched and not table.dropna().size:
        same = ["repeat", "fold", "seed", *([found.setting] if found.setting else []), "test images"]
        lines.append(
            "No block has runs of all methods, so there are no ranks and no wins. Runs of a block have the same "
            f"{', '.join(same[:-1])} and {same[-1]}."
        )
    elif unmatched:
        lines.append(
            f"Some methods lack runs in some blocks: {', '.join(unmatched[:COMPARED])}. Comparisons use common blocks."
        )
    if any(run.metrics.get(analysis.metric.key) is None for run in found.runs):
        lines.append(f"Some runs have no value of {analysis.metric.key}: they had nothing to measure and are left out.")
    if analysis.metric.key.startswith("native/"):
        seen = sorted({f"{run.metrics.get('native/seen_share') or 0:.3g}" for run in found.runs})
        if len(seen) > 1:
            lines.append(
                f"Runs score different shares of the files' pixels ({', '.join(seen)}, native/seen_share): set data.crop alike to "
                "compare them."
            )
    for item in ("determinism tier", "device", "torch", "cracklab", "git revision"):
        different = {environment_items(run.environment).get(item, "not recorded") for run in found.runs}
        if len(different) > 1:
            lines.append(f"Runs differ in their {item}: {', '.join(sorted(different))}.")
    return lines


def _limits(analysis: Analysis) -> list[str]:
    """Return sentences on what the design of the runs can show."""
    design_of, setting = analysis.replication, analysis.collection.setting
    units = len(set(design_of.unit_of))
    lines = []
    if units < 2:
        lines.append(
            "One split and one seed: no interval and no test. Run cracklab kfold, or a study with an axis fold or "
            "seed_everything."
        )
    elif analysis.comparisons:
        lines.append(_power(design_of, units, analysis.comparisons[0].family))
    if not design_of.overlap and len({block[4] for block in analysis.blocks}) > 1:
        lines.append(
            "Runs have different test images that are neither folds nor splits of a study: their results hold for these, not for other "
            "photos."
        )
    elif not design_of.overlap:
        lines.append("All runs have the same test images: their results hold for these, not for other photos.")
    else:
        lines.append(
            f"{design_of.unit.capitalize()}s share training images. Intervals and tests are corrected for that, which makes them too cautious "
            "if it matters little which photos train."
        )
    if design_of.unit == "fold" and analysis.table.index.get_level_values("repeat").nunique() > 1:
        lines.append(
            "Repeats divide the same photos: they average out noise of the trainings but add no photos, and their correction takes the "
            "influence of training photos on a score to be small."
        )
    if setting:
        lines.append(f"Scores are averaged over {setting}: the results hold for the average of these settings.")
    return lines


def _power(replication: Replication, units: int, family: int) -> str:
    """Return a sentence on the smallest difference that the runs can show, and on a design that shows smaller ones."""
    unit = replication.unit
    effect = required_effect(units, replication.overlap, family)
    number = 5 if unit == "fold" else 10
    while _units(replication, number) <= units:
        number *= 2
    better = required_effect(_units(replication, number), replication.overlap, family)
    noun = {"fold": "repeats of the folds", "split": "splits", "seed": "seeds"}[unit]
    hardly = "These runs can show hardly anything: a" if effect >= HARDLY else "A"
    return (
        f"{hardly} difference counts as shown from {effect:.1f} of its standard deviations over {count(units, unit)} "
        f"({count(family, 'comparison')}); with {number} {noun}, from {better:.1f}."
    )
