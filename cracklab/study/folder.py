"""A study is its folder: what `kfold` and `study` know lies here, and any number of processes may work on it at once.

study.yaml          the plan: `command` (kfold or study), `asked` (what was typed), `axes` (name -> labels) and `runs`, each with
                    `name`, `folder`, `labels` (axis -> label) and `overlay` (dotted key of fit -> value)
configs/            copies of the configurations that were given, in the order in which they are laid over each other
folds.json          the photo and the fold of every image; `folds_LABELS.json` where an axis changes what folds are made of
runs/NAME/          of `study`: run folders as fit and test write them; NAME is `loss=bce,seed_everything=1,fold=0`
fold_0/ ...         of `kfold`: the same; `repeat_0/fold_0/` and `repeat_0/folds.json` with --repeats
jobs/NAME.json      how far a run is: `state` (finished, failed), `seconds`, `resumed`, of a failed one its last `lines`
jobs/NAME.log       what fit and test printed
jobs/NAME.lock      held by whoever works on the run; the kernel lets go of it when the last process of the run ends
runs.csv            one row a finished run, in the order of the plan: `run`, its labels, every number of test_metrics.json
summary.json        `runs`, `finished`, and `cells`: runs that differ in fold, repeat and seed only, each with `labels`, `runs`
                    (names) and `metrics` (name -> n, mean, std, low, high, values; low and high are a 95 % t interval)
summary.csv         the same: a row a cell and metric
summary.md          the same for people: the main metrics, and every run's
out_of_fold.csv     of `kfold`, when all folds are there: rows of per_image.csv, each image scored by the run that held its
                    fold out, and `fold`; sorted by `id`; `repeat_0/out_of_fold.csv` with --repeats

Tables are made from run folders alone and hold no paths, times or hosts: the same runs give the same bytes.
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

from cracklab import run_folder
from cracklab.errors import RunError
from cracklab.files import write_json, write_text

PLAN, CONFIGS, JOBS, RUNS = "study.yaml", "configs", "jobs", "runs"
RUN_TABLE, SUMMARY, OUT_OF_FOLD = "runs.csv", "summary", "out_of_fold.csv"
REPLICATES = ("fold", "repeat", "seed_everything", "data.split_seed")
"""Axes whose runs repeat one another: a cell is all runs that differ in these only."""
TESTED = (run_folder.TEST_METRICS, run_folder.PER_IMAGE, run_folder.PROTOCOLS)
"""What a finished run holds."""
Label = str | int | float | bool | None
State = Literal["new", "finished", "failed"]
FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's loader in C, where it was built with one: a plan of 1,000 runs is read ten times as fast."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan."""

    name: str
    """Its labels, unique: `loss=bce,fold=0`, or `fold_0`."""
    folder: str
    """Its run folder, below the study's."""
    labels: Mapping[str, Label]
    """Axis -> label."""
    overlay: Mapping[str, Any]
    """Dotted key of fit -> value, laid over everything else."""

    @property
    def cell(self) -> tuple[tuple[str, Label], ...]:
        """The labels that it shares with its repetitions."""
        return tuple((axis, label) for axis, label in self.labels.items() if axis not in REPLICATES)


@dataclass(frozen=True)
class StudyPlan:
    """What is to be run."""

    command: Literal["kfold", "study"]
    asked: Mapping[str, Any]
    """What was typed: `arguments` of fit, with the names of copies in configs/, and the command's own options."""
    axes: Mapping[str, Sequence[Label]]
    runs: Sequence[PlannedRun]


@dataclass
class RunStatus:
    """How far a run is."""

    state: State = "new"
    seconds: float = 0.0
    """Time that the last start took, fit and test together."""
    resumed: bool = False
    """Whether that start went on with an earlier one, so that `seconds` is not all."""
    lines: list[str] = field(default_factory=list)
    """The last lines that a failed one printed."""


class Study:
    """A study's folder.

    Args:
        folder: where it lies.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    @property
    def exists(self) -> bool:
        """Whether a plan lies there."""
        return (self.folder / PLAN).is_file()

    @cached_property
    def plan(self) -> StudyPlan:
        """The plan.

        Raises:
            RunError: where there is none, or none that can be read.
        """
        path = self.folder / PLAN
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=FAST)
            runs = [PlannedRun(**one) for one in content["runs"]]
            return StudyPlan(content["command"], content["asked"], content["axes"], runs)
        except FileNotFoundError:
            raise RunError(f"{self.folder} holds no {PLAN}: give the folder of a `kfold` or `study`") from None
        except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
            raise RunError(f"{path} is no plan ({type(error).__name__}: {error}): restore it") from None

    def write_plan(self, plan: StudyPlan, configs: Mapping[str, str]) -> None:
        """Write the copies of configurations (name -> text), then the plan, each whole."""
        for name, text in configs.items():
            write_text(self.folder / CONFIGS / name, text)
        text = yaml.safe_dump(asdict(plan), sort_keys=False, allow_unicode=True, width=120)
        write_text(self.folder / PLAN, text)

    def configs(self) -> dict[str, str]:
        """Name -> text of the copies of configurations."""
        return {path.name: path.read_text(encoding="utf-8") for path in sorted((self.folder / CONFIGS).glob("*.yaml"))}

    def path(self, run: PlannedRun) -> Path:
        """The run folder."""
        return self.folder / run.folder

    def log(self, run: PlannedRun) -> Path:
        """What the run's commands printed."""
        return self.folder / JOBS / f"{run.name}.log"

    def status(self, run: PlannedRun) -> RunStatus:
        """How far a run is; one whose files are gone is not finished."""
        try:
            job = RunStatus(**json.loads((self.folder / JOBS / f"{run.name}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return RunStatus()
        gone = job.state == "finished" and not all((self.path(run) / name).is_file() for name in TESTED)
        return RunStatus() if gone else job

    def write_status(self, run: PlannedRun, job: RunStatus) -> None:
        """Write how far a run is."""
        write_json(self.folder / JOBS / f"{run.name}.json", asdict(job))

    def finished(self) -> list[PlannedRun]:
        """The runs that are finished, in the order of the plan."""
        return [run for run in self.plan.runs if self.status(run).state == "finished"]

    @contextlib.contextmanager
    def claim(self, name: str, wait: bool = False) -> Iterator[IO[str] | None]:
        """Hold a run, or `plan`: one process at a time, on every machine that sees the folder.

        The lock (flock) belongs to the open file, which the processes of the run inherit: it is let go when the last of
        them ends, however it ends. That is why it is no lock file of a library, which would outlive a killed process
        or end before its children.

        Returns:
            The open file, for children to inherit; None where another process holds it and `wait` is false.
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
