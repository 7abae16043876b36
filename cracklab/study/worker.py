"""One run of a study: started, resumed or skipped; fit and test happen in a process of their own.

This module imports nothing heavy, since it is used in threads, Ray workers and SLURM tasks.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cracklab import run_folder
from cracklab.error_handler import DISK_FULL
from cracklab.study.folder import CONFIGS, JOBS, PlannedRun, RunStatus, Study
from cracklab.study.integrity import kept_files, refuse_changed_data
from cracklab.study.plan import as_arguments, title

NUM_LAST_LINES = 12
"""Number of last lines of output that are kept of a failed run."""
MAX_NAME, MAX_GROUP = 128, 64
"""Longest name and group of a run that W&B takes."""
NEVER = threading.Event()
RANKS = ("SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "RANK", "LOCAL_RANK", "WORLD_SIZE")
HIDDEN_VARIABLES = (*RANKS, "PL_GLOBAL_SEED", "PL_SEED_WORKERS", "WANDB_RUN_ID")
"""Variables that are hidden from a run: Lightning would mistake the tasks of a SLURM job for processes of the run, and the seed that
planning left behind for the seed of the run; W&B would log all runs of a study that the agent of a sweep started as one."""


@dataclass(frozen=True)
class RunOutcome:
    """How an attempt to perform a run ended."""

    name: str
    state: Literal["finished", "failed", "locked", "stopped"]
    """`locked`: another process works on the run; `stopped`: the study was stopped."""
    seconds: float = 0.0
    lines: list[str] = field(default_factory=list)
    """The last lines of output of a failed run."""
    disk_full: bool = False
    """Whether the disk is full, so that all other runs would fail too."""


def perform(folder: str, name: str, environment: Mapping[str, str], stop: threading.Event = NEVER) -> RunOutcome:
    """Perform a run, unless it is finished or another process works on it.

    A run that was interrupted resumes from its last checkpoint, which is written at the end of an epoch; without a checkpoint
    it starts again.

    Args:
        folder: the study's folder.
        name: name of the run.
        environment: environment variables to set, beside those of this process.
        stop: set to end the run at once.

    Raises:
        RunError: if the data was changed since the study was planned.
    """
    study = Study(folder)
    try:
        run = next(run for run in study.plan.runs if run.name == name)
        with study.lock(name) as lock:
            if lock is None:
                return RunOutcome(name, "locked")
            return _perform(study, run, lock.fileno(), environment, stop)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        return RunOutcome(name, "failed", lines=[f"{folder}: {os.strerror(error.errno)}"], disk_full=True)


def _perform(
    study: Study, run: PlannedRun, lock: int, environment: Mapping[str, str], stop: threading.Event
) -> RunOutcome:
    status = study.status(run)
    if status.state == "finished":
        return RunOutcome(run.name, "finished")
    refuse_changed_data(study)
    started = time.monotonic()
    clean_up(study, run)
    resumed = (study.path(run) / run_folder.LAST).is_file()
    if status.state == "failed":
        study.write_status(run, RunStatus())
    code = _fit_and_test(arguments_of(study, run), study.log(run), lock, environment, stop)
    seconds = round(time.monotonic() - started, 3)
    if stop.is_set():
        return RunOutcome(run.name, "stopped", seconds)
    if not code:
        study.write_status(run, RunStatus("finished", seconds, resumed, files=kept_files(study.path(run))))
        return RunOutcome(run.name, "finished", seconds)
    lines = [*_last_lines(study.log(run)), f"(ended with exit code {code})"]
    study.write_status(run, RunStatus("failed", seconds, resumed, lines))
    disk_full = any(os.strerror(number) in line for number in DISK_FULL for line in lines)
    return RunOutcome(run.name, "failed", seconds, lines, disk_full)


def arguments_of(study: Study, run: PlannedRun) -> list[str]:
    """Return the arguments of `cracklab fit` for a run."""
    folder = study.path(run)
    requested: list[str] = []
    for argument in study.plan.request["arguments"]:
        option, equals, value = argument.partition("=")
        is_copy = option == "--config" and equals
        requested.append(f"--config={study.folder / CONFIGS / value}" if is_copy else argument)
    overrides = dict(run.overrides)
    if "data.folds_file" in overrides:
        overrides["data.folds_file"] = str(study.folder / overrides["data.folds_file"])
    last = folder / run_folder.LAST
    return [
        *_wandb_arguments(study, run),  # defaults of a study: the requested arguments may override them
        *requested,
        *as_arguments(overrides),
        "--checkpoint.every_n_steps=null",  # a resumed epoch would lack the batches before the checkpoint in its means
        "--out",
        str(folder),
        *(["--ckpt_path", str(last)] if last.is_file() else []),
    ]


def _wandb_arguments(study: Study, run: PlannedRun) -> list[str]:
    """Return the group of a run in W&B, and the name of a run of `study`; folds are named as any run on a fold is."""
    folder = study.folder
    if study.plan.command == "kfold":  # folders are often called kfold: the one above tells them apart
        given = {"group": f"{folder.parent.name}/{folder.name}"[-MAX_GROUP:]}
    else:
        name = f"{folder.name} {title(run.labels, study.plan.axes)}"
        given = {"group": folder.name[-MAX_GROUP:], "name": name[-MAX_NAME:]}
    variables = {"group": "WANDB_RUN_GROUP", "name": "WANDB_NAME"}
    return [f"--wandb.{key}={value}" for key, value in given.items() if not os.environ.get(variables[key])]


def clean_up(study: Study, run: PlannedRun) -> None:
    """Remove half-written files of killed processes, and the whole content of a run that has no checkpoint to resume from."""
    folder = study.path(run)
    if not (folder / run_folder.LAST).is_file() and folder.is_dir():
        for entry in folder.iterdir():
            if entry.name != "wandb":  # holds the run id, so that W&B shows one run
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for place in (folder, folder / run_folder.CHECKPOINTS, folder / run_folder.PANELS):
        for leftover in place.glob(".*.*"):
            leftover.unlink(missing_ok=True)
    jobs = (study.folder / JOBS / f"{run.name}.json").parent
    for leftover in jobs.glob(f".{Path(run.name).name}.*.json"):
        leftover.unlink(missing_ok=True)


def _fit_and_test(
    arguments: list[str], log: Path, lock: int, environment: Mapping[str, str], stop: threading.Event
) -> int | None:
    """Fit and test in a process of its own session; return its exit code, or None if it was stopped."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output:
        output.write(f"$ cracklab fit {subprocess.list2cmdline(arguments)}\n")
        output.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "cracklab.study.child", "fit", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_run_environment(environment),
            pass_fds=(lock,),
            start_new_session=True,
        )
    try:
        while not stop.is_set():
            try:
                return process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _run_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in {**os.environ, **environment}.items() if name not in HIDDEN_VARIABLES}


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        text = file.read().decode(errors="replace")
    lines = [line.rpartition("\r")[2].rstrip() for line in text.splitlines()]
    return [line for line in lines if line][-NUM_LAST_LINES:]
