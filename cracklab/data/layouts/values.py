"""Read values of annotation files, whose errors name the file, the entry and the value."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cracklab.errors import DataError


@contextmanager
def reading(path: Path, entry: str, tool: str) -> Iterator[None]:
    """Turn errors while an entry of a file is read into one that names both.

    Raises:
        DataError: if the entry is not as it has to be.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        where = f"{entry}: " if entry else ""
        raise DataError(f"{str(path)!r} is not a {tool} ({where}{reason}): correct it, or export it again") from None


def load_json(path: Path) -> Any:
    """Return the content of a JSON file, in UTF-8 with or without a byte order mark.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} cannot be read as JSON ({error}): export it again") from None


def items_of(content: Any, key: str) -> list[Any]:
    """Return a list of a JSON object."""
    if not isinstance(content, dict):
        raise ValueError(f"{type(content).__name__} where an object is expected")
    if not isinstance(content[key], list):
        raise ValueError(f"{key} is not a list")
    items: list[Any] = content[key]
    return items


def size_of(content: Mapping[str, Any], height: str, width: str) -> tuple[int, int] | None:
    """Return (height, width) of a photo, px; None if it is missing, null or 0."""
    size = whole_number(content.get(height) or 0), whole_number(content.get(width) or 0)
    return size if all(size) else None


def number(value: Any) -> float:
    """Return a value of a JSON file as a number.

    Raises:
        ValueError: for anything but a finite number.

    Example:
        >>> number("3")
        Traceback (most recent call last):
        ValueError: '3' is not a number
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{shortened(value)} is not a number")
    return float(value)


def whole_number(value: Any) -> int:
    """Return a value of a JSON file as a whole number of at least 0.

    Raises:
        ValueError: for anything else.

    Example:
        >>> whole_number(-1)
        Traceback (most recent call last):
        ValueError: -1 is not a whole number of at least 0
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{shortened(value)} is not a whole number of at least 0")
    return value


def text(value: Any) -> str:
    """Return a value of a JSON file that is a text.

    Raises:
        ValueError: for anything else, or an empty text.

    Example:
        >>> text(7)
        Traceback (most recent call last):
        ValueError: 7 is not a text
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{shortened(value)} is not a text")
    return value


def shortened(value: Any) -> str:
    """Return a value as a message shows it."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]} ..."


def pair_of(value: str) -> tuple[float, float]:
    """Return the point that a text names.

    Raises:
        ValueError: for anything but two numbers.

    Example:
        >>> pair_of("1.5,2")
        (1.5, 2.0)
    """
    numbers = [float(part) for part in value.split(",")]
    if len(numbers) != 2:
        raise ValueError("a point is not a pair of numbers")
    return numbers[0], numbers[1]


def width_of(value: str) -> float:
    """Return the width of a line, px; a comma may stand for the point.

    Raises:
        ValueError: for anything but a positive number.

    Example:
        >>> width_of("4,2")
        4.2
    """
    width = float(value.replace(",", "."))
    if not width > 0:
        raise ValueError(f"the width {value!r} is not a positive number")
    return width


def photo_path(folder: Path, name: Any) -> Path:
    r"""Return the path of a photo that a file names, with folders of Windows, too.

    Raises:
        ValueError: if the name is not a text.

    Example:
        >>> photo_path(Path("photos"), r"wall\1.jpg").as_posix()
        'photos/wall/1.jpg'
    """
    path = folder / text(name)
    return path if os.path.isfile(path) else folder / name.replace("\\", "/")
