"""Fingerprints of files: whether a file still has the content that it had.

A file with unchanged size and times is not read again; all others are compared by content, so that a copy of a folder has
the same fingerprints.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Fingerprint = tuple[int, int, int, str]
"""Size in bytes, times of the last change of content and of the file's entry in ns, and a hash of the content."""
THREADS = 8
"""Number of files that are read at once."""


def fingerprints(files: Iterable[str | Path]) -> dict[str, Fingerprint]:
    """Return the fingerprint of each file, by its path, sorted.

    Raises:
        OSError: if a file cannot be read.
    """
    paths = sorted(map(str, files))
    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(paths, pool.map(_fingerprint, paths), strict=True))


def changed(known: Mapping[str, Fingerprint]) -> dict[str, str]:
    """Return the files that differ from their fingerprints -> `changed` or `gone`, in the order given.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a", "b", "c"):
        ...         _ = Path(folder, name).write_text(name)
        ...     known = fingerprints(Path(folder).iterdir())
        ...     _ = Path(folder, "a").write_text("A")
        ...     Path(folder, "b").unlink()
        ...     os.utime(Path(folder, "c"))
        ...     {Path(name).name: state for name, state in changed(known).items()}
        {'a': 'changed', 'b': 'gone'}
    """

    def state(path: str) -> str:
        size, content_ns, entry_ns, digest = known[path]
        try:
            found = os.stat(path)
            times = found.st_mtime_ns, found.st_ctime_ns
            same = found.st_size == size and (times == (content_ns, entry_ns) or _digest(path) == digest)
        except (FileNotFoundError, NotADirectoryError):
            return "gone"
        return "" if same else "changed"

    with ThreadPoolExecutor(THREADS) as pool:
        states = zip(known, pool.map(state, known), strict=True)
    return {path: found for path, found in states if found}


def is_current(known: Mapping[str, Fingerprint]) -> bool:
    """Return whether all files have the times of their fingerprints, so that `changed` reads none."""
    found = ((os.stat(path), fingerprint) for path, fingerprint in known.items())
    return all((state.st_mtime_ns, state.st_ctime_ns) == tuple(times) for state, (_, *times, _) in found)


def _fingerprint(path: str) -> Fingerprint:
    found = os.stat(path)  # before the content: a change in between is noticed later
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, _digest(path)


def _digest(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def as_text(states: Mapping[str, Any], shown: int = 5) -> str:
    """Return the names of files with their states, the first ones and the number of the others.

    Example:
        >>> as_text({"a.png": "changed", "b.png": "gone", "c.png": "gone"}, shown=2)
        'a.png changed, b.png gone and 1 more'
    """
    rest = len(states) - shown
    listed = ", ".join(f"{name} {state}" for name, state in list(states.items())[:shown])
    return f"{listed} and {rest} more" if rest > 0 else listed
