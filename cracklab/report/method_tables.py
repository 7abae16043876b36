"""Tables that compare methods: ranking, comparisons, other metrics, convergence."""

import math
from typing import Any

import numpy as np

from cracklab.report.analysis import COMPARED, Analysis, ImageComparison
from cracklab.report.sentences import unit_note
from cracklab.report.table import Column, Row, Table, number, spread, words
from cracklab.study.plan import slug

OTHERS = (
    "iou", "iou_image", "dice", "precision", "recall", "boundary_iou", "cl_dice", "hd95_px", "average_precision", "pieces_per_crack",
    "threshold",
)  # fmt: skip
"""Metrics of the table `Other metrics`, if the runs have them."""


def ranking(analysis: Analysis) -> Table:
    """Return mean, interval, spread, rank and wins of every method, best first."""
    metric, table, ranks = analysis.metric, analysis.table, analysis.ranks
    rows: list[Row] = []
    for place, method in enumerate(analysis.methods, 1):
        values = table[method].to_numpy(float)
        known = ~np.isnan(values)
        if not known.any():
            rows.append({"place": place, "method": method, "metric": metric.key, "n": 0})
            continue
        interval = analysis.interval(method)
        rows.append(
            {
                "place": place,
                "method": method,
                "metric": metric.key,
                "n": int(known.sum()),
                "units": interval.units,
                "design": analysis.rows.design(known),
                "mean": interval.value,
                "low": interval.low,
                "high": interval.high,
                "std": float(values[known].std(ddof=1)) if known.sum() > 1 else None,
                "seed_noise": analysis.rows.seed_noise(values[:, None]),
                "rank": ranks.average[method] if ranks else None,
                "wins": ranks.wins[method] if ranks else None,
            }
        )
    form = analysis.number_format
    columns = [
        words("method", "method"), number("mean", "mean", form), spread("95 % interval", "low", "high", form, metric.ends),
        number("std over runs", "std", form), number("std over seeds", "seed_noise", form), number("average rank", "rank", ".2f"),
        number("wins", "wins", "g"), number(f"{analysis.replication.unit}s", "units", "d"), number("n runs", "n", "d"),
    ]  # fmt: skip
    note = (
        f"{metric.label}: {metric.protocol}. {unit_note(analysis)} Each interval holds by itself with 95 %; the table Comparisons "
        "has the intervals of differences. Intervals are cut where the metric ends; ranking.csv has them uncut. Ranks and wins count the "
        f"{analysis.replication.unit}s that all methods have."
    )
    return Table("ranking", "Ranking", note, columns, rows)


def comparisons(analysis: Analysis, main: Analysis) -> Table:
    """Return the comparisons of the planned pairs, or of every pair of the best methods, over runs and over images.

    Args:
        analysis: of one metric of the report.
        main: of the metric that ranks the methods.
    """
    quantity = analysis.quantity
    images = {frozenset((one.first, one.second)): one for one in analysis.image_comparisons}
    rows: list[Row] = []
    listed = set()
    for one in analysis.comparisons:
        pair = frozenset((one.first, one.second))
        listed.add(pair)
        row = {
            "better": one.first, "worse": one.second, "pairs": one.pairs, "units": one.difference.units, "difference": one.difference.value, "low": one.difference.low,
            "high": one.difference.high, "p": one.p, "p_holm": one.p_holm, "rank_biserial": one.rank_biserial,
            "superiority": one.superiority, "seed_noise": one.seed_noise, "shown": "yes" if one.significant else "no",
        }  # fmt: skip
        rows.append(row | _over_images(images.get(pair), one.first))
    for pair, other in images.items():
        if pair not in listed:
            rows.append(
                {"better": other.first, "worse": other.second, "pairs": 0, "units": 0}
                | _over_images(other, other.first)
            )
    scale, unit = f", {quantity.unit}" if quantity.unit else "", analysis.replication.unit
    columns = [
        words("better mean", "better"), words("than", "worse"), _scaled(f"by{scale}", "difference", analysis),
        _scaled_interval("simultaneous 95 % interval", "low", "high", analysis), number("p after Holm", "p_holm", ".3g"), words("shown", "shown"),
        number("effect (rank-biserial)", "rank_biserial", ".2f"), number(f"P(better), {unit}s", "superiority", ".2f"),
        number(f"{unit}s", "units", "d"), number("pairs", "pairs", "d"), _scaled(f"on images by{scale}", "images_difference", analysis),
        _scaled_interval("simultaneous 95 % interval, photos", "images_low", "images_high", analysis),
        number("P(better), images", "images_superiority", ".2f"), number("images", "images", "d"), number("photos", "photos", "d"),
    ]  # fmt: skip
    some = f"The {COMPARED} best of {len(analysis.methods)} methods. " if len(analysis.methods) > COMPARED else ""
    some = "Planned comparisons. " if analysis.is_planned else some
    note = (
        f"{analysis.metric.label}. {some}Only runs with the same block and test images are paired. {unit_note(analysis)} A difference is "
        f"shown if p after Holm's correction for {len(analysis.comparisons) + len(analysis.absent)} comparisons is below 0.05 and the interval excludes 0; the "
        "intervals of all comparisons hold together with 95 % (Bonferroni). On images: scores of an image averaged over runs, "
        "jackknife over photos; these intervals do not cover other trainings or folds."
    )
    if analysis is main:
        return Table("comparisons", "Comparisons", note, columns, rows)
    key = analysis.metric.key
    return Table(f"comparisons_{slug(key)}", f"Comparisons: {key}", note, columns, rows)


def _over_images(one: ImageComparison | None, first: str) -> dict[str, Any]:
    """Return the columns of a comparison over images, with the sign that favours `first`."""
    if one is None:
        return {}
    one = one if one.first == first else one.turned
    return {
        "images_difference": one.difference.value,
        "images_low": one.difference.low,
        "images_high": one.difference.high,
        "images_superiority": one.superiority,
        "images": one.images,
        "photos": one.difference.units,
    }


def overview(analysis: Analysis) -> Table:
    """Return mean and standard deviation of other metrics by method."""
    keys = [f"test/{name}" for name in OTHERS]
    scores = {key: analysis.scores(key) for key in keys if any(key in run.metrics for run in analysis.collection.runs)}
    rows: list[Row] = []
    for method in analysis.methods:
        row: dict[str, Any] = {"method": method, "n": len(analysis.runs_of(method))}
        for key, table in scores.items():
            values = table[method].to_numpy(float)
            known = values[~np.isnan(values)]
            row[key] = analysis.mean(values) if len(known) else None
            row[f"{key} std"] = float(known.std(ddof=1)) if len(known) > 1 else None
        rows.append(row)
    columns = [words("method", "method"), *(_plus_minus(key) for key in scores), number("n runs", "n", "d")]
    note = f"Mean over {analysis.replication.unit}s ± standard deviation over runs, from test_metrics.json, at each checkpoint's threshold."
    return Table("metrics", "Other metrics", note, columns, rows)


def _plus_minus(key: str) -> Column:
    form = ".2f" if key.endswith(("_px", "_mm")) else ".4f"

    def text(row: Row) -> str:
        if row.get(key) is None:
            return "-"
        spread = row.get(f"{key} std")
        return format(row[key], form) + (f" ± {format(spread, form)}" if spread is not None else "")

    return Column(key, key, text)


def convergence(analysis: Analysis) -> Table | None:
    """Return superiority over epochs and epochs to the target by method; None without learning curves."""
    found = analysis.learning.convergence()
    if not found:
        return None
    rows = [{**vars(one), "target": analysis.learning.target, "reached_share": one.reached / one.runs} for one in found]
    columns = [
        words("method", "method"),
        number("superiority", "superiority", ".1%"),
        number("epochs to target", "epochs", "g"),
        Column("runs that reached it", "reached_share", lambda row: f"{row['reached']} of {row['runs']}"),
        number("best epoch, mean", "best", analysis.number_format),
    ]
    epochs = len(analysis.learning.curves.dropna())
    note = (
        f"{analysis.metric.curve} of validation images. Superiority: share of {epochs} epochs (all blocks) in which the method is the best "
        f"(Guel 2023). Target: {analysis.metric.text(analysis.learning.target)}; epochs to target: median of the runs that reached it."
    )
    return Table("convergence", "Convergence", note, columns, rows)


def _scaled(heading: str, key: str, analysis: Analysis) -> Column:
    """Return a column of differences, written as in sentences."""
    return Column(heading, key, lambda row: "-" if _is_missing(row, key) else analysis.quantity.text(row[key]))


def _scaled_interval(heading: str, low: str, high: str, analysis: Analysis) -> Column:
    write = analysis.quantity.text
    return Column(
        heading,
        low,
        lambda row: (
            "-" if _is_missing(row, low) or _is_missing(row, high) else f"{write(row[low])} to {write(row[high])}"
        ),
    )


def _is_missing(row: Row, key: str) -> bool:
    value = row.get(key)
    return value is None or math.isnan(value)
