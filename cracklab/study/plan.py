"""From a grid to runs: the product of all axes, every cell with the same folds and seeds."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cracklab.errors import ConfigError
from cracklab.study.folder import RUNS, Label, PlannedRun

Overlay = Mapping[str, Any]
"""Dotted key of fit -> value."""
Axes = Mapping[str, Mapping[Label, Overlay]]
"""Axis -> label -> what it lays over the configuration."""
LONGEST = 200
"""Longest name of a run, in bytes: file systems take 255."""


def axes_of(grid: Mapping[str, Any]) -> dict[str, dict[Label, Overlay]]:
    """The axes of a `study.grid`: a key with a list of its values, or a name with labels and what each lays over.

    Raises:
        ConfigError: for an axis without values, or two values of one label.
    """
    axes: dict[str, dict[Label, Overlay]] = {}
    for name, values in grid.items():
        if not isinstance(values, list | Mapping) or not values:
            raise ConfigError(f"study.grid.{name} is {values!r}: a list of values, or labels with keys, is needed")
        if isinstance(values, Mapping):
            for label, overlay in values.items():
                if not isinstance(overlay, Mapping):
                    raise ConfigError(f"study.grid.{name}.{label} is {overlay!r}: keys of fit with values are needed")
            pairs: list[tuple[Label, Overlay]] = [(str(label), dict(overlay)) for label, overlay in values.items()]
        else:
            pairs = [(_label(value), {name: value}) for value in values]
        axes[name] = dict(pairs)
        if len({as_text(label) for label, _ in pairs}) < len(pairs):
            raise ConfigError(f"study.grid.{name} names the same value twice: {[label for label, _ in pairs]}")
    return axes


def _label(value: Any) -> Label:
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)


def as_text(label: Label) -> str:
    """A label as part of a file name."""
    plain = label if isinstance(label, str) else json.dumps(label)
    return re.sub(r"[^\w.+@-]+", "_", plain).strip("_") or "_"


def cells_of(axes: Axes) -> list[tuple[dict[str, Label], dict[str, Any]]]:
    """Labels and overlay of every combination, the last axis fastest.

    Raises:
        ConfigError: for two axes that set the same key.
    """
    cells = []
    for chosen in itertools.product(*(labels.items() for labels in axes.values())):
        overlay: dict[str, Any] = {}
        for axis, (_, part) in zip(axes, chosen, strict=True):
            both = overlay.keys() & part.keys()
            if both:
                raise ConfigError(f"study.grid.{axis} sets {', '.join(sorted(both))}, as another axis does: keep one")
            overlay |= part
        cells.append(({axis: label for axis, (label, _) in zip(axes, chosen, strict=True)}, overlay))
    return cells


def as_arguments(overlay: Overlay) -> list[str]:
    """An overlay as arguments of fit."""
    return [f"--{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in overlay.items()]


def fold_axis(folds: int, by_source: bool) -> dict[Label, Overlay]:
    """The axis of the folds, without the file that says which image is in which."""
    fixed = {"data.folds": folds} | ({"data.fold_by": "source"} if by_source else {})
    return {fold: {"data.fold": fold, **fixed} for fold in range(folds)}


def runs_of(command: str, axes: Axes) -> list[PlannedRun]:
    """Every run, named by its labels.

    Raises:
        ConfigError: for names that are too long, or equal.
    """
    runs = []
    for labels, overlay in cells_of(axes):
        if command == "kfold":
            name = "/".join(f"{axis}_{label}" for axis, label in labels.items())
        else:
            name = ",".join(f"{as_text(axis)}={as_text(label)}" for axis, label in labels.items())
        if len(name.encode()) > LONGEST:
            raise ConfigError(f"the run {name} has too long a name: give its values labels in study.grid")
        runs.append(PlannedRun(name, name if command == "kfold" else f"{RUNS}/{name}", labels, overlay))
    names = [run.name for run in runs]
    double = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if double or not runs:
        raise ConfigError(f"runs would share the name {double[0]}: give labels" if double else "study.grid is empty")
    return runs


def describe(axes: Mapping[str, Sequence[Label]], runs: int) -> str:
    """`2 loss x 3 seed_everything x 5 fold = 30 runs`."""
    product = " x ".join(f"{len(labels)} {axis}" for axis, labels in axes.items())
    return f"{product} = {runs} run{'s' * (runs != 1)}"
