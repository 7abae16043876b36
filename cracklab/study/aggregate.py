"""The tables of a study, from its run folders alone: the same runs give the same bytes."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from cracklab import run_folder
from cracklab.errors import RunError
from cracklab.files import write_csv, write_json, write_text
from cracklab.study.folder import OUT_OF_FOLD, REPLICATE_AXES, RUN_TABLE, SUMMARY, PlannedRun, Study

CONFIDENCE = 0.95
MAIN_METRICS = (
    "test/iou",
    "test/iou_image",
    "test/dice",
    "test/precision",
    "test/recall",
    "test/hd95_px",
    "test/boundary_iou",
)
"""Metrics that summary.md shows if a run has them; the other tables have all metrics."""
STATISTICS = ("n", "mean", "std", "low", "high")
"""Columns of summary.csv, and keys of the metrics in summary.json."""
Metrics = Mapping[str, float | None]


def aggregate(study: Study) -> int:
    """Write all tables, and return the number of finished runs; if it is 0, write nothing.

    Raises:
        RunError: if the out-of-fold rows do not hold every image of the folds exactly once.
    """
    finished = study.finished()
    if not finished:
        return 0
    metrics = {run.name: _read_metrics(study.path(run)) for run in finished}
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    cells = summarise(finished, metrics)
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
    values: Metrics = json.loads((folder / run_folder.TEST_METRICS).read_text(encoding="utf-8"))
    return values


def summarise(runs: Sequence[PlannedRun], metrics: Mapping[str, Metrics]) -> list[dict[str, Any]]:
    """Return the cells, each with the statistics of every metric over its runs.

    Args:
        runs: finished runs.
        metrics: name of a run -> its test metrics.
    """
    cells: dict[tuple[Any, ...], list[PlannedRun]] = {}
    for run in runs:
        cells.setdefault(run.cell, []).append(run)
    summary = []
    for cell, members in cells.items():
        names = dict.fromkeys(name for run in members for name in metrics[run.name])
        values = {name: [metrics[run.name].get(name) for run in members] for name in names}
        summary.append(
            {
                "labels": dict(cell),
                "runs": [run.name for run in members],
                "metrics": {name: {**statistics_of(column), "values": column} for name, column in values.items()},
            }
        )
    return summary


def statistics_of(values: Iterable[float | None]) -> dict[str, float | int | None]:
    """Return n, mean, sample standard deviation (n - 1), and the limits of the mean's 95 % interval (Student's t).

    The interval assumes independent values. Folds share training images, so it is somewhat too narrow
    (Nadeau and Bengio 2003).

    Args:
        values: one value per run; None, for a run without a value, is ignored.

    Example:
        >>> statistics_of([0.5, None, 0.5])
        {'n': 2, 'mean': 0.5, 'std': 0.0, 'low': 0.5, 'high': 0.5}
    """
    present = [value for value in values if value is not None]
    n = len(present)
    mean = math.fsum(present) / n if n else None
    if n < 2 or mean is None:
        return {"n": n, "mean": mean, "std": None, "low": None, "high": None}
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in present) / (n - 1))
    half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * std / math.sqrt(n)
    return {"n": n, "mean": mean, "std": std, "low": mean - half, "high": mean + half}


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
        rows = [
            {"id": row.pop("id"), "fold": run.labels["fold"], **row}
            for run in runs
            for row in _read_rows(study.path(run) / run_folder.PER_IMAGE)
        ]
        rows.sort(key=lambda row: row["id"])
        folds = json.loads((study.folder / file).read_text(encoding="utf-8"))["images"]
        expected = sorted(name for name, image in folds.items() if image["fold"] is not None)
        if [row["id"] for row in rows] != expected:
            wrong = sorted({row["id"] for row in rows} ^ set(expected))[:5]
            raise RunError(
                f"the rows of {', '.join(run.folder for run in runs)} are not the images of {file}, each once"
                f"{': ' + ', '.join(wrong) if wrong else ''}: remove the run that was changed, and start again"
            )
        columns = list(dict.fromkeys(name for row in rows for name in row))
        write_csv((study.folder / file).parent / OUT_OF_FOLD, columns, rows)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a table; values stay text, so that they are copied exactly."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_markdown(
    study: Study, runs: Sequence[PlannedRun], metrics: Mapping[str, Metrics], cells: Sequence[Mapping[str, Any]]
) -> str:
    """Return summary.md: the main metrics of every cell, then of every run."""
    shown = [name for name in MAIN_METRICS if any(name in values for values in metrics.values())]
    axes = [axis for axis in study.plan.axes if axis not in REPLICATE_AXES]
    headings = [name.removeprefix("test/") for name in shown]
    cell_rows = [
        [*(str(cell["labels"][axis]) for axis in axes), *(_format_mean(cell["metrics"].get(name)) for name in shown)]
        for cell in cells
    ]
    run_rows = [[run.name, *(_format(metrics[run.name].get(name)) for name in shown)] for run in runs]
    return "\n".join(
        [
            f"# {study.plan.command}: {len(runs)} of {len(study.plan.runs)} runs",
            "",
            f"Mean ± standard deviation over runs [{CONFIDENCE:.0%} interval of the mean, Student's t].",
            "",
            *_table([*axes, *headings], cell_rows),
            "",
            *_table(["run", *headings], run_rows),
            "",
        ]
    )


def _format_mean(statistics: Mapping[str, Any] | None) -> str:
    if statistics is None or statistics["mean"] is None:
        return "-"
    mean = _format(statistics["mean"])
    if statistics["std"] is None:
        return mean
    return f"{mean} ± {_format(statistics['std'])} [{_format(statistics['low'])}, {_format(statistics['high'])}]"


def _format(value: float | None) -> str:
    return "-" if value is None else np.format_float_positional(value, precision=4, unique=False, trim="k")


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heading, ["---"] * len(heading), *rows)]
