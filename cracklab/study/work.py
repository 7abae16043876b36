"""The work of a study: every run that is missing, whoever else works on the same folder."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from statistics import median
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cracklab.study.folder import Run, Study
from cracklab.study.job import Outcome

Executor = Callable[[Study, Sequence[Run]], Iterator[Outcome]]
"""Works on runs, and yields what came of each as it ends; whoever stops asking ends the work."""
POLL_S = 2.0
"""Time between two looks at a run that another process works on."""


def work(study: Study, runs: Sequence[Run], executor: Executor) -> list[Outcome]:
    """Do all runs that are not finished; those that another process has claimed are waited for.

    Returns:
        What came of each that was missing; a full disk ends the work.
    """
    left = {run.name: run for run in runs if study.job(run).state != "finished"}
    ended: list[Outcome] = []
    with Board(len(runs), len(left)) as board:
        while left:
            for outcome in executor(study, list(left.values())):
                if outcome.state == "claimed":
                    continue
                board.show(outcome)
                del left[outcome.name]
                ended.append(outcome)
                if outcome.full:
                    return ended
            for run in list(left.values()):  # they are another's
                if study.job(run).state == "finished":
                    ended.append(Outcome(run.name, "finished"))
                    board.show(ended[-1])
                    del left[run.name]
            if left and all(_claimed(study, run) for run in left.values()):
                board.wait(list(left))
                while all(_claimed(study, run) for run in left.values()):
                    time.sleep(POLL_S)
    return ended


def _claimed(study: Study, run: Run) -> bool:
    with study.claim(run.name) as claim:
        return claim is None


def typical_seconds(study: Study) -> float | None:
    """Median time of the finished runs that were done in one go; None where there is none."""
    jobs = [study.job(run) for run in study.plan.runs]
    times = [job.seconds for job in jobs if job.state == "finished" and not job.resumed]
    return median(times) if times else None


def as_time(seconds: float) -> str:
    """h:mm:ss."""
    return str(timedelta(seconds=max(0, round(seconds))))


class Board:
    """Runs done, and the time left at the pace so far: a bar on a terminal, one line a run everywhere.

    Args:
        total: number of runs.
        left: of these, how many are to be done.
    """

    def __init__(self, total: int, left: int) -> None:
        self.total, self.left, self._began, self._ended = total, left, time.monotonic(), 0
        self._console = Console(highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left {task.fields[left]}"),
            console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("runs", total=total, completed=total - left, left="?")

    def __enter__(self) -> "Board":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, outcome: Outcome) -> None:
        """A run has ended."""
        self.left, self._ended = self.left - 1, self._ended + 1
        time_left = as_time(self.left * (time.monotonic() - self._began) / self._ended)
        took = f" in {as_time(outcome.seconds)}" if outcome.seconds else ""
        ending = f", left {time_left}" if self.left else ""
        self._console.print(
            f"{self.total - self.left}/{self.total} {outcome.name} {outcome.state}{took}{ending}", markup=False
        )
        self._bar.update(self._task, completed=self.total - self.left, left=time_left)

    def wait(self, names: Sequence[str]) -> None:
        """Say that others work on what is left."""
        self._console.print(f"another process works on {', '.join(names)}: waiting for it", markup=False)
