"""Tables of runs: cost, environment, worst images, all runs."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from cracklab.report.analysis import Analysis
from cracklab.report.table import Row, Table, number, words

WORST, MAX_METHODS = 20, 6
"""Rows of the table of the worst images, and methods with a column in it."""


def costs(analysis: Analysis) -> Table | None:
    """Return time and memory by method; None if no run has any."""
    rows: list[Row] = []
    for method in analysis.methods:
        found = [run.costs for run in analysis.runs_of(method) if run.costs]
        if found:
            seconds = _all(found, "seconds")
            epochs = _all(found, "epochs")
            rows.append(
                {
                    "method": method,
                    "n": len(found),
                    "minutes": float(np.mean(seconds)) / 60 if seconds else None,
                    "epochs": float(np.mean(epochs)) if epochs else None,
                    "epoch_s": _median(found, "epoch_s"),
                    "images_per_s": _median(found, "images_per_s"),
                    "waiting_share": _median(found, "waiting_share"),
                    "gpu_peak_gb": max(_all(found, "gpu_peak_gb"), default=None),
                }
            )
    columns = [
        words("method", "method"), number("minutes a run", "minutes", ".1f"), number("epochs a run", "epochs", ".1f"),
        number("seconds an epoch", "epoch_s", ".2f"), number("images per second", "images_per_s", ".1f"),
        number("waiting for data", "waiting_share", ".1%"), number("peak GPU memory, GB", "gpu_peak_gb", ".2f"), number("n runs", "n", "d"),
    ]  # fmt: skip
    devices = Counter(device for run in analysis.collection.runs if (device := _device(run.environment)))
    note = (
        "Training with validation, from resources.csv and metrics.csv. Minutes and epochs: means over runs; rates: medians over "
        f"epochs, then over runs; memory: the highest peak of all runs. Device: {', '.join(devices) or 'unknown'}."
        + ("" if any(row["gpu_peak_gb"] for row in rows) else " GPU memory was not measured.")
    )
    return Table("costs", "Cost", note, columns, rows) if rows else None


def _all(found: list[dict[str, float]], name: str) -> list[float]:
    return [one[name] for one in found if name in one and not math.isnan(one[name])]


def _median(found: list[dict[str, float]], name: str) -> float | None:
    values = _all(found, name)
    return float(np.median(values)) if values else None


def _device(environment: Mapping[str, Any]) -> str:
    device = environment.get("device") or {}
    return " ".join(str(device[name]) for name in ("type", "name") if device.get(name))


def worst_images(analysis: Analysis) -> Table | None:
    """Return the images with the worst mean over all runs; None if the metric has no values of single images."""
    metric, quantity = analysis.metric, analysis.quantity
    keys = {method: method for method in analysis.methods[:MAX_METHODS]}
    if not keys.keys().isdisjoint(("id", "photo", "mean")):
        keys = {method: f"method {method}" for method in keys}
    found = {method: analysis.image_values(analysis.runs_of(method)) for method in analysis.methods}
    photos: dict[str, str] = {}
    for run in analysis.collection.runs:
        photos |= dict(zip(run.images.ids, run.images.groups, strict=True)) if run.images else {}
    rows: list[dict[str, Any]] = []
    for name, photo in photos.items():
        values_of = {method: values[name] for method, values in found.items() if name in values}
        numbers = [value for value in values_of.values() if not math.isnan(value)]
        if numbers:
            rows.append(
                {
                    "id": name,
                    "photo": photo,
                    "mean": float(np.mean(numbers)),
                    **{key: values_of.get(method) for method, key in keys.items()},
                }
            )
    if not rows:
        return None
    rows.sort(key=lambda row: (float(quantity.goodness(np.array(row["mean"]))), str(row["id"])))
    form = analysis.number_format
    columns = [words("image", "id"), words("photo", "photo"), number("mean of methods", "mean", form)]
    columns += [number(method, key, form) for method, key in keys.items()] if len(analysis.methods) > 1 else []
    note = f"{quantity.name} of single images ({metric.key}), averaged over runs: the {min(WORST, len(rows))} worst of {len(rows)} test images."
    return Table("worst_images", "Worst images", note, columns, rows[:WORST])


def all_runs(analysis: Analysis) -> Table:
    """Return one row per run."""
    key = analysis.metric.key
    rows = [
        {
            "run": run.name,
            "method": run.method,
            "block": run.block,
            "seed": run.seed,
            key: run.metrics.get(key),
            "images": run.metrics.get("test/images"),
            "threshold": run.metrics.get("test/threshold"),
            "minutes": run.costs["seconds"] / 60 if "seconds" in run.costs else None,
        }
        for run in analysis.collection.runs
    ]
    columns = [
        words("run", "run"), words("method", "method"), words(analysis.collection.block, "block"), words("seed", "seed"),
        number(key, key, analysis.number_format), number("threshold", "threshold", ".3f"), number("images", "images", ".0f"),
        number("minutes", "minutes", ".1f"),
    ]  # fmt: skip
    return Table(
        "runs", "All runs", f"{analysis.metric.label}: {analysis.metric.protocol}.", columns, rows, folded=True
    )


def environment(analysis: Analysis) -> Table | None:
    """Return hardware, software and determinism of the runs, one row per item and value; None if no run recorded any."""
    values: dict[str, Counter[str]] = {}
    for run in analysis.collection.runs:
        for item, value in environment_items(run.environment).items():
            values.setdefault(item, Counter())[value] += 1
    rows = [
        {"item": item, "value": value, "n": n} for item, counts in values.items() for value, n in counts.most_common()
    ]
    mixed = [item for item, counts in values.items() if len(counts) > 1]
    note = "From environment.json of each run." + (
        f" The runs differ in: {', '.join(mixed)}." if mixed else " The same for all runs."
    )
    columns = [words("item", "item"), words("value", "value"), number("n runs", "n", "d")]
    return Table("environment", "Environment", note, columns, rows) if rows else None


def environment_items(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the items of environment.json that the report shows."""
    if not environment:
        return {}
    tier, device = environment.get("determinism") or {}, environment.get("device") or {}
    git, packages = environment.get("git"), environment.get("packages") or {}
    revision = "-" if not git else f"{git.get('revision')}{' with changed files' if git.get('changed') else ''}"
    return {
        "determinism tier": f"{tier.get('tier', '-')} ({tier.get('reason', '-')})",
        "device": _device(environment) or "-",
        "precision": str(device.get("precision", "-")),
        "processes": str(device.get("processes", "-")),
        "cracklab": str(environment.get("cracklab", "-")),
        "git revision": revision,
        "python": str(environment.get("python", "-")),
        "platform": str(environment.get("platform", "-")),
        **{name: str(packages.get(name)) for name in ("torch", "lightning", "numpy") if name in packages},
    }
