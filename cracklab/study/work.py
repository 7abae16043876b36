"""The work of a study: every run that is missing, whoever else works on the same folder."""

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from cracklab.progress import Progress, duration
from cracklab.study.folder import PlannedRun, Study
from cracklab.study.worker import Outcome

Executor = Callable[[Study, Sequence[PlannedRun]], Iterator[Outcome]]
"""Works on runs, and yields what came of each as it ends; whoever stops asking ends the work."""
POLL_S = 2.0
"""Time between two looks at a run that another process works on."""


def work(study: Study, runs: Sequence[PlannedRun], executor: Executor) -> list[Outcome]:
    """Do all runs that are not finished; those that another process has claimed are waited for.

    Returns:
        What came of each that was missing; a full disk ends the work.
    """
    left = {run.name: run for run in runs if study.status(run).state != "finished"}
    ended: list[Outcome] = []
    with Progress(len(runs), "runs", done=len(runs) - len(left), log_items=True) as progress:
        while left:
            for outcome in executor(study, list(left.values())):
                if outcome.state == "claimed":
                    continue
                progress.finish_item(_ending(outcome))
                del left[outcome.name]
                ended.append(outcome)
                if outcome.full:
                    return ended
            for run in list(left.values()):  # they are another's
                if study.status(run).state == "finished":
                    ended.append(Outcome(run.name, "finished"))
                    progress.finish_item(_ending(ended[-1]))
                    del left[run.name]
            if left and all(_claimed(study, run) for run in left.values()):
                progress.log(f"another process works on {', '.join(left)}: waiting for it")
                while all(_claimed(study, run) for run in left.values()):
                    time.sleep(POLL_S)
    return ended


def _claimed(study: Study, run: PlannedRun) -> bool:
    with study.claim(run.name) as claim:
        return claim is None


def typical_seconds(study: Study) -> float | None:
    """Median time of the finished runs that were done in one go; None where there is none."""
    jobs = [study.status(run) for run in study.plan.runs]
    times = [job.seconds for job in jobs if job.state == "finished" and not job.resumed]
    return median(times) if times else None


def _ending(outcome: Outcome) -> str:
    took = f" in {duration(outcome.seconds)}" if outcome.seconds else ""
    return f"{outcome.name} {outcome.state}{took}"
