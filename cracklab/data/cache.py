"""A cache of arrays: made once per machine, and read by all processes as memory-mapped files."""

import contextlib
import getpass
import json
import os
import shutil
import sys
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from cracklab.data.parallel import parallel_map
from cracklab.errors import DataError

Place = Literal["memory", "disk"]
Arrays = Sequence[NDArray[Any]]

DATA, TABLE, LOCK = "data.bin", "table.json", "lock"
"""Files of a store: the arrays, one after another; their offsets, types and shapes; the lock of the processes that use it."""
ALIGNMENT = 64
"""Arrays start at multiples of this, bytes."""
SHARED_MEMORY = Path("/dev/shm")


class CacheFull(Exception):
    """The arrays need more space than they may take."""


class Store:
    """Tuples of arrays in one file; `store[i]` returns read-only views without copying.

    Pickling transfers only the name of the folder. A temporary store is removed by the last process that uses it.

    Args:
        folder: the folder of the store.
        temporary: whether the store is removed after use.
    """

    def __init__(self, folder: Path, temporary: bool = False) -> None:
        self.folder, self.temporary = folder, temporary
        lock = _lock_shared(folder)
        table = json.loads((folder / TABLE).read_text())
        self._items = [[(offset, np.dtype(kind), tuple(shape)) for offset, kind, shape in item] for item in table]
        self._data: NDArray[np.uint8] | None = None
        if temporary:
            weakref.finalize(self, _release, lock, folder)

    def __reduce__(self) -> tuple[type["Store"], tuple[Path, bool]]:
        return Store, (self.folder, self.temporary)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def gigabytes(self) -> float:
        """Size of the arrays, 1e9 bytes."""
        return (self.folder / DATA).stat().st_size / 1e9

    def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
        if self._data is None:
            self._data = np.asarray(np.memmap(self.folder / DATA, np.uint8, mode="r"))
        data = self._data
        return tuple(
            data[offset : offset + kind.itemsize * prod(shape)].view(kind).reshape(shape)
            for offset, kind, shape in self._items[index]
        )


def open_store(
    key: str, number: int, make: Callable[[int], Arrays], place: Place, limit_gb: float, label: str = "Reading images"
) -> Store:
    """Open the store of a key; if there is none, make it in parallel threads, completely or not at all.

    A store in memory is kept in /dev/shm, or in the temporary folder if that is not writable. It takes at most
    `limit_gb`, otherwise it goes to disk, and the last process that uses it removes it. A store on disk is kept in
    ~/.cache/cracklab and is not removed.

    Args:
        key: hash of everything that the arrays are made from.
        number: number of tuples of arrays.
        make: returns the arrays of an index; called in threads.
        place: where the store is kept.
        limit_gb: the most memory that the store may take, 1e9 bytes.
        label: label of the progress bar.

    Raises:
        DataError: if `make` raised any, with the messages of all; or if the disk is full.
    """
    in_memory = place == "memory"
    parent = memory_folder() if in_memory else disk_folder()
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f"cracklab-{_user()}"
    folder = parent / f"{prefix}-{key}"
    free = int(0.9 * shutil.disk_usage(parent).free)
    with _exclusive_lock(parent / f"{prefix}.lock"):
        _remove_leftovers(parent, prefix, in_memory)
        if not folder.exists():
            try:
                _make(folder, number, make, min(free, int(limit_gb * 1e9)) if in_memory else free, label)
            except CacheFull:
                if in_memory:
                    warnings.warn(
                        f"the images take more than data.cache_gb {limit_gb:g}: they go to {disk_folder()}",
                        stacklevel=2,
                    )
                    return open_store(key, number, make, "disk", limit_gb, label)
                raise DataError(
                    f"the cache does not fit into {str(parent)!r}: make room, or set data.cache to none"
                ) from None
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            raise DataError(f"the cache {str(folder)!r} belongs to another user: remove it, or set data.cache to none")
        return Store(folder, temporary=in_memory)


def memory_folder() -> Path:
    """Return the folder of stores in memory: /dev/shm, or the temporary folder, whose pages the system keeps in memory."""
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def disk_folder() -> Path:
    """Return the folder of stores on disk: in the user's cache folder, or in the temporary folder if that is read-only."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    existing = next((folder for folder in (cache, *cache.parents) if folder.exists()), cache)
    return (cache if os.access(existing, os.W_OK) else Path(tempfile.gettempdir())) / "cracklab"


def _user() -> str:
    """Return the user's name, or the user's number if a container has no name for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid())


def _make(folder: Path, number: int, make: Callable[[int], Arrays], limit: int, label: str) -> None:
    """Write a store to a temporary folder beside, and rename it; `limit` is in bytes."""
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
    """Append all arrays at multiples of `ALIGNMENT`; return the offset, type and shape of each array of each tuple."""
    table: list[Any] = []
    for arrays in parallel_map(make, number, label):
        table.append([])
        for array in arrays:
            table[-1].append((file.tell(), array.dtype.str, array.shape))
            padding = -array.nbytes % ALIGNMENT
            if file.tell() + array.nbytes + padding > limit:
                raise CacheFull
            file.write(np.ascontiguousarray(array).tobytes() + bytes(padding))
    return table


# A process that uses a store holds a shared lock on it. The last one removes the store; if processes were killed, the next
# one that opens a store removes what they left.

if sys.platform != "win32":
    import fcntl

    def _lock_shared(folder: Path) -> TextIO:
        file = (folder / LOCK).open()
        fcntl.flock(file, fcntl.LOCK_SH)
        return file

    def _release(lock: TextIO, folder: Path) -> None:
        lock.close()
        # a process that holds the exclusive lock may be about to open this store, and will remove it after use
        with (
            contextlib.suppress(BlockingIOError),
            _exclusive_lock(folder.parent / f"cracklab-{_user()}.lock", wait=False),
        ):
            _remove_if_unused(folder)

    def _remove_if_unused(folder: Path) -> None:
        with contextlib.suppress(OSError), (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _exclusive_lock(path: Path, wait: bool = True) -> Iterator[None]:
        # others may write in this folder too: no link of theirs is followed
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

else:  # Windows needs no locks: it refuses to remove a file that is in use

    def _lock_shared(folder: Path) -> None:
        return None

    def _release(lock: None, folder: Path) -> None:
        _remove_if_unused(folder)

    def _remove_if_unused(folder: Path) -> None:
        with contextlib.suppress(OSError):
            os.remove(folder / DATA)
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _exclusive_lock(path: Path) -> Iterator[None]:
        yield


def _remove_leftovers(parent: Path, prefix: str, in_memory: bool) -> None:
    """Remove what killed processes left; the caller holds the exclusive lock, so no other process is making a store."""
    for part in parent.glob(f"{prefix}-*.part-*"):
        shutil.rmtree(part, ignore_errors=True)
    if in_memory:
        for folder in parent.glob(f"{prefix}-*"):
            _remove_if_unused(folder)
