"""The tables of a study, from its run folders alone: the same runs give the same bytes."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cracklab import run_folder
from cracklab.errors import RunError
from cracklab.files import write_json, write_text
from cracklab.replication import ALPHA, Replication, mean_interval
from cracklab.study.folder import OUT_OF_FOLD, REPLICATE_AXES, RUN_TABLE, SUMMARY, PlannedRun, Study
from cracklab.tables import escaped, read_csv, write_csv

CONFIDENCE = 1 - ALPHA
MAIN_METRICS = {
    "test/iou": 1.0,
    "test/iou_image": 1.0,
    "test/dice": 1.0,
    "test/precision": 1.0,
    "test/recall": 1.0,
    "test/hd95_px": math.inf,
    "test/boundary_iou": 1.0,
}
"""Metrics that summary.md shows if a run has them -> their largest value, the smallest is 0; the other tables have all metrics."""
STATISTICS = ("n", "mean", "std", "low", "high")
"""Columns of summary.csv, and keys of the metrics in summary.json."""
Metrics = Mapping[str, float | None]


def aggregate(study: Study) -> int:
    """Write all tables, and return the number of finished runs; if it is 0, write nothing.

    Raises:
        RunError: if a file of a run is damaged, or the out-of-fold rows do not hold every image of the folds exactly once.
    """
    finished = study.finished()
    if not finished:
        return 0
    metrics = {run.name: _read_metrics(study.path(run)) for run in finished}
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    tests = {run.name: [row["id"] for row in _read_rows(study.path(run) / run_folder.PER_IMAGE)] for run in finished}
    cells = summarise(finished, metrics, tests)
    axes = list(study.plan.axes)
    rows = [{"run": run.name, **run.labels, **metrics[run.name]} for run in finished]
    write_csv(study.folder / RUN_TABLE, ["run", *axes, *names], rows)
    content = {"runs": len(study.plan.runs), "finished": len(finished), "confidence": CONFIDENCE, "cells": cells}
    write_json(study.folder / f"{SUMMARY}.json", content)
    summary_rows = [
        {**cell["labels"], "metric": name, **{key: statistics[key] for key in STATISTICS}}
        for cell in cells
        for name, statistics in cell["metrics"].items()
    ]
    cell_axes = [axis for axis in axes if axis not in REPLICATE_AXES]
    write_csv(study.folder / f"{SUMMARY}.csv", [*cell_axes, "metric", *STATISTICS], summary_rows)
    write_text(study.folder / f"{SUMMARY}.md", as_markdown(study, finished, metrics, cells))
    if study.plan.command == "kfold":
        write_out_of_fold(study, finished)
    return len(finished)


def _read_metrics(folder: Path) -> Metrics:
    path = folder / run_folder.TEST_METRICS
    values = _read_object(path)
    if not all(isinstance(value, float | int | None) for value in values.values()):
        raise _damaged(path, "a value is not a number")
    return values


def _read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        RunError: if the file holds none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(values, dict):
        raise _damaged(path, "no names with values")
    return values


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(f"{path} is damaged ({reason}): restore it, or run the same command with --redo")


def summarise(
    runs: Sequence[PlannedRun], metrics: Mapping[str, Metrics], tests: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Return the cells, each with the statistics of every metric over its runs.

    Args:
        runs: finished runs.
        metrics: name of a run -> its test metrics.
        tests: name of a run -> ids of its test images.
    """
    cells: dict[tuple[Any, ...], list[PlannedRun]] = {}
    for run in runs:
        cells.setdefault(run.cell, []).append(run)
    summary = []
    for cell, members in cells.items():
        names = dict.fromkeys(name for run in members for name in metrics[run.name])
        values = {name: [metrics[run.name].get(name) for run in members] for name in names}
        units = replication_of(members, tests)
        summary.append(
            {
                "labels": dict(cell),
                "runs": [run.name for run in members],
                "metrics": {
                    name: {**statistics_of(column, units), "values": column} for name, column in values.items()
                },
            }
        )
    return summary


def statistics_of(values: Sequence[float | None], replication: Replication) -> dict[str, float | int | None]:
    """Return the number of runs, their mean and sample standard deviation (n - 1), and the 95 % interval of the mean.

    The mean and its interval are over the independent units: seeds are averaged within a fold first, and the interval
    allows for the training images that folds share; see `cracklab.replication`.

    Args:
        values: one value per run; None, for a run without a value, is ignored.
        replication: the units of the runs.

    Example:
        >>> folds = Replication.of(repeats=[0, 0], folds=[0, 1], seeds=[1, 1])
        >>> statistics_of([0.4, 0.6], folds)["mean"]
        0.5
    """
    present = [value for value in values if value is not None]
    n = len(present)
    if not n:
        return {"n": 0, "mean": None, "std": None, "low": None, "high": None}
    std = float(np.std(present, ddof=1)) if n > 1 else None
    units = replication.means(np.array([math.nan if value is None else value for value in values]))
    interval = mean_interval(units, replication.overlap)
    low, high = (None if math.isnan(end) else end for end in (interval.low, interval.high))
    return {"n": n, "mean": interval.value, "std": std, "low": low, "high": high}


def replication_of(runs: Sequence[PlannedRun], tests: Mapping[str, Sequence[str]]) -> Replication:
    """Return the independent units of runs that repeat each other, from their labels and the ids of their test images."""
    repeats = [(run.labels.get("repeat"), run.labels.get("data.split_seed")) for run in runs]
    return Replication.of(
        repeats,
        [run.labels.get("fold") for run in runs],
        [run.labels.get("seed_everything") for run in runs],
        [tests[run.name] for run in runs],
        num_folds=min(run.num_folds for run in runs),
    )


def write_out_of_fold(study: Study, finished: Sequence[PlannedRun]) -> None:
    """Write each image's row from the run that held out its fold, for every repetition whose folds are all finished.

    Raises:
        RunError: if the rows do not hold every image of the folds exactly once.
    """
    done = {run.name for run in finished}
    repetitions: dict[str, list[PlannedRun]] = {}
    for run in study.plan.runs:
        repetitions.setdefault(run.overrides["data.folds_file"], []).append(run)
    for file, runs in repetitions.items():
        if not done.issuperset(run.name for run in runs):
            continue
        rows: list[dict[str, Any]] = [
            {"id": row.pop("id"), "fold": run.labels["fold"], **row}
            for run in runs
            for row in _read_rows(study.path(run) / run_folder.PER_IMAGE)
        ]
        rows.sort(key=lambda row: row["id"])
        try:
            folds = _read_object(study.folder / file)["images"]
            expected = sorted(name for name, image in folds.items() if image["fold"] is not None)
        except (KeyError, TypeError, AttributeError) as error:
            raise _damaged(study.folder / file, f"{type(error).__name__}: {error}") from None
        if [row["id"] for row in rows] != expected:
            wrong = sorted({row["id"] for row in rows} ^ set(expected))[:5]
            raise RunError(
                f"the rows of {', '.join(run.folder for run in runs)} are not the images of {file}, each once"
                f"{': ' + ', '.join(wrong) if wrong else ''}: remove the run that was changed, and run again"
            )
        columns = list(dict.fromkeys(name for row in rows for name in row))
        write_csv((study.folder / file).parent / OUT_OF_FOLD, columns, rows)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a table; values stay text, so that they are copied exactly.

    Raises:
        RunError: if it is not a table, or a row lacks its id or a value.
    """
    try:
        rows: list[dict[str, Any]] = [*read_csv(path)]
    except (ValueError, csv.Error) as error:
        raise _damaged(path, str(error)) from None
    if not all("id" in row and row.keys() == rows[0].keys() for row in rows):
        raise _damaged(path, "a row lacks values")
    return rows


def as_markdown(
    study: Study, runs: Sequence[PlannedRun], metrics: Mapping[str, Metrics], cells: Sequence[Mapping[str, Any]]
) -> str:
    """Return summary.md: the main metrics of every cell, then of every run."""
    shown = [name for name in MAIN_METRICS if any(name in values for values in metrics.values())]
    axes = [axis for axis in study.plan.axes if axis not in REPLICATE_AXES]
    headings = [name.removeprefix("test/") for name in shown]
    cell_rows = [
        [
            *(str(cell["labels"][axis]) for axis in axes),
            *(_format_mean(cell["metrics"].get(name), MAIN_METRICS[name]) for name in shown),
        ]
        for cell in cells
    ]
    run_rows = [[run.name, *(_format(metrics[run.name].get(name)) for name in shown)] for run in runs]
    return "\n".join(
        [
            f"# {study.plan.command}: {len(runs)} of {len(study.plan.runs)} runs",
            "",
            f"Mean ± standard deviation over runs [{CONFIDENCE:.0%} interval of the mean over folds, or over seeds of one split]. "
            "The interval is Student's t, cut where a metric ends: at 0, and at 1 for shares. Its coverage stays the same; "
            f"{SUMMARY}.csv and {SUMMARY}.json have it uncut.",
            "",
            *_table([*axes, *headings], cell_rows),
            "",
            *_table(["run", *headings], run_rows),
            "",
        ]
    )


def _format_mean(statistics: Mapping[str, Any] | None, largest: float) -> str:
    """Return mean, standard deviation and interval, which ends at 0 and at the largest value of the metric."""
    if statistics is None or statistics["mean"] is None:
        return "-"
    mean = _format(statistics["mean"])
    if statistics["std"] is None:
        return mean
    ends = (None if end is None else min(max(end, 0.0), largest) for end in (statistics["low"], statistics["high"]))
    return f"{mean} ± {_format(statistics['std'])} [{', '.join(map(_format, ends))}]"


def _format(value: float | None) -> str:
    return "-" if value is None else np.format_float_positional(value, precision=4, unique=False, trim="k")


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(map(escaped, cells))} |" for cells in (heading, ["---"] * len(heading), *rows)]
