"""Atomic writes: a file appears whole or not at all."""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cracklab.errors import DataError

STEM_BYTES = 200
"""Length of a name that its temporary file keeps, so that its own name is not too long."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which is flushed to disk and renamed to `path` at the end.

    On an error the temporary file is removed and `path` stays as it was. The suffix is kept, since libraries choose a
    format by it.

    Raises:
        OSError: names `path`, if the file cannot be written.
    """
    stem = path.stem.encode(errors="surrogateescape")[:STEM_BYTES].decode(errors="ignore")
    temporary = path.with_name(f".{stem}.{os.getpid()}{path.suffix}")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name a file or a folder in errors of the operating system, which name a temporary file or none at all.

    Raises:
        OSError: the same error, of `path`.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def is_running(pid: int) -> bool:
    """Return whether a process of this machine is running; True if that cannot be told."""
    if sys.platform == "win32":  # where `kill` ends the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object whole or not at all; numbers that are not finite become null."""

    def finite(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): finite(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [finite(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    write_text(path, json.dumps(finite(values), indent=2, allow_nan=False) + "\n")


def write_image(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16], quality: int = 95) -> None:
    """Write an image whole or not at all; the suffix decides the format.

    Args:
        path: the file.
        image: (H, W) grey or (H, W, 3) RGB.
        quality: of a JPEG, 0 to 100.

    Raises:
        DataError: if the image has no form in this format.
        OSError: if the file cannot be written.
    """
    import cv2  # not needed by those who write tables only

    pixels = image if image.ndim == 2 else image[..., ::-1]
    options = (cv2.IMWRITE_JPEG_QUALITY, quality) if path.suffix.lower() in (".jpg", ".jpeg") else ()
    try:
        _, encoded = cv2.imencode(path.suffix, pixels, options)
    except cv2.error as error:
        raise DataError(f"{path} cannot be written as {path.suffix} ({' '.join(str(error).split())})") from None
    with atomic_write(path) as temporary:  # OpenCV's own writer does not notice a full disk when it closes a file
        temporary.write_bytes(encoded.data)
