"""The execution of a study: all unfinished runs, while other processes may work on the same folder."""

import time
from collections.abc import Iterable, Sequence
from statistics import median

from cracklab.progress import Progress, duration
from cracklab.study.executors import Executor
from cracklab.study.folder import PlannedRun, Study
from cracklab.study.worker import RunOutcome

POLL_S = 2.0
"""Seconds between two checks of a run that another process works on."""


def execute(study: Study, runs: Sequence[PlannedRun], executor: Executor) -> list[RunOutcome]:
    """Perform all unfinished runs, and wait for those that other processes work on.

    Args:
        study: the study's folder.
        runs: the runs of this process, finished or not.
        executor: performs runs.

    Returns:
        The outcome of every run that was unfinished; of those that ended so far if the disk is full.
    """
    left = {run.name: run for run in runs if study.status(run).state != "finished"}
    ended: list[RunOutcome] = []
    with Progress([1] * len(runs), "runs", done=len(runs) - len(left), log_items=True, at_once=True) as progress:

        def note(outcome: RunOutcome) -> None:
            """Count the end of a run once, whichever process reports it."""
            if outcome.state != "locked" and outcome.name in left:
                del left[outcome.name]
                progress.finish_item(_as_line(outcome))
                ended.append(outcome)

        while left:
            for outcome in executor(study, list(left.values())):
                note(outcome)
                if outcome.disk_full:
                    return ended
                for run in _finished(study, left.values()):  # by other processes
                    note(RunOutcome(run.name, "finished"))
            if left and all(_is_locked(study, run) for run in left.values()):
                progress.log(f"waiting for another process that works on {', '.join(left)}")
                while all(_is_locked(study, run) for run in left.values()):
                    time.sleep(POLL_S)
    return ended


def _finished(study: Study, runs: Iterable[PlannedRun]) -> list[PlannedRun]:
    return [run for run in runs if study.status(run).state == "finished"]


def _is_locked(study: Study, run: PlannedRun) -> bool:
    with study.lock(run.name) as lock:
        return lock is None


def median_seconds(study: Study) -> float | None:
    """Return the median time of the finished runs that were never resumed; None if there are none."""
    statuses = [study.status(run) for run in study.plan.runs]
    times = [status.seconds for status in statuses if status.state == "finished" and not status.resumed]
    return median(times) if times else None


def _as_line(outcome: RunOutcome) -> str:
    took = f" in {duration(outcome.seconds)}" if outcome.seconds else ""
    return f"{outcome.name} {outcome.state}{took}"
