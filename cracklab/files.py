"""Atomic writes: a file appears whole or not at all."""

import hashlib
import json
import math
import os
import re
import shutil
import struct
import sys
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cracklab.errors import ConfigError, DataError


def output_folder(text: str) -> Path:
    """Return the path of a folder that a command may write into; it need not exist.

    Args:
        text: the value of `--out`.

    Raises:
        ConfigError: if the value is empty, or the folder cannot be there.

    Example:
        >>> output_folder("")
        Traceback (most recent call last):
        cracklab.errors.ConfigError: --out is empty: give the path of a folder
    """
    if not text.strip():
        raise ConfigError("--out is empty: give the path of a folder")
    folder = Path(text)
    try:
        existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    except (OSError, ValueError) as error:
        raise ConfigError(f"--out {text[:100]!r} cannot be a folder ({error}): choose another path") from None
    if not existing.is_dir():
        where = "it" if existing == folder else str(existing)
        raise ConfigError(f"--out {text} cannot be a folder, since {where} is a file: choose another path")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"--out {text} cannot be written, since {existing} is protected: choose another path")
    return folder


LEFTOVER = re.compile(r"\..+\.(\d{1,10})(\.\w+)?")
"""Name of a temporary file, with the number of the process that writes it: `.last.4711.ckpt`, `.bundle.4711`."""

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
    """Return whether a process of this machine is running; True if that is unknown."""
    if sys.platform == "win32":  # where `kill` ends the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True


def remove_leftovers(folder: Path, name: str = "*", contents: Collection[str] = ()) -> None:
    """Remove temporary files that atomic writes of killed processes left in a folder.

    Only call it where no process of another machine writes: whether a process has ended is known on its own machine alone.

    Args:
        folder: the folder; its subfolders are left as they are.
        name: file name, or the stem of one, that was to be written; a pattern of `Path.glob`.
        contents: names of the files in a folder that was to be written; a folder with any other entry is not removed.
    """
    for path in folder.glob(f".{name}.*"):
        found = LEFTOVER.fullmatch(path.name)
        if not found or is_running(int(found[1])):
            continue
        if not path.is_dir():
            path.unlink(missing_ok=True)
        elif contents and all(entry.name in contents for entry in path.iterdir()):
            shutil.rmtree(path, ignore_errors=True)


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


PNG_HEAD = 33
"""Number of bytes of a PNG's signature and header."""
PNG_TEXT = b"tEXtcracklab\0"
"""Type and keyword of the chunk of a PNG that holds a text of cracklab."""
TEXT_BYTES = 1000
"""Largest length of such a text."""


def write_image(
    path: Path, image: NDArray[np.uint8] | NDArray[np.uint16], quality: int = 95, png_text: str = ""
) -> None:
    """Write an image whole or not at all; the suffix decides the format.

    Args:
        path: the file.
        image: (H, W) grey or (H, W, 3) RGB.
        quality: of a JPEG, 0 to 100.
        png_text: ASCII, kept in a PNG in front of its pixels; `read_png_text` returns it.

    Raises:
        DataError: if the format cannot store the image, or the image is too large for it: a JPEG has at most 65,500 px a side.
        OSError: if the file cannot be written.
    """
    import cv2  # not needed by those who write tables only

    pixels = image if image.ndim == 2 else image[..., ::-1]
    options = (cv2.IMWRITE_JPEG_QUALITY, quality) if path.suffix.lower() in (".jpg", ".jpeg") else ()
    try:
        fits, encoded = cv2.imencode(path.suffix, pixels, options)
    except cv2.error as error:
        raise DataError(f"{path} cannot be written as {path.suffix} ({' '.join(str(error).split())})") from None
    if not fits:
        size = f"{image.shape[1]} x {image.shape[0]} px"
        raise DataError(
            f"{path} cannot be written as {path.suffix} ({size} may be too large for it): choose another format"
        )
    with atomic_write(path) as temporary:  # OpenCV's own writer does not notice a full disk when it closes a file
        temporary.write_bytes(_with_text(encoded.tobytes(), png_text) if png_text else encoded.data)


def _with_text(png: bytes, text: str) -> bytes:
    chunk = PNG_TEXT + text.encode("ascii")
    size, checksum = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    return png[:PNG_HEAD] + size + chunk + checksum + png[PNG_HEAD:]


def read_png_text(path: Path) -> str:
    """Return the text that `write_image` kept in a PNG; an empty one if there is none.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("made", ""):
        ...         write_image(Path(folder) / "a.png", np.zeros((2, 3), np.uint8), png_text=name)
        ...         print(repr(read_png_text(Path(folder) / "a.png")))
        'made'
        ''
    """
    with path.open("rb") as file:
        head = file.read(PNG_HEAD + TEXT_BYTES)
    size, chunk = int.from_bytes(head[PNG_HEAD : PNG_HEAD + 4], "big"), head[PNG_HEAD + 4 :]
    return chunk[len(PNG_TEXT) : 4 + size].decode("ascii", "replace") if chunk.startswith(PNG_TEXT) else ""


def sha256(path: str | Path) -> str:
    """Return the checksum of a file, hexadecimal.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     sha256(file.name)[:8]  # of an empty file
        'e3b0c442'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
