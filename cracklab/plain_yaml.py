"""YAML from untrusted files: plain values only, within bounds, so that a short text cannot fill the memory."""

from typing import Any

import yaml

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's C loader if available: it reads a plan of 1,000 runs ten times as fast."""
MAX_LENGTH = 16_000_000
"""Largest length of a text, characters."""
MAX_DEPTH = 50
"""Largest depth of values within values; the C loader overflows its stack far above it."""
MAX_NODES = 100_000
"""Largest number of values with every alias written out; a text without aliases may have more."""


def load(text: str) -> Any:
    """Read plain values from YAML.

    Args:
        text: one document.

    Raises:
        yaml.YAMLError: if the text is not YAML, names a Python object, is too long or too deep, refers to itself, or has
            aliases that stand for too many values.

    Example:
        >>> load("crop: 64")
        {'crop': 64}
        >>> load("[[" * 100)
        Traceback (most recent call last):
        yaml.error.YAMLError: values lie more than 50 levels deep
    """
    if len(text) > MAX_LENGTH:
        raise yaml.YAMLError(f"the text has {len(text)} characters, and at most {MAX_LENGTH} are read")
    _check_size(text)
    try:
        return yaml.load(text, Loader=Loader)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:  # a date in month 99, a number of 10,000 digits
        raise yaml.YAMLError(f"{type(error).__name__}: {error}") from error


def _check_size(text: str) -> None:
    """Count the values of a text from its events, without building them."""
    sizes: dict[str, int] = {}  # anchor -> number of values
    open_values: list[tuple[str | None, int]] = [(None, 0)]  # of the document and each collection around the next event
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_values.append((event.anchor, 1))
            if len(open_values) > MAX_DEPTH + 1:
                raise yaml.YAMLError(f"values lie more than {MAX_DEPTH} levels deep")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_values.pop()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise yaml.YAMLError(
                    f"the alias *{event.anchor} stands for nothing, or for a value that it is a part of"
                )
            anchor, size = None, sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        around, total = open_values[-1]
        open_values[-1] = around, total + size
        if total + size > max(MAX_NODES, len(text)):
            raise yaml.YAMLError(f"its aliases stand for more than {MAX_NODES} values")
