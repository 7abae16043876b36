"""Runs as an array of SLURM tasks, submitted by submitit.

All nodes must see the study's folder, and this Python, under the same paths. Outcomes are read from the study's folder; SLURM
is only asked whether a task is still in its queue, so no accounting database is needed. A task that reaches its time limit,
or is preempted, is requeued, and its run resumes from its last epoch.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cracklab.errors import ConfigError, RunError
from cracklab.study.folder import JOBS, PlannedRun, Study
from cracklab.study.worker import RunOutcome, perform

POLL_S = 5.0
"""Seconds between two checks of the queue."""
DEFAULTS: dict[str, int | str] = {"time": 24 * 60, "cpus_per_task": 1}
"""Default parameters: time in minutes, cores."""
MAX_REQUEUES = 100
"""How often a task is requeued at its time limit."""


class SlurmExecutor:
    """An executor on SLURM.

    Args:
        parameters: parameters of sbatch, by their names in submitit: partition, time (minutes), cpus_per_task,
            gpus_per_node, mem, array_parallelism (number of tasks at once), account, qos ...

    Raises:
        ConfigError: if submitit or SLURM is not installed, or a parameter is unknown.
    """

    def __init__(self, parameters: Mapping[str, str]) -> None:
        try:
            import submitit
        except ImportError:
            raise ConfigError(
                "--executor slurm needs the package submitit: uv sync --extra slurm, or, without uv, pip install -e '.[slurm]'"
            ) from None
        if submitit.SlurmExecutor.affinity() < 0:
            raise ConfigError("--executor slurm needs sbatch, which is not on this machine: start it on a login node")
        self._submitter = submitit.SlurmExecutor
        self.parameters: dict[str, int | str] = DEFAULTS | {
            key: int(value) if value.isdecimal() else value for key, value in parameters.items()
        }
        try:
            self._submitter("unused").update_parameters(**self.parameters)
        except ValueError as error:
            raise ConfigError(f"--slurm: {error}") from None

    def __call__(self, study: Study, runs: Sequence[PlannedRun]) -> Iterator[RunOutcome]:
        """Submit one array; yield each outcome as its task leaves the queue."""
        submitter = self._submitter(study.folder / JOBS / "slurm", max_num_timeout=MAX_REQUEUES)
        submitter.update_parameters(job_name=f"cracklab-{study.folder.name}", **self.parameters)
        tasks = submitter.map_array(Task(str(study.folder)), [run.name for run in runs])
        pending = {str(task.job_id): run for task, run in zip(tasks, runs, strict=True)}
        array = next(iter(pending)).partition("_")[0]
        try:
            while pending:
                time.sleep(POLL_S)
                queued = _queued_tasks(array)
                for task in [task for task in pending if task not in queued]:
                    yield _outcome(study, pending.pop(task), task)
        finally:
            if pending:
                subprocess.run(["scancel", array], check=False)


class Task:
    """The function that a SLURM task calls; submitit pickles it.

    Args:
        folder: the study's folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> str:
        """Perform a run; wait for the lock, which the previous allocation may hold for a moment longer."""
        for _ in range(30):
            outcome = perform(self.folder, name, {})
            if outcome.state != "locked":
                break
            time.sleep(POLL_S / 2)
        return outcome.state

    def checkpoint(self, name: str) -> Any:
        """Return the call that submitit requeues at the time limit: the same one."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, name)


def _queued_tasks(array: str) -> set[str]:
    """Return the ids of the tasks of an array that are pending or running.

    Raises:
        RunError: if the controller does not answer.
    """
    for attempt in range(12):
        answer = subprocess.run(
            ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={array}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode == 0:
            return set(answer.stdout.split())
        if "Invalid job id" in answer.stderr:  # SLURM has forgotten the array: all its tasks have ended
            return set()
        time.sleep(POLL_S * min(attempt + 1, 6))
    raise RunError(
        f"squeue does not answer ({answer.stderr.strip()}): the tasks keep running; run the same command again later"
    )


def _outcome(study: Study, run: PlannedRun, task: str) -> RunOutcome:
    """Return the outcome of a task that has left the queue, from the study's folder."""
    with study.lock(run.name) as lock:
        if lock is None:
            return RunOutcome(run.name, "locked")
    status = study.status(run)
    if status.state == "finished":
        return RunOutcome(run.name, "finished", status.seconds)
    if status.state == "failed":
        return RunOutcome(run.name, "failed", status.seconds, status.lines)
    message = f"SLURM ended task {task} (see jobs/slurm); last lines of its log: {_log_tail(study, run)}"
    return RunOutcome(run.name, "failed", lines=[message])


def _log_tail(study: Study, run: PlannedRun) -> str:
    try:
        return "\n".join(study.log(run).read_text(errors="replace").splitlines()[-3:])
    except OSError:
        return "none"
