"""The folder of a study: everything that `kfold` and `study` know is in it, and several processes may work on it at once.

study.yaml          the plan: `command` (kfold or study), `asked` (the command as typed), `axes` (name -> labels) and `runs`,
                    each with `name`, `folder`, `labels` (axis -> label) and `overlay` (dotted key of fit -> value)
configs/            copies of the given configurations, numbered in the order in which they overlay each other
data.json           size, times and hash of every image and mask; changed ones are refused
folds.json          photo and fold of every image; `folds_LABELS.json` if an axis changes the images or photos to fold
runs/NAME/          of `study`: run folders as fit and test write them; NAME is `loss=bce,seed_everything=1,fold=0`
fold_0/ ...         of `kfold`: run folders; `repeat_0/fold_0/` and `repeat_0/folds.json` with --repeats
jobs/NAME.json      status of a run: `state` (finished, failed), `seconds`, `resumed`, the last `lines` of a failed run, and
                    size, times and hash of the `files` of a finished one
jobs/NAME.log       output of fit and test
jobs/NAME.lock      locked by the process that works on the run; the kernel releases it when the run's last process ends
runs.csv            one row per finished run, in the order of the plan: `run`, its labels, every number of test_metrics.json
summary.json        `runs`, `finished`, and `cells`: runs that differ only in fold, repeat and seed, each with `labels`, `runs`
                    (names) and `metrics` (name -> n, mean, std, low, high, values; low and high are the 95 % interval)
summary.csv         the same as a table: one row per cell and metric
summary.md          the main metrics of every cell and of every run, to read
out_of_fold.csv     of `kfold`, once all folds are finished: each image's row of per_image.csv from the run that held out its
                    fold, and `fold`; sorted by `id`; `repeat_0/out_of_fold.csv` with --repeats

All tables are computed from run folders and hold no paths, times or host names: the same runs give the same bytes.
"""

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal

import yaml

from cracklab import plain_yaml, run_folder
from cracklab.errors import RunError
from cracklab.files import write_json, write_text
from cracklab.study.fingerprints import Fingerprint

PLAN, DATA, CONFIGS, JOBS, RUNS = "study.yaml", "data.json", "configs", "jobs", "runs"
RUN_TABLE, SUMMARY, OUT_OF_FOLD = "runs.csv", "summary", "out_of_fold.csv"
REPLICATE_AXES = ("fold", "repeat", "seed_everything", "data.split_seed")
"""Axes that only repeat a run; runs that agree on all other axes form a cell."""
TEST_OUTPUTS = (run_folder.TEST_METRICS, run_folder.PER_IMAGE, run_folder.PROTOCOLS)
"""Files that a finished run must have."""
Label = str | int | float | bool | None
State = Literal["new", "finished", "failed"]


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan."""

    name: str
    """Unique name, made of the labels: `loss=bce,fold=0`, or `fold_0`."""
    folder: str
    """Run folder, relative to the study's folder."""
    labels: Mapping[str, Label]
    """Axis -> label."""
    overrides: Mapping[str, Any]
    """Dotted key of fit -> value; overrides every other argument. Called `overlay` in study.yaml."""

    def check(self) -> None:
        """Check that the run lies within the study's folder.

        Raises:
            ValueError: if its name or folder leaves it, or a value is of another type.
        """
        mappings = isinstance(self.labels, Mapping) and isinstance(self.overrides, Mapping)
        for path in (self.name, self.folder):
            if not mappings or not isinstance(path, str) or Path(path).is_absolute() or ".." in Path(path).parts:
                raise ValueError(f"the run {self.name!r} in {self.folder!r} is not inside this folder")

    @property
    def cell(self) -> tuple[tuple[str, Label], ...]:
        """The labels that all runs of its cell share."""
        return tuple((axis, label) for axis, label in self.labels.items() if axis not in REPLICATE_AXES)

    @property
    def num_folds(self) -> int:
        """Number of folds that the images are divided into, finished or not; 0 without folds."""
        folds = self.overrides.get("data.folds")
        return folds if "fold" in self.labels and isinstance(folds, int) else 0


@dataclass(frozen=True)
class StudyPlan:
    """All runs of a study."""

    command: Literal["kfold", "study"]
    request: Mapping[str, Any]
    """The command as typed: `arguments` of fit, naming copies in configs/, and the command's own options. Called `asked` in
    study.yaml."""
    axes: Mapping[str, Sequence[Label]]
    """Axis -> its labels."""
    runs: Sequence[PlannedRun]


@dataclass
class RunStatus:
    """The status of a run."""

    state: State = "new"
    seconds: float = 0.0
    """Time of the last start, fit and test together."""
    resumed: bool = False
    """Whether that start resumed an earlier one; if so, `seconds` is only part of the run's time."""
    lines: list[str] = field(default_factory=list)
    """The last lines of output of a failed run."""
    files: dict[str, Fingerprint] = field(default_factory=dict)
    """Name of a file of a finished run -> its fingerprint."""


class Study:
    """The folder of a study.

    Args:
        folder: path of the folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    @property
    def exists(self) -> bool:
        """Whether the folder has a plan."""
        return (self.folder / PLAN).is_file()

    @cached_property
    def plan(self) -> StudyPlan:
        """The plan, read from study.yaml.

        Raises:
            RunError: if there is no plan, or it cannot be read.
        """
        path = self.folder / PLAN
        try:
            content = plain_yaml.load(path.read_text(encoding="utf-8"))
            runs = [PlannedRun(run["name"], run["folder"], run["labels"], run["overlay"]) for run in content["runs"]]
            for run in runs:
                run.check()
            return StudyPlan(content["command"], content["asked"], content["axes"], runs)
        except FileNotFoundError:
            raise RunError(f"{self.folder} holds no {PLAN}: give the folder of a `kfold` or `study`") from None
        except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
            raise RunError(f"{path} is not a valid plan ({type(error).__name__}: {error}): restore it") from None

    def write_plan(self, plan: StudyPlan, configs: Mapping[str, str]) -> None:
        """Write the copies of the configurations (name -> text), then the plan; each file atomically."""
        for name, text in configs.items():
            write_text(self.folder / CONFIGS / name, text)
        content = asdict(plan)
        for run in content["runs"]:
            run["overlay"] = run.pop("overrides")
        content = {
            "command": plan.command,
            "asked": content["request"],
            "axes": content["axes"],
            "runs": content["runs"],
        }
        write_text(self.folder / PLAN, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))

    def configs(self) -> dict[str, str]:
        """Return the copies of the configurations, name -> text."""
        return {path.name: path.read_text(encoding="utf-8") for path in sorted((self.folder / CONFIGS).glob("*.yaml"))}

    def path(self, run: PlannedRun) -> Path:
        """Return the run folder of a run."""
        return self.folder / run.folder

    def log(self, run: PlannedRun) -> Path:
        """Return the file that collects the output of a run."""
        return self.folder / JOBS / f"{run.name}.log"

    def status(self, run: PlannedRun) -> RunStatus:
        """Return the status of a run; a finished run whose test outputs are gone is new."""
        try:
            status = RunStatus(**json.loads((self.folder / JOBS / f"{run.name}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return RunStatus()
        gone = status.state == "finished" and not all((self.path(run) / name).is_file() for name in TEST_OUTPUTS)
        return RunStatus() if gone else status

    def write_status(self, run: PlannedRun, status: RunStatus) -> None:
        """Write the status of a run."""
        write_json(self.folder / JOBS / f"{run.name}.json", asdict(status))

    def finished(self) -> list[PlannedRun]:
        """Return the finished runs, in the order of the plan."""
        return [run for run in self.plan.runs if self.status(run).state == "finished"]

    @contextlib.contextmanager
    def lock(self, name: str, wait: bool = False) -> Iterator[IO[str] | None]:
        """Lock a run, or `plan`, against all other processes, on every machine that sees the folder.

        The lock (flock) belongs to the open file, and the processes of the run inherit that file: the kernel releases the
        lock when the last of them ends, for whatever reason. A lock-file library would not do: its lock outlives a
        killed process, or ends before the process's children.

        Args:
            name: name of the run, or `plan`.
            wait: wait for the lock if another process holds it.

        Yields:
            The open file, for child processes to inherit; None if another process holds the lock and `wait` is false.
        """
        path = self.folder / JOBS / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield file
