"""The lock of a run folder: one fit at a time, and a fit notices if its folder is removed."""

import errno
import os
import sys
from pathlib import Path
from typing import IO

from cracklab import run_folder
from cracklab.errors import RunError, RunFailure

HELD = (errno.EACCES, errno.EAGAIN)
"""Numbers of the errors of a lock that another process holds."""
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
"""Numbers of the errors of a folder that is gone."""


class RunLock:
    """The lock of a run folder, held until `release` or the end of the process, however it ends.

    It is a record lock (lockf), which belongs to this process alone: neither data workers nor the processes that Lightning
    starts inherit it, so that it does not outlive a killed run. A file system without locks, and Windows, grant it always.

    Args:
        folder: the run folder; it is created.

    Raises:
        RunError: if another process holds the lock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (folder / run_folder.LOCK).open("a")
        self._folder = _open_folder(folder)
        try:
            _lock(self._file)
        except OSError as error:
            if error.errno in HELD:
                self.release()
                raise RunError(
                    f"another process is training in {folder}: wait until it has ended, or choose another --out"
                ) from None

    def check(self) -> None:
        """Check that the folder is still the one that was locked.

        Raises:
            RunFailure: if it was removed or replaced.
        """
        if self._folder is None:
            return
        try:
            same = os.path.samestat(os.fstat(self._folder), self.folder.stat())
        except OSError as error:
            if error.errno not in GONE:
                raise
            same = False
        if not same:
            raise RunFailure(
                f"the run folder {self.folder} was removed while the run trained in it: start the run again"
            )

    def release(self) -> None:
        """Release the lock; the file stays, since another process may be waiting to open it."""
        self._file.close()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None


if sys.platform == "win32":

    def _lock(file: IO[str]) -> None:
        return None

    def _open_folder(folder: Path) -> int | None:
        return None

else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _open_folder(folder: Path) -> int | None:
        """Open a folder: as long as it is open, no new folder can get its identity."""
        return os.open(folder, os.O_RDONLY)
