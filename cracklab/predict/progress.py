"""How many photos are done, and how long the rest takes."""

import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """A bar over tiles on a terminal, one line a photo elsewhere, both with photos and time left.

    Args:
        photos: number of photos.
        tiles: number of tiles of all of them.
    """

    def __init__(self, photos: int, tiles: int) -> None:
        self.photos, self.total, self.tiles, self.done = photos, tiles, 0, 0
        self._console, self._began = Console(), time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=self._console, disable=not self._console.is_terminal or not photos)
        self._task = self._bar.add_task(self._text(), total=tiles)

    def __enter__(self) -> Self:
        """Start."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._bar.stop()

    def advance(self, tiles: int) -> None:
        """So many more tiles are scored."""
        self.tiles += tiles
        self._bar.update(self._task, completed=self.tiles)

    def photo_done(self, tiles: int) -> None:
        """A photo is scored, or has failed: so many tiles are behind it."""
        self.done, self.tiles = self.done + 1, tiles
        self._bar.update(self._task, completed=tiles, description=self._text())
        if not self._console.is_terminal:
            left = (time.monotonic() - self._began) * (self.total - tiles) / max(tiles, 1)
            print(f"{self._text()}, left {timedelta(seconds=round(left))}", flush=True)

    def _text(self) -> str:
        return f"{self.done} of {self.photos} photos"
