"""What the runs of a study would be refused for, found before anything is written; and the folds that they share.

Imports PyTorch and Lightning: only a study that is planned for the first time needs it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from lightning.fabric.utilities.exceptions import MisconfigurationException

from cracklab import config_files
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.folds_file import write_folds
from cracklab.errors import ConfigError
from cracklab.study.folder import Label, PlannedRun, StudyPlan
from cracklab.study.inputs import Inputs
from cracklab.study.plan import Overlay, as_arguments, as_text, axes_of, cells_of, fold_axis, runs_of
from cracklab.training import CrackCLI
from cracklab.warning_filters import filter_warnings

FOLDED = tuple(f"data.{name}" for name in ("layout", "root", "group", "split_seed", "pool", "folds_file"))
"""Keys of data that folds depend on; they are made of masks as they are on disk, whatever the resize."""
STATES = 3
"""A checkpoint holds this many numbers a weight: Adam keeps two beside it."""


class Rehearsal(CrackCLI):
    """`fit` without training: it parses, makes net, loss and data, reads and splits the images, and writes nothing.

    Args:
        arguments: those of fit.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._seen: set[str] = set()
        self._last = arguments
        filter_warnings()
        try:
            super().__init__("fit", arguments)
        except MisconfigurationException as error:
            raise ConfigError(str(error)) from error

    def again(self, arguments: list[str]) -> None:
        """The same for other arguments, with the parser that is there, and with the data read before if it is the same."""
        if arguments == self._last:
            return
        self._last = arguments
        self.parse_arguments(self.parser, ["fit", *config_files.resolve(arguments)])
        self.before_instantiate_classes()
        self.instantiate_classes()

    def _set_seed(self) -> None:
        """Nothing is trained, and the environment of the runs stays as it is."""

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """None; but bad data is found."""
        settings = str({**self.data_config, "seed": None})
        if settings not in self._seen:
            self.data: CrackDataModule = self.datamodule
            self.data.setup("fit")
            self._seen.add(settings)

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing starts."""

    @property
    def data_config(self) -> dict[str, Any]:
        """The resolved configuration of the data."""
        config: dict[str, Any] = self.config["fit"].data.as_dict()
        return config

    @property
    def gigabytes(self) -> float:
        """About what a run takes on disk: best and last checkpoint, with the state of Adam."""
        weights: int = sum(p.numel() * p.element_size() for p in self.model.parameters())
        return 2 * STATES * weights / 1e9


class Planner:
    """Rehearses every cell of a study once, and plans its runs.

    Args:
        command: `kfold` or `study`.
        inputs: what was typed.
        configs: where the configurations lie, by the names of their copies.

    Raises:
        CracklabError: whatever a run would be refused for, and a grid that cannot be.
    """

    def __init__(self, command: Literal["kfold", "study"], inputs: Inputs, configs: Mapping[str, str]) -> None:
        self.command = command
        self._arguments = [
            f"--config={configs[argument.partition('=')[2]]}" if argument.startswith("--config=") else argument
            for argument in inputs.arguments
        ]
        self.gigabytes = 0.0
        """What the largest run takes on disk."""
        self.folds: dict[str, Callable[[Path], None]] = {}
        """File of folds -> what writes it."""
        self._file_of: dict[str, str] = {}
        """What folds depend on -> file of folds."""
        self.axes = axes_of(inputs.grid)
        self._rehearsal = Rehearsal([*self._arguments, *as_arguments(self._first(inputs.folds))])
        self._add_repeats_and_folds(inputs)
        self._rehearse_cells()
        names = {axis: list(labels) for axis, labels in self.axes.items()}
        runs = [self._with_folds(run) for run in runs_of(command, self.axes)]
        self.plan = StudyPlan(command, inputs.asked, names, runs)

    def _first(self, folds: int | str | None) -> Overlay:
        """The overlay of the first cell, as far as it is known before the configuration and the data were read."""
        overlay: Overlay = cells_of(self.axes)[0][1]
        if isinstance(folds, int):
            return {**overlay, **fold_axis(folds, by_source=False)[0]}
        return {**overlay, "data.split": "holdout"} if folds else overlay

    def _add_repeats_and_folds(self, inputs: Inputs) -> None:
        if inputs.repeats > 1:
            seed = self._rehearsal.data_config["split_seed"]
            self.axes["repeat"] = {number: {"data.split_seed": seed + number} for number in range(inputs.repeats)}
        if inputs.folds == "sources":
            data = self._rehearsal.data
            sources = {record.source for record in data.records if data.split_plan.pool or record.split != "test"}
            if len(sources) < 2:
                raise ConfigError(
                    f"folds by source need two sources, and the data has {len(sources)}: give a number, or see the "
                    "data.layout sources"
                )
            self.axes["fold"] = fold_axis(len(sources), by_source=True)
        elif isinstance(inputs.folds, int):
            self.axes["fold"] = fold_axis(inputs.folds, by_source=False)

    def _rehearse_cells(self) -> None:
        """Rehearse every cell once, whatever its seed and fold, and keep the folds of each kind of data."""
        axes = {axis: labels for axis, labels in self.axes.items() if axis != "seed_everything"}
        if "fold" in axes:
            axes["fold"] = {0: axes["fold"][0]}
        for labels, overlay in cells_of(axes):
            self._rehearsal.again([*self._arguments, *as_arguments(overlay)])
            self.gigabytes = max(self.gigabytes, self._rehearsal.gigabytes)
            key = _folded(overlay)
            if "fold" in axes and key not in self._file_of:
                self._file_of[key] = file = self._folds_file(labels)
                data = self._rehearsal.data
                self.folds[file] = partial(
                    write_folds, records=data.records, fold_of=data.fold_of, folds=data.split_plan.folds
                )

    def _folds_file(self, labels: Mapping[str, Label]) -> str:
        """`folds.json`, named by the axes that folds depend on."""
        axes = [axis for axis, label in labels.items() if _folded(self.axes[axis][label]) != "{}"]
        if self.command == "kfold":
            return "/".join([*(f"{axis}_{labels[axis]}" for axis in axes), "folds.json"])
        names = [f"{as_text(axis)}={as_text(labels[axis])}" for axis in axes]
        return f"folds_{','.join(names)}.json" if names else "folds.json"

    def _with_folds(self, run: PlannedRun) -> PlannedRun:
        if "fold" not in run.labels:
            return run
        return replace(run, overlay={**run.overlay, "data.folds_file": self._file_of[_folded(run.overlay)]})


def _folded(overlay: Overlay) -> str:
    """What of an overlay folds depend on."""
    return json.dumps({key: value for key, value in overlay.items() if key.startswith(FOLDED)}, sort_keys=True)
