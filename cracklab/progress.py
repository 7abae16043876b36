"""Progress of long work: a bar on a terminal, one line per item elsewhere, both with the time left."""

import time
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text


def duration(seconds: float) -> str:
    """Return a duration as h:mm:ss.

    Example:
        >>> duration(83.4)
        '0:01:23'
    """
    return str(timedelta(seconds=max(0, round(seconds))))


class _Mark(NamedTuple):
    """The work done at a time, s."""

    time: float
    work: float


class Progress:
    """A bar over the work in a number of items, which are done in order; the time left follows from the pace so far.

    The first piece of work takes longer than others: libraries load, a GPU starts. The pace is therefore that of the work after it, as soon
    as there is any.

    Args:
        work: of each item, in any unit that time is proportional to: pixels, tiles.
        noun: plural noun for the items: `photos`.
        done: number of items that were done before.
        log_items: whether every item prints its line on a terminal too.
        at_once: whether several items may be done at once; the pace is then that of all work.
    """

    def __init__(
        self, work: Sequence[float], noun: str, done: int = 0, log_items: bool = False, at_once: bool = False
    ) -> None:
        self.work, self.noun, self.done = list(work), noun, done
        self.total = float(sum(work))
        self._before_item = float(sum(self.work[:done]))
        self._start = self._last = _Mark(time.monotonic(), self._before_item)
        self._first: _Mark | None = None
        self._log_items, self._at_once = log_items, at_once
        self._console = Console(highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), _TimeLeft(self),
        )  # fmt: skip
        self._bar = Bar(*columns, console=self._console, disable=not self._console.is_terminal or not self.work)
        self._task = self._bar.add_task(self._count(), total=self.total, completed=int(self._last.work))

    def __enter__(self) -> Self:
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the bar."""
        self._bar.stop()

    def advance(self, work: float) -> None:
        """Count work that is done within an item."""
        self._count_work(self._last.work + work)
        self._bar.update(self._task, completed=self._last.work)

    def finish_item(self, message: str = "", skipped: bool = False) -> None:
        """Count an item that has ended, and print its line.

        Args:
            message: text for the item.
            skipped: whether the rest of its work was not done, since it has failed or was done before.
        """
        end = self._before_item + self.work[self.done]
        if skipped:
            self.total -= end - self._last.work
            end = self._last.work
        self.done += 1
        self._before_item = end
        self._count_work(end)
        self._bar.update(self._task, completed=self._last.work, total=self.total, description=self._count())
        if self._log_items or not self._console.is_terminal:
            left = f", left {self.time_left()}" if self.done < len(self.work) else ""
            self.log(f"{self._count()}{': ' if message else ''}{message}{left}")

    def _count_work(self, worked: float) -> None:
        if worked > self._last.work:
            self._last = _Mark(time.monotonic(), worked)
            self._first = self._first or self._last

    def log(self, message: str) -> None:
        """Print a line above the bar."""
        self._console.print(message, markup=False)

    def time_left(self) -> str:
        """Return the time left at the pace so far, as h:mm:ss; `?` before any work is done."""
        if self._first is None:
            return "?"
        is_warm = not self._at_once and self._last.work > self._first.work
        base = self._first if is_warm else self._start
        pace = (self._last.time - base.time) / (self._last.work - base.work)
        after_item = self.total - self._before_item - sum(self.work[self.done : self.done + 1])
        since = time.monotonic() - self._last.time
        return duration(max(pace * (self.total - self._last.work) - since, pace * after_item))

    def _count(self) -> str:
        return f"{self.done} of {len(self.work)} {self.noun}"


class _TimeLeft(ProgressColumn):
    """The time left, counted down between two pieces of work."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        return Text(f"left {self._progress.time_left()}")
