"""One run of a study: fit and test in a process of their own, begun, gone on with, or left alone.

It imports nothing heavy, so that it can stand in a thread, a Ray worker or a SLURM task.
"""

import errno
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
from cracklab.study.folder import CONFIGS, JOBS, PlannedRun, RunStatus, Study
from cracklab.study.plan import as_arguments

FULL = (errno.ENOSPC, errno.EDQUOT)
LINES = 12
"""So many last lines of a failed run are reported."""
NEVER = threading.Event()
NOT_OURS = ("SLURM_NTASKS",)
"""Variables that a run does not see: Lightning would take the tasks of a SLURM job for the processes of the run."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    name: str
    state: Literal["finished", "failed", "claimed", "stopped"]
    """`claimed`: another process works on it; `stopped`: it was to end."""
    seconds: float = 0.0
    lines: list[str] = field(default_factory=list)
    """Of a failed run: what it printed last."""
    full: bool = False
    """Whether the disk is full, so that no other run can succeed either."""


def perform(folder: str, name: str, environment: Mapping[str, str], stop: threading.Event = NEVER) -> Outcome:
    """Do what is missing of one run.

    A run whose fit was cut goes on from its last checkpoint, which is of the end of an epoch; one that was cut before
    its first checkpoint starts again.

    Args:
        folder: the study's.
        name: the run's.
        environment: variables beside those of this process.
        stop: set by whoever wants the run to end at once.
    """
    study = Study(folder)
    try:
        run = next(run for run in study.plan.runs if run.name == name)
        with study.claim(name) as claim:
            return (
                Outcome(name, "claimed") if claim is None else _perform(study, run, claim.fileno(), environment, stop)
            )
    except OSError as error:
        if error.errno not in FULL:
            raise
        return Outcome(name, "failed", lines=[f"{folder}: {os.strerror(error.errno)}"], full=True)


def _perform(
    study: Study, run: PlannedRun, claim: int, environment: Mapping[str, str], stop: threading.Event
) -> Outcome:
    job = study.status(run)
    if job.state == "finished":
        return Outcome(run.name, "finished")
    began = time.monotonic()
    clear(study, run)
    resumed = (study.path(run) / run_folder.LAST).is_file()
    if job.state == "failed":
        study.write_status(run, RunStatus())
    code = _call(arguments_of(study, run), study.log(run), claim, environment, stop)
    seconds = round(time.monotonic() - began, 3)
    if stop.is_set():
        return Outcome(run.name, "stopped", seconds)
    if not code:
        study.write_status(run, RunStatus("finished", seconds, resumed))
        return Outcome(run.name, "finished", seconds)
    lines = [*_last_lines(study.log(run)), f"(ended with exit code {code})"]
    study.write_status(run, RunStatus("failed", seconds, resumed, lines))
    full = any(os.strerror(number) in line for number in FULL for line in lines)
    return Outcome(run.name, "failed", seconds, lines, full)


def arguments_of(study: Study, run: PlannedRun) -> list[str]:
    """What `cracklab fit` is called with."""
    folder = study.path(run)
    asked: list[str] = []
    for argument in study.plan.asked["arguments"]:
        option, equals, value = argument.partition("=")
        is_copy = option == "--config" and equals
        asked.append(f"--config={study.folder / CONFIGS / value}" if is_copy else argument)
    overlay = dict(run.overlay)
    if "data.folds_file" in overlay:
        overlay["data.folds_file"] = str(study.folder / overlay["data.folds_file"])
    last = folder / run_folder.LAST
    return [
        f"--wandb.group={study.folder.name}",  # before what was asked, which may say otherwise
        f"--wandb.job_type={run.name[:64]}",  # W&B takes no longer ones
        *asked,
        *as_arguments(overlay),
        "--checkpoint.every_n_steps=null",  # an epoch that is cut in two has other means
        "--out",
        str(folder),
        *(["--ckpt_path", str(last)] if last.is_file() else []),
    ]


def clear(study: Study, run: PlannedRun) -> None:
    """Remove what killed processes left half-written, and a run that has no checkpoint to go on from."""
    folder = study.path(run)
    if not (folder / run_folder.LAST).is_file() and folder.is_dir():
        for entry in folder.iterdir():
            if entry.name != "wandb":  # keeps the id, so that W&B shows one run
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for place in (folder, folder / run_folder.CHECKPOINTS, folder / run_folder.PANELS):
        for left in place.glob(".*.*"):
            left.unlink(missing_ok=True)
    jobs = (study.folder / JOBS / f"{run.name}.json").parent
    for left in jobs.glob(f".{Path(run.name).name}.*.json"):
        left.unlink(missing_ok=True)


def _call(
    arguments: list[str], log: Path, claim: int, environment: Mapping[str, str], stop: threading.Event
) -> int | None:
    """Fit and test in a process and a session of their own; returns the exit code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output:
        output.write(f"$ cracklab fit {subprocess.list2cmdline(arguments)}\n")
        output.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "cracklab.study.child", "fit", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={name: value for name, value in os.environ.items() if name not in NOT_OURS} | dict(environment),
            pass_fds=(claim,),
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


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        text = file.read().decode(errors="replace")
    lines = [line.rpartition("\r")[2].rstrip() for line in text.splitlines()]
    return [line for line in lines if line][-LINES:]
