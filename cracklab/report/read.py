"""Runs, read back from folders: one run, several, a k-fold folder, a study, or a folder with any of them below it."""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from cracklab import run_folder
from cracklab.errors import RunError
from cracklab.registry import nearest
from cracklab.report import labels as naming
from cracklab.report.metric import Metric
from cracklab.study.folder import REPLICATE_AXES, FastLoader, Study

COSTS = ("seconds", "epoch_s", "images_per_s", "waiting_share", "gpu_peak_gb")
"""Columns of metrics.csv and resources.csv that the cost table reads."""


@dataclass
class Images:
    """The scores of one run's test images."""

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    """The photo that each image is of; the image itself where per_image.csv does not say."""
    values: NDArray[np.float64]
    """(images, columns of the measure)."""


@dataclass
class TestedRun:
    """One run that was tested, as its folder has it."""

    folder: Path
    name: str
    """Its place below the folder that was given."""
    labels: dict[str, str]
    """Axis -> label, without replicates."""
    numbers: dict[str, float]
    """Settings with a number that this study varies, for heat maps."""
    replicate: dict[str, str]
    """fold, repeat, seed_everything, data.split_seed -> label, where they have one."""
    metrics: dict[str, float | None]
    """test_metrics.json, and `PROTOCOL/NAME` of protocols.json if that is asked for."""
    environment: dict[str, Any]
    method: str = ""
    cluster: str = ""
    curve: pd.DataFrame = field(default_factory=pd.DataFrame)
    """epoch, and of the measure's curve what metrics.csv has."""
    costs: dict[str, float] = field(default_factory=dict)
    images: Images | None = None

    @property
    def seed(self) -> str:
        """The label of its seed."""
        return self.replicate.get("seed_everything", "-")


@dataclass
class Collection:
    """All runs of a report."""

    runs: list[TestedRun]
    methods: list[str]
    """In the order in which they were found."""
    axes: list[str]
    """Those that tell methods apart."""
    cluster: str
    """What the blocks are, beside the seed: `fold`, or names of axes."""
    missing: dict[str, str]
    """Planned or started, but without a test: name -> how far it is."""


def collect(folders: Sequence[Path], metric: Metric, compare: Sequence[str] = ()) -> Collection:
    """Read every run at or below some folders.

    Args:
        folders: run folders, folders of `kfold` or `study`, or folders that hold such.
        metric: what to read of curves and images.
        compare: axes whose labels make a method; the others become part of the block. None: all axes.

    Raises:
        RunError: for a folder that is not there or holds no tested run; for a file in it that cannot be read.
        ConfigError: for an axis or a metric that does not exist.
    """
    for folder in folders:
        if not folder.is_dir():
            raise RunError(f"{folder} is no folder: give run folders, or the folder of a `kfold` or `study`")
    missing: dict[str, str] = {}
    found = [one for folder in folders for one in _found(folder, missing, several=len(folders) > 1)]
    if not found:
        more = f"; {len(missing)} runs have no test yet: wait for one, or run `cracklab test`" if missing else ""
        raise RunError(f"{', '.join(map(str, folders))}: no run with {run_folder.TEST_METRICS}{more}")
    runs = [
        _read(run, metric)
        for run in track(
            found, "reading runs", console=Console(stderr=True), disable=len(found) < 50 or not sys.stderr.isatty()
        )
    ]
    _check_metric(runs, metric)
    return _named(runs, missing, compare, [folder.resolve().name for folder in folders])


def _found(folder: Path, missing: dict[str, str], several: bool) -> list[TestedRun]:
    """The tested runs of a folder; `missing` gets the others."""
    study = Study(folder)
    head = f"{folder.name}/" if several else ""
    found: list[TestedRun] = []
    if study.exists:
        for planned in study.plan.runs:
            if not (study.path(planned) / run_folder.TEST_METRICS).is_file():
                status = study.status(planned)
                lines = f": {status.lines[-1]}" if status.lines else ""
                missing[head + planned.name] = f"{status.state}{lines}"
                continue
            labels = {axis: "-" if label is None else str(label) for axis, label in planned.labels.items()}
            values = {**planned.labels, **planned.overrides}
            numbers = {k: float(v) for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
            found.append(_run(study.path(planned), head + planned.name, labels, numbers))
        return found
    for path in _run_folders(folder):
        name = head + path.relative_to(folder).as_posix() if path != folder else folder.resolve().name
        if (path / run_folder.TEST_METRICS).is_file():
            found.append(_run(path, name, {}, {}))
        else:
            missing[name] = "not tested"
    return found


def _run(path: Path, name: str, labels: dict[str, str], numbers: dict[str, float]) -> TestedRun:
    kept = {axis: label for axis, label in labels.items() if axis not in REPLICATE_AXES}
    replicate = {axis: label for axis, label in labels.items() if axis in REPLICATE_AXES}
    return TestedRun(path, name, kept, {k: v for k, v in numbers.items() if k not in REPLICATE_AXES}, replicate, {}, {})


def _run_folders(folder: Path) -> list[Path]:
    """Run folders at or below a folder; one inside another is none."""
    found = []
    for path, below, files in os.walk(folder):
        if run_folder.TEST_METRICS in files or run_folder.CONFIG in files:
            found.append(Path(path))
            below.clear()
        below[:] = sorted(name for name in below if not name.startswith("."))
    return found


def _read(run: TestedRun, metric: Metric) -> TestedRun:
    """Fill in what the files of a run say."""
    try:
        run.metrics = json.loads((run.folder / run_folder.TEST_METRICS).read_text(encoding="utf-8"))
        if metric.curve is None:
            run.metrics |= _protocol(run.folder / run_folder.PROTOCOLS, metric.key.partition("/")[0])
        if (path := run.folder / run_folder.ENVIRONMENT).is_file():
            run.environment = json.loads(path.read_text(encoding="utf-8"))
            run.replicate.setdefault("seed_everything", str(run.environment.get("seed", "-")))
        if (path := run.folder / run_folder.METRICS).is_file():
            wanted = {"epoch", "seconds", metric.curve}
            table = pd.read_csv(path, usecols=lambda name: name in wanted)
            run.curve = table.drop(columns="seconds", errors="ignore")
            run.costs["epochs"] = float(len(table))
            if "seconds" in table:
                run.costs["seconds"] = float(table["seconds"].sum())
        if (path := run.folder / run_folder.RESOURCES).is_file():
            table = pd.read_csv(path, usecols=lambda name: name in COSTS)
            for name in table.columns.intersection(list(COSTS)):
                values = table[name]
                run.costs[str(name)] = float(values.max() if name == "gpu_peak_gb" else values.median())
            if "epoch_s" in table:
                run.costs["seconds"] = float(table["epoch_s"].sum())
        if (path := run.folder / run_folder.PER_IMAGE).is_file():
            run.images = _images(path, metric)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{run.folder} cannot be read ({type(error).__name__}: {error}): test that run again") from None
    return run


def _protocol(path: Path, name: str) -> dict[str, float | None]:
    protocols = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    values = {protocol: content.get("values", {}) for protocol, content in protocols.items()}
    return {f"{protocol}/{key}": value for protocol in values for key, value in values[protocol].items()}


def _images(path: Path, metric: Metric) -> Images | None:
    columns = metric.per_image.columns if metric.per_image else ()
    table = pd.read_csv(path, usecols=lambda name: name in ("id", "group", *columns), dtype={"id": str, "group": str})
    if table.empty or "id" not in table:
        return None
    table = table.sort_values("id", kind="stable")
    ids = _shared(tuple(map(str, table["id"])))
    groups = _shared(tuple(map(str, table["group"]))) if "group" in table else ids
    there = [name for name in columns if name in table]
    values = table[there].to_numpy(float) if len(there) == len(columns) else np.empty((len(ids), 0))
    return Images(ids, groups, values)


_SEEN: dict[str, tuple[str, ...]] = {}


def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same names once in memory, however many runs have them."""
    return _SEEN.setdefault(hashlib.sha1("\n".join(names).encode()).hexdigest(), names)


def _check_metric(runs: Sequence[TestedRun], metric: Metric) -> None:
    if not any(metric.key in run.metrics for run in runs):
        known = sorted({name for run in runs for name in run.metrics})
        raise RunError(f"no run has the metric {metric.key!r}{nearest(metric.key, known)}")


def _named(runs: list[TestedRun], missing: dict[str, str], compare: Sequence[str], given: Sequence[str]) -> Collection:
    """Give every run its method and its block."""
    axes = list(dict.fromkeys(axis for run in runs for axis in run.labels))
    if not axes or any(set(run.labels) != set(runs[0].labels) for run in runs) or len(given) > 1:
        axes = _label_by_configs(runs)
    shorter = naming.short(axes)
    for run in runs:
        run.labels = {shorter[axis]: label for axis, label in run.labels.items() if axis in shorter}
    axes = [shorter[axis] for axis in axes if len({run.labels.get(shorter[axis]) for run in runs}) > 1]
    if len({(_key(run.labels), _key(run.replicate)) for run in runs}) < len(runs):
        axes.append("folder")  # the configurations do not tell them apart
        for run in runs:
            run.labels["folder"] = run.name.partition("/")[0] if len(given) > 1 else run.name
    for axis in compare:
        if axis not in axes:
            raise RunError(f"--compare: runs do not differ in {axis!r}{nearest(axis, axes) if axes else ''}")
    compared = [axis for axis in axes if axis in compare or not compare]
    rest = [axis for axis in axes if axis not in compared]
    inner = [axis for axis in REPLICATE_AXES if axis != "seed_everything" and _varies(runs, axis)]
    for run in runs:
        run.method = naming.method(run.labels, compared) or given[0]
        block = [run.labels.get(axis, "-") for axis in rest] + [run.replicate.get(axis, "-") for axis in inner]
        run.cluster = ", ".join(block) or "-"
    return Collection(
        runs,
        list(dict.fromkeys(run.method for run in runs)),
        compared,
        "fold" if not rest else " x ".join([*rest, *(["fold"] if inner else [])]),
        missing,
    )


def _varies(runs: Sequence[TestedRun], axis: str) -> bool:
    return len({run.replicate.get(axis) for run in runs}) > 1


def _key(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _label_by_configs(runs: list[TestedRun]) -> list[str]:
    """Label runs by what differs in their resolved configurations; returns the axes."""
    configs = []
    for run in runs:
        path = run.folder / run_folder.CONFIG
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=FastLoader) if path.is_file() else {}
        configs.append(naming.flat(content))
    axes = naming.differing(configs)
    for run, config in zip(runs, configs, strict=True):
        run.labels = {axis: naming.text(config.get(axis)) for axis in axes}
        run.numbers = {axis: float(run.labels[axis]) for axis in axes if naming.is_number(run.labels[axis])}
        for axis, key in naming.REPLICATES.items():
            if axis not in run.replicate and config.get(key) is not None:
                run.replicate[axis] = naming.text(config[key])
    return axes
