"""Files that hold their own checksum, so that a later start can tell whether somebody has changed them."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cracklab.files import atomic_write

UNSIGNED = "sha256:" + 64 * "0"
"""Placeholder in a file for its checksum, which is computed with the placeholder and then replaces it."""
SIGNATURE = re.compile(rb"sha256:[0-9a-f]{64}")
HEAD = 4096
"""The checksum is in this number of bytes at the start of a file."""


@contextmanager
def signed_file(path: Path) -> Iterator[Callable[[str], None]]:
    """Yield a function that appends text to a file, which appears whole or not at all, and holds its own checksum.

    The text has to have `UNSIGNED` in its first `HEAD` bytes.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "a.txt"
        ...     with signed_file(path) as write:
        ...         write(f"{UNSIGNED} cracks: 3")
        ...     before = is_unchanged(path)
        ...     _ = path.write_text(path.read_text().replace("3", "4"))
        ...     before, is_unchanged(path)
        (True, False)
    """
    digest = hashlib.sha256()
    with atomic_write(path) as temporary:
        with temporary.open("wb") as file:

            def write(text: str) -> None:
                data = text.encode()
                digest.update(data)
                file.write(data)

            yield write
        with temporary.open("rb+") as written:
            written.seek(written.read(HEAD).index(UNSIGNED.encode()))
            written.write(f"sha256:{digest.hexdigest()}".encode())


def is_unchanged(path: Path) -> bool:
    """Return whether a file is as `signed_file` wrote it."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        found = SIGNATURE.search(head)
        if found is None:
            return False
        digest = hashlib.sha256(SIGNATURE.sub(UNSIGNED.encode(), head, count=1))
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return found[0] == f"sha256:{digest.hexdigest()}".encode()
