"""Arrays that are made once per machine, and read by every process as memory-mapped pages."""

import contextlib
import getpass
import json
import os
import shutil
import sys
import tempfile
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from cracklab.errors import DataError

T = TypeVar("T")
Place = Literal["memory", "disk"]
Arrays = Sequence[NDArray[Any]]

DATA, TABLE, LOCK = "data.bin", "table.json", "lock"
ALIGNMENT = 64
SHARED_MEMORY = Path("/dev/shm")
THREADS = min(8, os.cpu_count() or 1)


class Full(Exception):
    """The arrays do not fit into the memory that they may take."""


class Store:
    """Tuples of arrays in one flat file; `store[i]` gives read-only views, without a copy.

    It travels to worker processes as the name of its folder. A temporary one is removed by the last who uses it.
    """

    def __init__(self, folder: Path, temporary: bool = False) -> None:
        self.folder, self.temporary = folder, temporary
        lock = _hold(folder)
        table = json.loads((folder / TABLE).read_text())
        self._items = [[(offset, np.dtype(kind), tuple(shape)) for offset, kind, shape in item] for item in table]
        self._data: NDArray[np.uint8] | None = None
        if temporary:
            weakref.finalize(self, _let_go, lock, folder)

    def __reduce__(self) -> tuple[type["Store"], tuple[Path, bool]]:
        return Store, (self.folder, self.temporary)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def gigabytes(self) -> float:
        """How much it takes, 1e9 bytes."""
        return (self.folder / DATA).stat().st_size / 1e9

    def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
        if self._data is None:
            self._data = np.asarray(np.memmap(self.folder / DATA, np.uint8, mode="r"))
        data = self._data
        return tuple(
            data[offset : offset + kind.itemsize * prod(shape)].view(kind).reshape(shape)
            for offset, kind, shape in self._items[index]
        )


def build(
    key: str, number: int, make: Callable[[int], Arrays], place: Place, limit_gb: float, label: str = "Reading images"
) -> Store:
    """Open the store of this name, or make it in parallel threads; whole, or not at all.

    In memory it lies in /dev/shm (the system's temporary folder where there is none), takes at most `limit_gb` there,
    and is removed by the last process that uses it; what is larger goes to disk. On disk it lies in ~/.cache/cracklab
    and stays.

    Args:
        key: what the arrays are made from, as a hash.
        number: how many tuples.
        make: from index to arrays; called in threads.
        place: where.
        limit_gb: most memory it may take, 1e9 bytes.
        label: what the progress bar says.

    Raises:
        DataError: everything that `make` refuses, at once; or a full disk.
    """
    in_memory = place == "memory"
    parent = memory_folder() if in_memory else disk_folder()
    parent.mkdir(parents=True, exist_ok=True)
    mine = f"cracklab-{_owner()}"
    folder = parent / f"{mine}-{key}"
    free = int(0.9 * shutil.disk_usage(parent).free)
    with _alone(parent / f"{mine}.lock"):
        _clear(parent, mine, in_memory)
        if not folder.exists():
            try:
                _make(folder, number, make, min(free, int(limit_gb * 1e9)) if in_memory else free, label)
            except Full:
                if in_memory:
                    warnings.warn(
                        f"the images take more than data.cache_gb {limit_gb:g}: they go to {disk_folder()}",
                        stacklevel=2,
                    )
                    return build(key, number, make, "disk", limit_gb, label)
                raise DataError(
                    f"the cache does not fit into {str(parent)!r}: make room, or set data.cache to none"
                ) from None
        return Store(folder, temporary=in_memory)


def memory_folder() -> Path:
    """Where arrays in memory lie: a file system in memory, or else one whose pages the system keeps there."""
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def disk_folder() -> Path:
    """Where arrays on disk lie: the user's cache folder, or the system's temporary one where there is none to write to."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    at_hand = next((folder for folder in (cache, *cache.parents) if folder.exists()), cache)
    return (cache if os.access(at_hand, os.W_OK) else Path(tempfile.gettempdir())) / "cracklab"


def _owner() -> str:
    """The user's name, or number where a container has no name for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid())


def _make(folder: Path, number: int, make: Callable[[int], Arrays], limit: int, label: str) -> None:
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}.part-"))
    try:
        with (part / DATA).open("wb") as file:
            table = _write(file, number, make, limit, label)
        (part / TABLE).write_text(json.dumps(table))
        (part / LOCK).touch()
        os.rename(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _write(file: BinaryIO, number: int, make: Callable[[int], Arrays], limit: int, label: str) -> list[Any]:
    """Append all arrays, each at a multiple of `ALIGNMENT`; returns where each tuple's lie."""
    table: list[Any] = []
    for arrays in in_order(make, number, label):
        table.append([])
        for array in arrays:
            table[-1].append((file.tell(), array.dtype.str, array.shape))
            padding = -array.nbytes % ALIGNMENT
            if file.tell() + array.nbytes + padding > limit:
                raise Full
            file.write(np.ascontiguousarray(array).tobytes() + bytes(padding))
    return table


def in_order(work: Callable[[int], T], number: int, label: str) -> Iterator[T]:
    """`work(0)`, `work(1)` ... done in parallel threads, a few ahead, with a progress bar on a terminal.

    Raises:
        DataError: all that `work` raised, at the end.
    """

    def attempt(index: int) -> T | DataError:
        try:
            return work(index)
        except DataError as error:
            return error

    pending: deque[Future[T | DataError]] = deque()
    faults: list[str] = []
    bar = Console(stderr=True)
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for index in track(range(number), label, console=bar, transient=True, disable=not bar.is_terminal):
                while len(pending) < 4 * THREADS and index + len(pending) < number:
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


# Whoever uses a store holds a shared lock on it. The last one removes it; a later build clears what killed ones left.

if sys.platform != "win32":
    import fcntl

    def _hold(folder: Path) -> TextIO:
        file = (folder / LOCK).open()
        fcntl.flock(file, fcntl.LOCK_SH)
        return file

    def _let_go(lock: TextIO, folder: Path) -> None:
        lock.close()
        # whoever builds may be about to open it, and then removes it himself
        with contextlib.suppress(BlockingIOError), _alone(folder.parent / f"cracklab-{_owner()}.lock", wait=False):
            _remove_if_unused(folder)

    def _remove_if_unused(folder: Path) -> None:
        with contextlib.suppress(OSError), (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _alone(path: Path, wait: bool = True) -> Iterator[None]:
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

else:  # Windows refuses to remove a file that is in use, which is all that is needed

    def _hold(folder: Path) -> None:
        return None

    def _let_go(lock: None, folder: Path) -> None:
        _remove_if_unused(folder)

    def _remove_if_unused(folder: Path) -> None:
        with contextlib.suppress(OSError):
            os.remove(folder / DATA)
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _alone(path: Path) -> Iterator[None]:
        yield


def _clear(parent: Path, mine: str, in_memory: bool) -> None:
    """Remove what killed processes left. Called by the one who may build: nobody else is building."""
    for part in parent.glob(f"{mine}-*.part-*"):
        shutil.rmtree(part, ignore_errors=True)
    if in_memory:
        for folder in parent.glob(f"{mine}-*"):
            _remove_if_unused(folder)
