"""The planner of a study: builds every cell once, so that whatever fit would refuse is refused before anything is written.

Imports PyTorch and Lightning, which takes seconds; only a new study needs it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from cracklab.config_parser import config_errors
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.folds_file import write_folds
from cracklab.data.plan import Plan
from cracklab.errors import ConfigError
from cracklab.study.folder import Label, PlannedRun, StudyPlan
from cracklab.study.inputs import Inputs
from cracklab.study.plan import Overrides, as_arguments, axes_of, cells_of, fold_axis, runs_of, slug
from cracklab.training.command import CrackCLI
from cracklab.training.planning import plan_of_fold

FOLD_INPUTS = tuple(
    f"data.{name}" for name in ("layout", "root", "group", "split_seed", "pool", "exclude", "folds_file")
)
"""Keys of data, and beginnings of keys, that folds depend on; folds are made of the masks on disk, before any resizing."""
NUMBERS_PER_WEIGHT = 3
"""Numbers that a checkpoint holds per weight: Adam adds two."""


class Planner:
    """Builds every cell of a study once, and plans its runs.

    Args:
        command: `kfold` or `study`.
        inputs: inputs of the study.
        configs: name of a copy of a configuration -> path of the copy.
        other_options: options of the command itself, without dashes, for error messages.

    Raises:
        CracklabError: for an invalid grid, and for everything that fit would refuse.
    """

    def __init__(
        self,
        command: Literal["kfold", "study"],
        inputs: Inputs,
        configs: Mapping[str, str],
        other_options: Sequence[str] = (),
    ) -> None:
        self.command = command
        self._arguments = [
            f"--config={configs[argument.partition('=')[2]]}" if argument.startswith("--config=") else argument
            for argument in inputs.arguments
        ]
        self.gigabytes = 0.0
        """Estimated disk space of the largest run."""
        self.fold_writers: dict[str, Callable[[Path], None]] = {}
        """Name of a folds file -> the function that writes it."""
        self.data_files: set[str] = set()
        """All files that images and masks are read from."""
        self._folds_files: dict[str, str] = {}
        """Everything that folds depend on -> name of their file."""
        self._plans: list[list[Plan]] = []
        """The plans that were printed, over the folds of a cell."""
        self.axes = axes_of(inputs.grid)
        self._built = [*self._arguments, *as_arguments(self._first_overrides(inputs.folds))]
        self._cli = CrackCLI("fit", self._built, other_options)
        with config_errors():
            self._cli.datamodule.setup("fit")
        self._add_repeats_and_folds(inputs)
        self._check_cells()
        names = {axis: list(labels) for axis, labels in self.axes.items()}
        runs = [self._completed(run) for run in runs_of(command, self.axes)]
        self.plan = StudyPlan(command, inputs.request, names, runs)

    def _first_overrides(self, folds: int | str | None) -> Overrides:
        """Return the overrides of the first cell, as far as they are known before configuration and data are read."""
        overrides: Overrides = cells_of(self.axes)[0][1]
        if isinstance(folds, int):
            return {**overrides, **fold_axis(folds, by_source=False)[0]}
        return {**overrides, "data.split": "holdout"} if folds else overrides

    def _build(self, overrides: Overrides) -> None:
        """Build net, loss and data of a cell, unless they are built already."""
        arguments = [*self._arguments, *as_arguments(overrides)]
        if arguments == self._built:
            return
        self._built = arguments
        self._cli.build(arguments)

    @property
    def _data(self) -> CrackDataModule:
        """The data of the cell that was built last."""
        data: CrackDataModule = self._cli.datamodule
        return data

    def _add_repeats_and_folds(self, inputs: Inputs) -> None:
        if inputs.repeats > 1:
            seed = self._data.split_plan.seed
            self.axes["repeat"] = {number: {"data.split_seed": seed + number} for number in range(inputs.repeats)}
        if inputs.folds == "sources":
            pool = self._data.split_plan.pool
            sources = {record.source for record in self._data.records if pool or record.split != "test"}
            if len(sources) < 2:
                raise ConfigError(
                    f"folds by source need at least two sources, but the data has {len(sources)}: give a number of "
                    "folds, or use data.layout sources"
                )
            self.axes["fold"] = fold_axis(len(sources), by_source=True)
        elif isinstance(inputs.folds, int):
            self.axes["fold"] = fold_axis(inputs.folds, by_source=False)

    def _check_cells(self) -> None:
        """Build every cell, with one seed and one fold, and keep the folds of each kind of data."""
        axes = {axis: labels for axis, labels in self.axes.items() if axis != "seed_everything"}
        if "fold" in axes:
            axes["fold"] = {0: axes["fold"][0]}
        for labels, overrides in cells_of(axes):
            self._build(overrides)
            with config_errors():
                self._cli.try_run()
            self.data_files.update(*map(self._data.layout.files, self._data.records))
            self._print_plan(labels)
            self.gigabytes = max(self.gigabytes, self._run_gigabytes())
            key = _fold_inputs(overrides)
            if "fold" in axes and key not in self._folds_files:
                self._folds_files[key] = file = self._folds_file(labels)
                data = self._data
                self.fold_writers[file] = partial(
                    write_folds, records=data.records, fold_of=data.fold_of, folds=data.split_plan.folds
                )

    def _print_plan(self, labels: Mapping[str, Label]) -> None:
        """Print the plan of the runs of a cell, over all its folds, unless another cell has the same."""
        plan = self._cli.plan
        if plan is None:
            return
        folds = list(self.axes.get("fold", {}))[1:]
        trainer = self._cli.config_init["fit"].trainer
        plans = [plan, *(plan_of_fold(int(str(fold)), trainer, self._data) for fold in folds)]
        if plans in self._plans:
            return
        self._plans.append(plans)
        cell = ", ".join(f"{axis}={label}" for axis, label in labels.items() if axis != "fold")
        print("\n".join(plan.lines(f"plan of {cell}" if cell else "plan", plans[1:])), flush=True)

    def _run_gigabytes(self) -> float:
        """Estimate the disk space of a run: best and last checkpoint, with the state of Adam."""
        weights: int = sum(p.numel() * p.element_size() for p in self._cli.model.parameters())
        return 2 * NUMBERS_PER_WEIGHT * weights / 1e9

    def _folds_file(self, labels: Mapping[str, Label]) -> str:
        """Return the name of the folds file of a cell: `folds.json`, with the labels on the axes that folds depend on."""
        axes = [axis for axis, label in labels.items() if _fold_inputs(self.axes[axis][label]) != "{}"]
        if self.command == "kfold":
            return "/".join([*(f"{axis}_{labels[axis]}" for axis in axes), "folds.json"])
        names = [f"{slug(axis)}={slug(labels[axis])}" for axis in axes]
        return f"folds_{','.join(names)}.json" if names else "folds.json"

    def _completed(self, run: PlannedRun) -> PlannedRun:
        """Return a run with its file of folds."""
        if "fold" not in run.labels:
            return run
        file = self._folds_files[_fold_inputs(run.overrides)]
        return replace(run, overrides={**run.overrides, "data.folds_file": file})


def _fold_inputs(overrides: Overrides) -> str:
    """Return the overrides that folds depend on, as text."""
    return json.dumps({key: value for key, value in overrides.items() if key.startswith(FOLD_INPUTS)}, sort_keys=True)
