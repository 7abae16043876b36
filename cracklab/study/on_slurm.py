"""Runs as an array of SLURM tasks, submitted by submitit.

All nodes see the study's folder, and this Python, under the same paths. What a task did is read from the study's folder;
SLURM is only asked whether the task is still in its queue, so that no accounting data base is needed. A task that reaches
its time limit, or is preempted, goes back into the queue by itself, and its run goes on from its last epoch.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cracklab.errors import ConfigError, RunError
from cracklab.study.folder import JOBS, PlannedRun, Study
from cracklab.study.worker import Outcome, perform

POLL_S = 5.0
"""Time between two looks at the queue."""
DEFAULTS: dict[str, int | str] = {"time": 24 * 60, "cpus_per_task": 1}
"""Minutes; cores."""
ALLOCATIONS = 100
"""So often a task goes back into the queue at its time limit."""


class OnSlurm:
    """An executor on SLURM.

    Args:
        parameters: what sbatch is to be told, by the names of submitit: partition, time (minutes), cpus_per_task,
            gpus_per_node, mem, array_parallelism (tasks at once), account, qos ...

    Raises:
        ConfigError: where submitit or SLURM is not installed, or a parameter is unknown.
    """

    def __init__(self, parameters: Mapping[str, str]) -> None:
        try:
            import submitit
        except ImportError:
            raise ConfigError("--executor slurm needs the package submitit: pip install 'cracklab[slurm]'") from None
        if submitit.SlurmExecutor.affinity() < 0:
            raise ConfigError("--executor slurm needs sbatch on this machine: start it where jobs are submitted")
        self._make = submitit.SlurmExecutor
        self.parameters: dict[str, int | str] = DEFAULTS | {
            key: int(value) if value.isdecimal() else value for key, value in parameters.items()
        }
        try:
            self._make("unused").update_parameters(**self.parameters)
        except ValueError as error:
            raise ConfigError(f"--slurm: {error}") from None

    def __call__(self, study: Study, runs: Sequence[PlannedRun]) -> Iterator[Outcome]:
        """Submit one array; outcomes come as tasks leave the queue."""
        executor = self._make(study.folder / JOBS / "slurm", max_num_timeout=ALLOCATIONS)
        executor.update_parameters(job_name=f"cracklab-{study.folder.name}", **self.parameters)
        tasks = executor.map_array(Task(str(study.folder)), [run.name for run in runs])
        pending = {str(task.job_id): run for task, run in zip(tasks, runs, strict=True)}
        array = next(iter(pending)).partition("_")[0]
        try:
            while pending:
                time.sleep(POLL_S)
                queued = _queue(array)
                for task in [task for task in pending if task not in queued]:
                    yield _outcome(study, pending.pop(task), task)
        finally:
            if pending:
                subprocess.run(["scancel", array], check=False)


class Task:
    """What a task does.

    Args:
        folder: the study's.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> str:
        """Do a run; the claim of the allocation before may outlive it by a moment."""
        for _ in range(30):
            outcome = perform(self.folder, name, {})
            if outcome.state != "claimed":
                break
            time.sleep(POLL_S / 2)
        return outcome.state

    def checkpoint(self, name: str) -> Any:
        """What submitit puts into the queue at the time limit: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, name)


def _queue(array: str) -> set[str]:
    """The tasks of an array that wait or run.

    Raises:
        RunError: where the controller does not answer.
    """
    for attempt in range(12):
        asked = subprocess.run(
            ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={array}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode == 0:
            return set(asked.stdout.split())
        if "Invalid job id" in asked.stderr:  # all of it is done, and forgotten
            return set()
        time.sleep(POLL_S * min(attempt + 1, 6))
    raise RunError(
        f"squeue does not answer ({asked.stderr.strip()}): the tasks go on; start the same command again later"
    )


def _outcome(study: Study, run: PlannedRun, task: str) -> Outcome:
    """What came of a task that has left the queue, from what it wrote."""
    with study.claim(run.name) as claim:
        if claim is None:
            return Outcome(run.name, "claimed")
    job = study.status(run)
    if job.state == "finished":
        return Outcome(run.name, "finished", job.seconds)
    if job.state == "failed":
        return Outcome(run.name, "failed", job.seconds, job.lines)
    return Outcome(
        run.name, "failed", lines=[f"SLURM ended task {task}, see jobs/slurm; its last lines: {_tail(study, run)}"]
    )


def _tail(study: Study, run: PlannedRun) -> str:
    try:
        return "\n".join(study.log(run).read_text(errors="replace").splitlines()[-3:])
    except OSError:
        return "none"
