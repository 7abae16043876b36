"""What the runs of a study would be refused for, found before anything is written; and the folds that they share.

Imports PyTorch and Lightning: only a study that is planned for the first time needs it.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from cracklab import config_files, quiet
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.folds_file import write_folds
from cracklab.errors import ConfigError
from cracklab.study.folder import Label, Plan, Run
from cracklab.study.inputs import Inputs
from cracklab.study.plan import Overlay, as_arguments, as_text, axes_of, cells_of, fold_axis, runs_of
from cracklab.training import CrackCLI

FOLDED = ("layout", "root", "group", "split_seed", "pool", "folds_file")
"""Keys of data that folds depend on; they are made of masks as they are on disk, whatever the resize."""
STATES = 3
"""A checkpoint holds this many numbers a weight: Adam keeps two beside it."""


class Rehearsal(CrackCLI):
    """`fit` without training: it parses, makes net, loss and data, reads and splits the images, and writes nothing.

    Args:
        arguments: those of fit.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._seen, self._last = "", arguments
        quiet.hush()
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
        if settings != self._seen:
            self.data: CrackDataModule = self.datamodule
            self.data.setup("fit")
            self._seen = settings

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
    """

    def __init__(self, command: str, inputs: Inputs, configs: Mapping[str, str]) -> None:
        self.command, self.inputs = command, inputs
        self._arguments = [
            f"--config={configs[argument.partition('=')[2]]}" if argument.startswith("--config=") else argument
            for argument in inputs.arguments
        ]
        self.gigabytes = 0.0
        """What the largest run takes on disk."""
        self.folds: dict[str, Callable[[Path], None]] = {}
        """File of folds -> what writes it."""
        axes = axes_of(inputs.grid)
        by_source = inputs.folds == "sources"
        # folds of photos before sources are known: the axes have to be right before data is read for long
        first = cells_of(axes)[0][1] | ({} if inputs.folds is None else {"data.fold": 0, "data.folds": inputs.folds})
        if by_source:
            first |= {"data.fold": None, "data.folds": 2, "data.split": "holdout"}
        self.rehearsal = Rehearsal([*self._arguments, *as_arguments(first)])
        folds = self._sources() if by_source else inputs.folds
        if inputs.repeats > 1:
            seed = self.rehearsal.data_config["split_seed"]
            axes["repeat"] = {number: {"data.split_seed": seed + number} for number in range(inputs.repeats)}
        if isinstance(folds, int):
            axes["fold"] = fold_axis(folds, by_source)
        self.axes = axes
        files = self._rehearse(folds is not None)
        runs = [self._with_file(run, files) for run in runs_of(command, axes)]
        self.plan = Plan(
            "kfold" if command == "kfold" else "study",
            inputs.asked,
            {axis: list(labels) for axis, labels in axes.items()},
            runs,
        )

    def _sources(self) -> int:
        data = self.rehearsal.data
        sources = {record.source for record in data.records if data.plan.pool or record.split != "test"}
        if len(sources) < 2:
            raise ConfigError(
                f"folds by source need two sources, and the data has {len(sources)}: see data.layout sources, or give a number"
            )
        return len(sources)

    def _rehearse(self, folded: bool) -> dict[str, str]:
        """Rehearse every cell once, whatever its seed and fold; returns the file of folds by what folds depend on."""
        axes = {axis: labels for axis, labels in self.axes.items() if axis != "seed_everything"}
        if "fold" in axes:
            axes["fold"] = {0: axes["fold"][0]}
        cells = cells_of(axes)
        files: dict[str, str] = {}
        for labels, overlay in cells:
            self.rehearsal.again([*self._arguments, *as_arguments(overlay)])
            self.gigabytes = max(self.gigabytes, self.rehearsal.gigabytes)
            key = self._key(overlay)
            if folded and key not in files:
                files[key] = self._file(labels)
                data = self.rehearsal.data
                self.folds[files[key]] = partial(
                    write_folds, records=data.records, fold_of=data.fold_of, folds=data.plan.folds
                )
        return files

    def _key(self, overlay: Overlay) -> str:
        return json.dumps({key: value for key, value in overlay.items() if key.split(".")[:2] in _FOLDED}, default=str)

    def _file(self, labels: Mapping[str, Label]) -> str:
        """`folds.json`, named by the axes that folds depend on."""
        on = {axis: label for axis, label in labels.items() if self._key(self.axes[axis][label]) != "{}"}
        if self.command == "kfold":
            return "/".join([*(f"{axis}_{label}" for axis, label in on.items()), "folds.json"])
        return "_".join(["folds", ",".join(f"{as_text(axis)}={as_text(label)}" for axis, label in on.items())]).strip(
            "_"
        ) + (".json")

    def _with_file(self, run: Run, files: Mapping[str, str]) -> Run:
        if "fold" not in run.labels:
            return run
        return Run(run.name, run.folder, run.labels, {**run.overlay, "data.folds_file": files[self._key(run.overlay)]})


_FOLDED = [["data", name] for name in FOLDED]
