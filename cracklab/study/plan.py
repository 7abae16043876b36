"""From a grid to runs: axes, cells (combinations of labels), and one planned run per cell."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cracklab.errors import ConfigError
from cracklab.study.folder import REPLICATE_AXES, RUNS, Label, PlannedRun

Overrides = Mapping[str, Any]
"""Dotted key of fit -> value."""
Axes = Mapping[str, Mapping[Label, Overrides]]
"""Axis -> label -> the keys that it sets."""
NOUNS = {"data.split_seed": "split", "repeat": "repeat", "seed_everything": "seed", "fold": "fold"}
"""Axis that repeats a run -> what people call one of its labels."""
MAX_NAME_BYTES = 200
"""Maximum length of a run's name; file systems allow 255 bytes."""


def axes_of(grid: Mapping[str, Any]) -> dict[str, dict[Label, Overrides]]:
    """Return the axes of a `study.grid`: each a key with a list of values, or a name with labels and the keys that each sets.

    Raises:
        ConfigError: if an axis has no values, or two values have the same label.

    Example:
        >>> axes_of({"seed_everything": [1, 2]})
        {'seed_everything': {1: {'seed_everything': 1}, 2: {'seed_everything': 2}}}
    """
    axes: dict[str, dict[Label, Overrides]] = {}
    for name, values in grid.items():
        if not isinstance(values, list | Mapping) or not values:
            raise ConfigError(f"study.grid.{name} is {values!r}: give a list of values, or labels with keys of fit")
        if isinstance(values, Mapping):
            for label, overrides in values.items():
                if not isinstance(overrides, Mapping):
                    raise ConfigError(f"study.grid.{name}.{label} is {overrides!r}: give keys of fit with values")
            pairs: list[tuple[Label, Overrides]] = [(str(label), dict(keys)) for label, keys in values.items()]
        else:
            pairs = [(_label(value), {name: value}) for value in values]
        axes[name] = dict(pairs)
        if len({slug(label) for label, _ in pairs}) < len(pairs):
            raise ConfigError(
                f"study.grid.{name} has two values of the same label: {[label for label, _ in pairs]}; remove one, or "
                "give labels"
            )
    return axes


def _label(value: Any) -> Label:
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)


def slug(label: Label) -> str:
    """Return a label as part of a file name.

    Example:
        >>> slug("wall-(.)")
        'wall-_.'
    """
    plain = label if isinstance(label, str) else json.dumps(label)
    return re.sub(r"[^\w.+@-]+", "_", plain).strip("_") or "_"


def cells_of(axes: Axes) -> list[tuple[dict[str, Label], dict[str, Any]]]:
    """Return labels and overrides of every combination of labels; the last axis varies fastest.

    Raises:
        ConfigError: if two axes set the same key.
    """
    cells = []
    for chosen in itertools.product(*(labels.items() for labels in axes.values())):
        overrides: dict[str, Any] = {}
        for axis, (_, keys) in zip(axes, chosen, strict=True):
            both = overrides.keys() & keys.keys()
            if both:
                raise ConfigError(
                    f"study.grid.{axis} sets {', '.join(sorted(both))}, and so does another axis: set it in one of them"
                )
            overrides |= keys
        cells.append(({axis: label for axis, (label, _) in zip(axes, chosen, strict=True)}, overrides))
    return cells


def as_arguments(overrides: Overrides) -> list[str]:
    """Return overrides as arguments of fit.

    Example:
        >>> as_arguments({"model.loss": "bce", "trainer.max_epochs": 3})
        ['--model.loss=bce', '--trainer.max_epochs=3']
    """
    return [f"--{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in overrides.items()]


def fold_axis(folds: int, by_source: bool) -> dict[Label, Overrides]:
    """Return the axis of the folds, without `data.folds_file`."""
    fixed = {"data.folds": folds} | ({"data.fold_by": "source"} if by_source else {})
    return {fold: {"data.fold": fold, **fixed} for fold in range(folds)}


def runs_of(command: str, axes: Axes) -> list[PlannedRun]:
    """Return all runs, named by their labels.

    Raises:
        ConfigError: if a name is too long, or two runs have the same name.
    """
    runs = []
    for labels, overrides in cells_of(axes):
        if command == "kfold":
            name = "/".join(f"{axis}_{label}" for axis, label in labels.items())
        else:
            name = ",".join(f"{slug(axis)}={slug(label)}" for axis, label in labels.items())
        if len(name.encode()) > MAX_NAME_BYTES:
            raise ConfigError(
                f"the name of the run {name} is longer than {MAX_NAME_BYTES} bytes: give short labels in study.grid"
            )
        runs.append(PlannedRun(name, name if command == "kfold" else f"{RUNS}/{name}", labels, overrides))
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"two runs are named {double}: give distinct labels in study.grid")
    return runs


def title(labels: Mapping[str, Label], axes: Mapping[str, Sequence[Label]]) -> str:
    """Return the labels of a run for readers, those that repeat a run last; folds are numbered from 0.

    Example:
        >>> labels = {"loss": "dice", "model.optimizer.lr": 0.01, "seed_everything": 1, "fold": 2}
        >>> title(labels, {"loss": ["bce", "dice"], "fold": [0, 1, 2, 3, 4]})
        'dice lr=0.01 seed 1 fold 2/5'
    """
    method = [
        label if isinstance(label, str) and not label.isdecimal() else f"{axis.rpartition('.')[2]}={label}"
        for axis, label in labels.items()
        if axis not in REPLICATE_AXES
    ]
    repetition = [f"{noun} {labels[axis]}" for axis, noun in NOUNS.items() if axis in labels]
    of = f"/{len(axes['fold'])}" if "fold" in labels else ""
    return " ".join([*method, *repetition]) + of


def describe(axes: Mapping[str, Sequence[Label]], runs: int) -> str:
    """Return the size of a plan as text.

    Example:
        >>> describe({"loss": ["bce", "dice"], "fold": [0, 1, 2]}, 6)
        '2 values of loss x 3 folds = 6 runs'
    """

    def counted(axis: str, number: int) -> str:
        noun, of = (NOUNS[axis], "") if axis in NOUNS else ("value", f" of {axis}")
        return f"{number} {noun}{'s' * (number != 1)}{of}"

    product = " x ".join(counted(axis, len(labels)) for axis, labels in axes.items())
    return f"{product} = {runs} run{'s' * (runs != 1)}"
