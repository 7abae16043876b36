"""The sentences of a report: what the runs show, and what limits it."""

import math

from cracklab.report.analysis import COMPARED, Analysis, ImageComparison
from cracklab.report.run_tables import environment_items
from cracklab.report.statistics import (
    Comparison,
    Interval,
    Quantity,
    clusters_of,
    coverage_at_most,
    design,
    least_pairs,
    mean_interval,
)

MAX_ALIKE = 3
"""Number of methods not shown to differ from the best one that get a sentence of their own."""


def summary(analysis: Analysis) -> list[str]:
    """Return sentences on the best method against the others, or on the mean if there is one method."""
    best = analysis.methods[0]
    if len(analysis.methods) == 1:
        return [_single_method(analysis, best)]
    with_best = [one for one in analysis.comparisons if best in (one.first, one.second)]
    alike = [one for one in with_best if not one.significant]
    lines = [f"{sentence(one, analysis.quantity)}." for one in with_best if one.significant or one in alike[:MAX_ALIKE]]
    if len(alike) > MAX_ALIKE:
        others = [one.second if one.first == best else one.first for one in alike[MAX_ALIKE:]]
        lines.append(f"They show no difference between {best} and {'; '.join(others)} either.")
    if len(analysis.comparisons) > 1:
        significant = sum(one.significant for one in analysis.comparisons)
        lines.append(f"{significant} of {len(analysis.comparisons)} comparisons show a difference.")
    decided = {frozenset((one.first, one.second)) for one in with_best if one.significant}
    images = [one for one in analysis.image_comparisons if best in (one.first, one.second)]
    images = [one for one in images if frozenset((one.first, one.second)) not in decided]
    return lines + [_on_images(analysis, one) for one in images[:MAX_ALIKE]]


def sentence(one: Comparison, quantity: Quantity) -> str:
    """Return a comparison as a sentence without its full stop."""
    by, inside = quantity.amount(one.difference.value), f"{interval_text(one.difference, quantity)}, n = {one.design}"
    if one.significant:
        return f"{one.first} beats {one.second} by {by} ({inside})"
    noise = (
        f"; seed noise {quantity.text(one.seed_noise)} {quantity.unit}".rstrip() if one.seed_noise is not None else ""
    )
    needed = least_pairs(one.family)
    few = f"; too few pairs for a test, at least {needed} are needed" if one.pairs < needed else ""
    return (
        f"{one.first} and {one.second}: these runs show no difference "
        f"({by} in favour of {one.first}, {inside}{noise}{few})"
    )


def interval_text(one: Interval, quantity: Quantity) -> str:
    """Return the ends of an interval; with fewer than five clusters it is called the whole range, which it nearly is."""
    if math.isnan(one.low):
        return "no interval"
    kind = "95 % interval" if one.clusters >= 5 else "whole range"
    return f"{kind} {quantity.text(one.low)} to {quantity.text(one.high)}"


def _single_method(analysis: Analysis, method: str) -> str:
    own = analysis.table[[method]].dropna()
    mean = mean_interval(own[method].to_numpy(float), clusters_of(own))
    value, low, high = (analysis.metric.text(end) for end in (mean.value, mean.low, mean.high))
    kind = "95 % interval" if mean.clusters >= 5 else "whole range"
    within = "no interval" if math.isnan(mean.low) else f"{kind} {low} to {high}"
    return f"{method}: {analysis.quantity.name} {value} ({within}, n = {design(own)})."


def _on_images(analysis: Analysis, one: ImageComparison) -> str:
    """Return a comparison over images as a sentence."""
    if one.difference.value < 0:
        one = one.turned
    verdict = "better than" if one.significant else "ahead of, but not clearly better than,"
    return (
        f"On the {one.images} images ({one.difference.clusters} photos) that both were tested on, and for these trainings alone, "
        f"{one.first} is {analysis.quantity.amount(one.difference.value)} {verdict} {one.second} "
        f"({interval_text(one.difference, analysis.quantity)} over photos)."
    )


def cautions(analysis: Analysis) -> list[str]:
    """Return sentences on what limits the conclusions."""
    found, table = analysis.collection, analysis.table
    lines = []
    clusters = len(set(clusters_of(table)))
    folds = table.index.get_level_values(0).nunique() > 1
    if 1 < clusters < 6:
        lines.append(
            f"Intervals resample {clusters} {f'{found.cluster}s' if folds else 'seeds'}: even their whole range contains the true "
            f"value with a probability of at most {coverage_at_most(clusters):.0%}."
        )
    if folds:
        lines.append(
            "Folds share training images, so their scores are less independent than intervals and tests assume."
        )
    for axis, noun in (("repeat", "repeat"), ("data.split_seed", "split seed")):
        if folds and len({run.replicate.get(axis) for run in found.runs}) > 1:
            lines.append(
                f"The folds of every {noun} count as separate folds although they divide the same images: intervals are too narrow."
            )
    unmatched = [method for method in analysis.methods if table[method].isna().any()]
    if len(analysis.methods) > 1 and unmatched and not table.dropna().size:
        lines.append("No block has all methods on the same test images, so there are no ranks and no wins.")
    elif unmatched:
        lines.append(
            f"Some methods lack runs in some blocks: {', '.join(unmatched[:COMPARED])}. Comparisons use common blocks."
        )
    if any(run.metrics.get(analysis.metric.key) is None for run in found.runs):
        lines.append(f"Some runs have no value of {analysis.metric.key}: they had nothing to measure and are left out.")
    for item in ("determinism tier", "device", "torch", "cracklab", "git revision"):
        different = {environment_items(run.environment).get(item, "not recorded") for run in found.runs}
        if len(different) > 1:
            lines.append(f"Runs differ in their {item}: {', '.join(sorted(different))}.")
    return lines
