"""The labelled data of a finished kfold: each image with the probabilities of the run that held it out."""

import csv
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from cracklab import plain_yaml, run_folder, tables
from cracklab.audit.labelled import Labelled, one_class
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts.rebuild import rebuild_layout
from cracklab.errors import CracklabError, RunError
from cracklab.study.folder import PlannedRun, Study
from cracklab.study.integrity import check_finished, refuse_changed_data

KEEP = "run kfold with --keep_probabilities, in a new --out"


def labelled_of_kfold(folder: str | Path) -> Labelled:
    """Return the data of a kfold, with the files of its out-of-fold probabilities; with repeats, several for each image.

    Raises:
        RunError: if the folder is not a kfold, is unfinished or damaged, or has no probabilities.
        DataError: if the images or masks were changed since.
    """
    study = Study(folder)
    if study.plan.command != "kfold":
        raise RunError(f"{folder} is a study, in which an image may have been trained on by every run: give a kfold")
    runs, finished = study.plan.runs, study.finished()
    if len(finished) < max(1, len(runs)):
        raise RunError(
            f"the kfold in {folder} is unfinished, {len(finished)} of {len(runs)} runs are done: run the same command again"
        )
    refuse_changed_data(study)
    check_finished(study, runs, redo=False)
    layout, records, crop, exclude = _data(study, runs[0])
    files: dict[str, list[Path]] = defaultdict(list)
    thresholds: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        threshold = _threshold(study.path(run))
        for name in _held_out(study, run):
            files[name].append(run_folder.probability_file(study.path(run), name))
            thresholds[name].append(threshold)
    missing = [str(file) for name in files for file in files[name] if not file.is_file()]
    if missing:
        raise RunError(f"{missing[0]} and {len(missing) - 1} more files of probabilities do not exist: {KEEP}")
    known = {record.id: record for record in records}
    unknown = sorted(set(files) - set(known))
    if unknown:
        cause = (
            f", since the list data.exclude {exclude!r} has changed: restore the list"
            if exclude
            else ": restore the data"
        )
        raise RunError(f"{folder} holds rows of {unknown[0]!r}, which is no longer in the data{cause}")
    means = {name: sum(values) / len(values) for name, values in thresholds.items()}
    return Labelled(layout, [known[name] for name in sorted(files)], files, means, crop, exclude)


def _data(study: Study, run: PlannedRun) -> Any:
    """Return layout, index, crop and list of excluded images of a run, from its configuration."""
    path = study.path(run) / run_folder.CONFIG
    try:
        if not path.is_file():  # a device would never end
            raise RunError("it is not a file")
        data = plain_yaml.load(path.read_text(encoding="utf-8"))["data"]
        layout, root, exclude, crop = (data.get(key) for key in ("layout", "root", "exclude", "crop"))
        texts = all(value is None or isinstance(value, str) for value in (root, exclude))
        if not texts or not (crop is None or (type(crop) is int and crop > 0)):
            raise RunError("data.root, data.exclude or data.crop is of another type")
        module = CrackDataModule(rebuild_layout(layout), root=root, exclude=exclude, cache="none")
    except (CracklabError, OSError, ValueError, TypeError, LookupError, AttributeError, yaml.YAMLError) as error:
        raise RunError(f"{path} cannot be used ({' '.join(str(error).split())}): restore it") from error
    one_class(module.layout)
    return module.layout, module.index()[0], crop, exclude


def _held_out(study: Study, run: PlannedRun) -> list[str]:
    """Return the ids of the images that a run held out."""
    path = study.path(run) / run_folder.PER_IMAGE
    try:
        return [row["id"] for row in tables.read_csv(path)]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise RunError(f"{path} cannot be read ({error}): run the kfold again with --redo") from error


def _threshold(folder: Path) -> float:
    path = folder / run_folder.TEST_METRICS
    try:
        threshold = float(json.loads(path.read_text(encoding="utf-8"))["test/threshold"])
        if not 0 < threshold < 1 or not math.isfinite(threshold):
            raise ValueError(f"the threshold is {threshold}")
    except (ArithmeticError, OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path} cannot be read ({error}): run the kfold again with --redo") from error
    return threshold
