"""Work on many images in parallel threads, with a progress bar and all errors at once."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from cracklab.errors import DataError

T = TypeVar("T")

THREADS = min(8, os.cpu_count() or 1)
AHEAD = 2
"""Number of items per thread that are computed or held ahead of the one that is yielded: results may be whole photos."""


def parallel_map(work: Callable[[int], T], number: int, label: str, threads: int = THREADS) -> Iterator[T]:
    """Yield `work(0)` to `work(number - 1)` in order, computed in parallel threads, a few items ahead.

    Args:
        work: computes one item.
        number: of items.
        label: of the progress bar that a terminal shows.
        threads: number of threads.

    Raises:
        DataError: if `work` raised any; raised at the end, with the messages of all.

    Example:
        >>> list(parallel_map(lambda index: index**2, 4, "Squaring"))
        [0, 1, 4, 9]
    """

    def attempt(index: int) -> T | DataError:
        try:
            return work(index)
        except DataError as error:
            return error

    pending: deque[Future[T | DataError]] = deque()
    faults: list[str] = []
    console = Console(stderr=True)
    with ThreadPoolExecutor(threads) as pool:
        try:
            for index in track(range(number), label, console=console, transient=True, disable=not console.is_terminal):
                while len(pending) < AHEAD * threads and index + len(pending) < number:
                    pending.append(pool.submit(attempt, index + len(pending)))
                result = pending.popleft().result()
                if isinstance(result, DataError):
                    faults.append(str(result))
                else:
                    yield result
        finally:
            pool.shutdown(cancel_futures=True)
    if faults:
        raise DataError("\n".join(faults))
