"""Tables of a study, from its run folders alone: the same runs give the same bytes."""

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
from cracklab.study.folder import OUT_OF_FOLD, REPLICATES, RUN_TABLE, SUMMARY, PlannedRun, Study

CONFIDENCE = 0.95
MAIN = ("test/iou", "test/iou_image", "test/dice", "test/precision", "test/recall", "test/hd95_px", "test/boundary_iou")
"""Metrics of summary.md, where a run has them; the other tables have all."""
Metrics = Mapping[str, float | None]


def aggregate(study: Study) -> int:
    """Write every table; returns how many runs are finished, and writes nothing where that is none.

    Raises:
        RunError: for out-of-fold rows that do not hold every image of the folds once.
    """
    finished = study.finished()
    if not finished:
        return 0
    metrics = {run.name: _metrics(study.path(run)) for run in finished}
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    cells = summarise(finished, metrics)
    axes = list(study.plan.axes)
    rows = [{"run": run.name, **run.labels, **metrics[run.name]} for run in finished]
    write_csv(study.folder / RUN_TABLE, ["run", *axes, *names], rows)
    content = {"runs": len(study.plan.runs), "finished": len(finished), "confidence": CONFIDENCE, "cells": cells}
    write_json(study.folder / f"{SUMMARY}.json", content)
    long = [
        {**cell["labels"], "metric": name, **{key: value for key, value in found.items() if key != "values"}}
        for cell in cells
        for name, found in cell["metrics"].items()
    ]
    kept = [axis for axis in axes if axis not in REPLICATES]
    write_csv(study.folder / f"{SUMMARY}.csv", [*kept, "metric", "n", "mean", "std", "low", "high"], long)
    write_text(study.folder / f"{SUMMARY}.md", as_markdown(study, finished, metrics, cells))
    if study.plan.command == "kfold":
        write_out_of_fold(study, finished)
    return len(finished)


def _metrics(folder: Path) -> Metrics:
    values: Metrics = json.loads((folder / run_folder.TEST_METRICS).read_text(encoding="utf-8"))
    return values


def summarise(runs: Sequence[PlannedRun], metrics: Mapping[str, Metrics]) -> list[dict[str, Any]]:
    """Every cell with mean, standard deviation and interval of each metric over its runs.

    Args:
        runs: finished runs.
        metrics: name of the run -> its test metrics.
    """
    cells: dict[tuple[Any, ...], list[PlannedRun]] = {}
    for run in runs:
        cells.setdefault(run.cell, []).append(run)
    found = []
    for cell, members in cells.items():
        names = dict.fromkeys(name for run in members for name in metrics[run.name])
        values = {name: [metrics[run.name].get(name) for run in members] for name in names}
        found.append(
            {
                "labels": dict(cell),
                "runs": [run.name for run in members],
                "metrics": {name: {**spread(column), "values": column} for name, column in values.items()},
            }
        )
    return found


def spread(values: Iterable[float | None]) -> dict[str, float | int | None]:
    """n, mean, standard deviation (of a sample, n - 1), and the 95 % interval of the mean by Student's t.

    The interval takes the values for independent. Folds share training images, so it is somewhat too narrow
    (Nadeau and Bengio 2003).

    Args:
        values: None where a run had nothing to measure; those are left out.
    """
    there = [value for value in values if value is not None]
    n = len(there)
    mean = math.fsum(there) / n if n else None
    if n < 2 or mean is None:
        return {"n": n, "mean": mean, "std": None, "low": None, "high": None}
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in there) / (n - 1))
    half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * std / math.sqrt(n)
    return {"n": n, "mean": mean, "std": std, "low": mean - half, "high": mean + half}


def write_out_of_fold(study: Study, finished: Sequence[PlannedRun]) -> None:
    """Write each image's row by the run that held its fold out, for every repetition whose folds are all there."""
    done = {run.name for run in finished}
    repetitions: dict[str, list[PlannedRun]] = {}
    for run in study.plan.runs:
        repetitions.setdefault(run.overlay["data.folds_file"], []).append(run)
    for file, runs in repetitions.items():
        if not done.issuperset(run.name for run in runs):
            continue
        rows = [
            {"id": row.pop("id"), "fold": run.labels["fold"], **row}
            for run in runs
            for row in _rows(study.path(run) / run_folder.PER_IMAGE)
        ]
        rows.sort(key=lambda row: row["id"])
        folds = json.loads((study.folder / file).read_text(encoding="utf-8"))["images"]
        due = sorted(name for name, image in folds.items() if image["fold"] is not None)
        if [row["id"] for row in rows] != due:
            odd = sorted({row["id"] for row in rows} ^ set(due))[:5]
            raise RunError(
                f"the rows of {', '.join(run.folder for run in runs)} are not the images of {file}, each once"
                f"{': ' + ', '.join(odd) if odd else ''}: remove the run that was changed, and start again"
            )
        columns = list(dict.fromkeys(name for row in rows for name in row))
        write_csv((study.folder / file).parent / OUT_OF_FOLD, columns, rows)


def _rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a table, as the text that stands there."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_markdown(
    study: Study, runs: Sequence[PlannedRun], metrics: Mapping[str, Metrics], cells: Sequence[Mapping[str, Any]]
) -> str:
    """The main metrics of every cell, then those of every run."""
    shown = [name for name in MAIN if any(name in values for values in metrics.values())]
    axes = [axis for axis in study.plan.axes if axis not in REPLICATES]
    short = [name.removeprefix("test/") for name in shown]
    means = [
        [*(str(cell["labels"][axis]) for axis in axes), *(_with_interval(cell["metrics"].get(name)) for name in shown)]
        for cell in cells
    ]
    singles = [[run.name, *(_number(metrics[run.name].get(name)) for name in shown)] for run in runs]
    return "\n".join(
        [
            f"# {study.plan.command}: {len(runs)} of {len(study.plan.runs)} runs",
            "",
            f"Mean ± standard deviation over runs [{CONFIDENCE:.0%} interval of the mean, Student's t].",
            "",
            *_table([*axes, *short], means),
            "",
            *_table(["run", *short], singles),
            "",
        ]
    )


def _with_interval(found: Mapping[str, Any] | None) -> str:
    if found is None or found["mean"] is None:
        return "-"
    if found["std"] is None:
        return _number(found["mean"])
    return f"{_number(found['mean'])} ± {_number(found['std'])} [{_number(found['low'])}, {_number(found['high'])}]"


def _number(value: float | None) -> str:
    return "-" if value is None else np.format_float_positional(value, precision=4, unique=False, trim="k")


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heading, ["---"] * len(heading), *rows)]
