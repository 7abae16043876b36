"""All runs of a report: found in folders, read, and named by method and block."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from cracklab import config_files, run_folder
from cracklab.errors import RunError
from cracklab.registry import nearest
from cracklab.report import labels as naming
from cracklab.report.metric import Metric
from cracklab.report.tested_run import TestedRun, read_files
from cracklab.study.folder import REPLICATE_AXES, Study
from cracklab.study.methods import is_number, label_text, method_labels, method_names, short


@dataclass
class Collection:
    """All runs of a report."""

    runs: list[TestedRun]
    methods: list[str]
    """In the order in which their first runs were found."""
    axes: list[str]
    """Axes that tell the methods apart."""
    setting: str
    """Axes that do not make methods; the results are averaged over them."""
    block: str
    """Name of the settings of a block beside its seed: `fold`, or the other axes."""
    missing: dict[str, str]
    """Name -> status of each run that was planned or started but not tested."""
    planned: list[str]
    """Comparisons that the study planned, `study.pairs`; none for several folders."""


def collect(folders: Sequence[Path], metric: Metric, compare: Sequence[str] = ()) -> Collection:
    """Read every run at or below the given folders.

    Args:
        folders: run folders, folders of `kfold` or `study`, or folders that contain some.
        metric: the metric whose curves and image scores are read.
        compare: axes whose labels make a method; the other axes become part of the block. Empty: all axes make methods.

    Raises:
        RunError: for a folder that does not exist or contains no tested run, a file that cannot be read, a metric that no
            run has, or an axis in which the runs do not differ.
    """
    for folder in folders:
        if not folder.is_dir():
            raise RunError(f"{folder} is not a folder: give run folders, or the folder of a `kfold` or `study`")
    missing: dict[str, str] = {}
    names = _names(folders)
    unique: dict[Path, TestedRun] = {}
    for folder, name in zip(folders, names, strict=True):
        for run in _find(folder, name, missing, several=len(folders) > 1):
            unique.setdefault(run.folder.resolve(), run)
    runs = list(unique.values())
    if not runs:
        more = f"; {len(missing)} runs are not tested yet: wait for one, or run `cracklab test`" if missing else ""
        raise RunError(f"{', '.join(map(str, folders))}: no run with {run_folder.TEST_METRICS}{more}")
    interned: dict[tuple[str, ...], tuple[str, ...]] = {}
    quiet = len(runs) < 50 or not sys.stderr.isatty()
    for run in track(runs, "reading runs", console=Console(stderr=True), disable=quiet):
        read_files(run, metric, lambda names: interned.setdefault(names, names))
    _check_metric(runs, metric)
    study = Study(folders[0]) if len(folders) == 1 else None
    if study is None or not study.exists:
        return _with_methods(runs, missing, compare, names)
    found = _with_methods(runs, missing, compare, names, method_labels(study.plan.axes))
    if not compare:
        found.planned = list(study.plan.request.get("pairs", ()))
    return found


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the name of each folder; its path below their common folder if several have the same name."""
    paths = [folder.resolve() for folder in folders]
    names = {path: path.name for path in paths}
    if len(set(names.values())) < len(names):
        common = os.path.commonpath([path.parent for path in names])
        names = {path: path.relative_to(common).as_posix() for path in names}
    return [names[path] for path in paths]


def _find(folder: Path, given: str, missing: dict[str, str], several: bool) -> list[TestedRun]:
    """Return the tested runs of a folder that is called `given`; add the other ones to `missing`."""
    study = Study(folder)
    head = f"{given}/" if several else ""
    found: list[TestedRun] = []
    if study.exists:
        for planned in study.plan.runs:
            if not (study.path(planned) / run_folder.TEST_METRICS).is_file():
                status = study.status(planned)
                lines = f": {status.lines[-1]}" if status.lines else ""
                missing[head + planned.name] = f"{status.state}{lines}"
                continue
            labels = {axis: label_text(label) for axis, label in planned.labels.items()}
            settings = {key: value for key, value in planned.overrides.items() if key not in naming.REPLICATES}
            numbers = {
                key: float(value)
                for key, value in settings.items()
                if isinstance(value, int | float) and not isinstance(value, bool)
            }
            texts = {key: naming.text(value) for key, value in settings.items() if key not in numbers}
            run = _unread(study.path(planned), head + planned.name, labels, numbers, texts)
            run.num_folds = planned.num_folds or len(study.plan.axes.get("fold", ()))
            found.append(run)
        return found
    for path in _run_folders(folder):
        name = head + path.relative_to(folder).as_posix() if path != folder else given
        if (path / run_folder.TEST_METRICS).is_file():
            found.append(_unread(path, name, {}, {}, {}))
        else:
            missing[name] = "not tested"
    return found


def _unread(
    path: Path, name: str, labels: Mapping[str, str], numbers: Mapping[str, float], texts: Mapping[str, str]
) -> TestedRun:
    """Return a run with its labels; `read_files` fills in the rest."""
    kept = {axis: label for axis, label in labels.items() if axis not in REPLICATE_AXES}
    replicate = {axis: label for axis, label in labels.items() if axis in REPLICATE_AXES}
    return TestedRun(path, name, kept, dict(numbers), dict(texts), replicate, {}, {})


def _run_folders(folder: Path) -> list[Path]:
    """Return the run folders at or below a folder, without those inside another run folder."""
    found = []
    for path, below, files in os.walk(folder):
        if run_folder.TEST_METRICS in files or run_folder.CONFIG in files:
            found.append(Path(path))
            below.clear()
        below[:] = sorted(name for name in below if not name.startswith("."))
    return found


def _check_metric(runs: Sequence[TestedRun], metric: Metric) -> None:
    if not any(metric.key in run.metrics for run in runs):
        known = sorted({name for run in runs for name in run.metrics})
        raise RunError(f"no run has the metric {metric.key!r}{nearest(metric.key, known)}")


def _with_methods(
    runs: list[TestedRun],
    missing: dict[str, str],
    compare: Sequence[str],
    given: Sequence[str],
    planned: Sequence[Mapping[str, str]] = (),
) -> Collection:
    """Set the method and the block of every run; the labels of `planned` methods count, so that an unfinished study has their names."""
    axes = list(dict.fromkeys(axis for run in runs for axis in run.labels))
    if not axes or any(set(run.labels) != set(runs[0].labels) for run in runs) or len(given) > 1:
        axes, planned = _label_by_configs(runs), ()
    shorter = short(axes)
    for run in runs:
        run.labels = {shorter[axis]: label for axis, label in run.labels.items() if axis in shorter}
    done = [shorter[axis] for axis in axes if len({run.labels.get(shorter[axis]) for run in runs}) > 1]
    axes = [shorter[axis] for axis in axes if shorter[axis] in done or any(shorter[axis] in one for one in planned)]
    if not _differ(runs):
        axes.append("folder")  # the configurations do not tell these runs apart
        for run in runs:
            above = [name for name in given if f"{run.name}/".startswith(f"{name}/")]
            run.labels["folder"] = max(above, key=len) if len(given) > 1 else run.name
        if not _differ(runs):
            for run in runs:
                run.labels["folder"] = run.name
    for axis in compare:
        if axis not in axes:
            raise RunError(f"--compare: runs do not differ in {axis!r}{nearest(axis, axes) if axes else ''}")
    compared = [axis for axis in axes if axis in compare or not compare]
    rest = [axis for axis in done if axis not in compared]
    inner = [axis for axis in REPLICATE_AXES if axis != "seed_everything" and _varies(runs, axis)]
    methods = method_names([*(run.labels for run in runs), *planned], compared, given[0])
    for run, method in zip(runs, methods, strict=False):
        run.method = method
        block = [run.labels.get(axis, "-") for axis in rest] + [run.replicate.get(axis, "-") for axis in inner]
        run.block = ", ".join(block) or "-"
        run.setting = ", ".join(run.labels.get(axis, "-") for axis in rest) or "-"
    return Collection(
        runs,
        list(dict.fromkeys(run.method for run in runs)),
        compared,
        " x ".join(rest),
        "fold" if not rest else " x ".join([*rest, *(["fold"] if inner else [])]),
        missing,
        [],
    )


def _varies(runs: Sequence[TestedRun], axis: str) -> bool:
    return len({run.replicate.get(axis) for run in runs}) > 1


def _differ(runs: Sequence[TestedRun]) -> bool:
    """Return whether no two runs have the same labels."""
    return len({(_key(run.labels), _key(run.replicate)) for run in runs}) == len(runs)


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _label_by_configs(runs: list[TestedRun]) -> list[str]:
    """Label runs by the keys in which their resolved configurations differ, and return these keys."""
    configs = []
    for run in runs:
        path = run.folder / run_folder.CONFIG
        content = config_files.read(path) if path.is_file() else {}
        configs.append(naming.flat(content))
    naming.hide_planned(configs, [run.planned for run in runs])
    axes = naming.differing(configs)
    for run, config in zip(runs, configs, strict=True):
        run.labels = {axis: naming.text(config.get(axis)) for axis in axes}
        run.numbers = {
            axis: float(label)
            for axis, label in run.labels.items()
            if axis not in naming.REPLICATES and is_number(label)
        }
        run.texts = {
            axis: label
            for axis, label in run.labels.items()
            if axis not in naming.REPLICATES and axis not in run.numbers
        }
        if not run.num_folds and isinstance(folds := config.get("data.folds"), int):
            run.num_folds = folds
        for axis, key in naming.REPLICATE_KEYS.items():
            if axis not in run.replicate and config.get(key) is not None:
                run.replicate[axis] = naming.text(config[key])
    return axes
