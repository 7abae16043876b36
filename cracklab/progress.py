"""Progress of long work: a bar on a terminal, one line per item elsewhere, both with the time left."""

import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar


def duration(seconds: float) -> str:
    """Return a duration as h:mm:ss.

    Example:
        >>> duration(83.4)
        '0:01:23'
    """
    return str(timedelta(seconds=max(0, round(seconds))))


class Progress:
    """A bar over the work in a number of items; the time left follows from the pace so far.

    Args:
        items: number of items.
        noun: what an item is, in the plural: `photos`.
        work: the work in all of them, in any unit: tiles, pixels. None: every item is one unit.
        done: number of items that were done before.
        log_items: whether every item prints its line on a terminal too.
    """

    def __init__(
        self, items: int, noun: str, work: float | None = None, done: int = 0, log_items: bool = False
    ) -> None:
        self.items, self.noun, self.done = items, noun, done
        self.total = float(items if work is None else work)
        self._worked = self._first = float(done if work is None else 0)
        self._began, self._log_items = time.monotonic(), log_items
        self._console = Console(highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
        )  # fmt: skip
        self._bar = Bar(*columns, console=self._console, disable=not self._console.is_terminal or not items)
        self._task = self._bar.add_task(self._count(), total=self.total, completed=int(self._worked), left="?")

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
        self._worked += work
        self._bar.update(self._task, completed=self._worked, left=self.time_left())

    def finish_item(self, message: str = "", worked: float | None = None) -> None:
        """Count an item that is done or has failed, and print its line.

        Args:
            message: what to say of the item.
            worked: the work up to its end; None: one unit more.
        """
        self.done += 1
        self._worked = self._worked + 1 if worked is None else worked
        self._bar.update(self._task, completed=self._worked, description=self._count(), left=self.time_left())
        if self._log_items or not self._console.is_terminal:
            left = f", left {self.time_left()}" if self.done < self.items else ""
            self.log(f"{self._count()}{': ' if message else ''}{message}{left}")

    def log(self, message: str) -> None:
        """Print a line above the bar."""
        self._console.print(message, markup=False)

    def time_left(self) -> str:
        """Return the time left at the pace so far, as h:mm:ss; `?` before any work is done."""
        worked = self._worked - self._first
        if worked <= 0:
            return "?"
        return duration((time.monotonic() - self._began) * (self.total - self._worked) / worked)

    def _count(self) -> str:
        return f"{self.done} of {self.items} {self.noun}"
