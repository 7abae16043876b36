"""Tables that compare methods: ranking, comparisons, other metrics, convergence."""

import math
from typing import Any

from cracklab.report.analysis import COMPARED, Analysis, ImageComparison
from cracklab.report.statistics import clusters_of, design, mean_interval, seed_noise
from cracklab.report.table import Column, Row, Table, number, spread, words

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
        own = table[[method]].dropna()
        if own.empty:
            rows.append({"place": place, "method": method, "metric": metric.key, "n": 0})
            continue
        values = own[method].to_numpy(float)
        interval = mean_interval(values, clusters_of(own))
        rows.append(
            {
                "place": place,
                "method": method,
                "metric": metric.key,
                "n": len(own),
                "design": design(own),
                "mean": interval.value,
                "low": interval.low,
                "high": interval.high,
                "std": float(values.std(ddof=1)) if len(values) > 1 else None,
                "seed_noise": seed_noise(own),
                "rank": ranks.average[method] if ranks else None,
                "wins": analysis.wins[method] if ranks else None,
            }
        )
    form = number_format(analysis)
    columns = [
        words("method", "method"), number("mean", "mean", form), spread("95 % interval", "low", "high", form),
        number("std over runs", "std", form), number("std over seeds", "seed_noise", form), number("average rank", "rank", ".2f"),
        number("wins", "wins", "g"), number("n runs", "n", "d"),
    ]  # fmt: skip
    note = (
        f"{metric.label}: {metric.protocol}; mean over runs. Intervals are bootstrap intervals that resample each "
        f"{analysis.collection.cluster} with all its runs, or seeds if there is only one; with fewer than five of them the interval "
        "is nearly their whole range."
    )
    return Table("ranking", "Ranking", note, columns, rows)


def comparisons(analysis: Analysis) -> Table:
    """Return the comparisons of every pair of the best methods, over runs and over images."""
    quantity = analysis.quantity
    images = {frozenset((one.first, one.second)): one for one in analysis.image_comparisons}
    rows: list[Row] = []
    listed = set()
    for one in analysis.comparisons:
        pair = frozenset((one.first, one.second))
        listed.add(pair)
        row = {
            "better": one.first, "worse": one.second, "pairs": one.pairs, "difference": one.difference.value, "low": one.difference.low,
            "high": one.difference.high, "p": one.p, "p_holm": one.p_holm, "rank_biserial": one.rank_biserial,
            "superiority": one.superiority, "seed_noise": one.seed_noise, "shown": "yes" if one.significant else "no",
        }  # fmt: skip
        rows.append(row | _over_images(images.get(pair), one.first))
    for pair, other in images.items():
        if pair not in listed:
            rows.append({"better": other.first, "worse": other.second, "pairs": 0} | _over_images(other, other.first))
    unit = f", {quantity.unit}" if quantity.unit else ""
    columns = [
        words("better mean", "better"), words("than", "worse"), _scaled(f"by{unit}", "difference", analysis),
        _scaled_interval("95 % interval", "low", "high", analysis), number("p after Holm", "p_holm", ".3g"), words("shown", "shown"),
        number("effect (rank-biserial)", "rank_biserial", ".2f"), number("P(better), runs", "superiority", ".2f"),
        number("pairs", "pairs", "d"), _scaled(f"on images by{unit}", "images_difference", analysis),
        _scaled_interval("95 % interval, photos", "images_low", "images_high", analysis),
        number("P(better), images", "images_superiority", ".2f"), number("images", "images", "d"), number("photos", "photos", "d"),
    ]  # fmt: skip
    some = f"The {COMPARED} best of {len(analysis.methods)} methods. " if len(analysis.methods) > COMPARED else ""
    note = (
        f"{analysis.metric.label}. {some}Over runs: pairs with the same block and test images; Wilcoxon signed-rank test with Holm's "
        f"correction for {len(analysis.comparisons)} comparisons. Over images: scores of an image averaged over runs, bootstrap over "
        "whole photos; this interval does not cover other trainings or folds. A difference is shown (significant) if p after "
        "Holm is below 0.05 and the interval over runs excludes 0."
    )
    return Table("comparisons", "Comparisons", note, columns, rows)


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
        "photos": one.difference.clusters,
    }


def overview(analysis: Analysis) -> Table:
    """Return mean and standard deviation of other metrics by method."""
    keys = [f"test/{name}" for name in OTHERS]
    scores = {key: analysis.scores(key) for key in keys if any(key in run.metrics for run in analysis.collection.runs)}
    rows: list[Row] = []
    for method in analysis.methods:
        row: dict[str, Any] = {"method": method, "n": len(analysis.runs_of(method))}
        for key, table in scores.items():
            values = table[method].dropna().to_numpy(float)
            row[key] = float(values.mean()) if len(values) else None
            row[f"{key} std"] = float(values.std(ddof=1)) if len(values) > 1 else None
        rows.append(row)
    columns = [words("method", "method"), *(_plus_minus(key) for key in scores), number("n runs", "n", "d")]
    note = "Mean ± standard deviation over runs, from test_metrics.json, at each checkpoint's threshold."
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
    found = analysis.convergence()
    if not found:
        return None
    rows = [{**vars(one), "target": analysis.target, "reached_share": one.reached / one.runs} for one in found]
    columns = [
        words("method", "method"),
        number("superiority", "superiority", ".1%"),
        number("epochs to target", "epochs", "g"),
        Column("runs that reached it", "reached_share", lambda row: f"{row['reached']} of {row['runs']}"),
        number("best epoch, mean", "best", number_format(analysis)),
    ]
    epochs = len(analysis.curves.dropna())
    note = (
        f"{analysis.metric.curve} of validation images. Superiority: share of {epochs} epochs (all blocks) in which the method is the best "
        f"(Guel 2023). Target: {analysis.metric.text(analysis.target)}; epochs to target: median of the runs that reached it."
    )
    return Table("convergence", "Convergence", note, columns, rows)


def number_format(analysis: Analysis) -> str:
    """Return the format of the metric's values: two decimals for lengths, else four."""
    return ".2f" if analysis.quantity.unit in ("px", "mm") else ".4f"


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
