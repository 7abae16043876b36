"""A layout, rebuilt from the configuration in a run folder, which is data and not code."""

import typing
from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from cracklab.data.layouts.base import LAYOUTS, Layout, class_names_of
from cracklab.errors import ConfigError

PLAIN = ConfigDict(arbitrary_types_allowed=True, extra="forbid")
"""How arguments are checked: layouts are checked by their class alone, and unknown names are errors."""


def rebuild_layout(given: Any) -> Layout:
    """Return the layout that a configuration of unknown origin names.

    jsonargparse would import a class before it refuses it; here, names are only looked up among the registered layouts.

    Args:
        given: a mapping of `class_path` and `init_args`, or a name, as plain values.

    Raises:
        ConfigError: for a class that is not a registered layout, at any depth, or arguments that do not fit it.

    Example:
        >>> rebuild_layout({"class_path": "folders", "init_args": {"images": "photos"}}).images
        'photos'
        >>> rebuild_layout({"class_path": "os.system"})
        Traceback (most recent call last):
        cracklab.errors.ConfigError: no layout is registered as 'os.system': install its package
    """
    path, arguments = _described(given)
    class_names_of(given)  # refuses a path that is not registered, and more classes than a mask can hold
    cls = LAYOUTS[path.rpartition(".")[2]]
    try:
        hints = typing.get_type_hints(cls.__init__, include_extras=True)
        built = {name: _built(name, value) for name, value in arguments.items()}
        return cls(**{name: _checked(name, value, hints.get(name, Any)) for name, value in built.items()})
    except (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the layout {cls.__qualname__} cannot be rebuilt: {' '.join(str(error).split())[:300]}"
        ) from error


def _described(given: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the class path and the arguments of a description."""
    described = {"class_path": given} if isinstance(given, str) else given
    path = described.get("class_path") if isinstance(described, Mapping) else None
    arguments = (described.get("init_args") or {}) if isinstance(path, str) else None
    if not isinstance(path, str) or not isinstance(arguments, Mapping) or {*described} - {"class_path", "init_args"}:
        raise ConfigError(
            f"the layout is {str(given)[:100]!r}, not a class path with arguments: give the folder of a run that "
            "`cracklab fit` wrote"
        )
    return path, arguments


def _built(name: Any, value: Any) -> Any:
    """Return plain values with the layouts that they describe, at any depth."""
    if name == "layout" or (isinstance(value, Mapping) and "class_path" in value):
        return rebuild_layout(value)
    if isinstance(value, Mapping):
        return {key: _built(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_built(None, item) for item in value]
    return value


def _checked(name: str, value: Any, hint: Any) -> Any:
    """Return an argument as the type in the signature of its layout.

    Raises:
        ValueError: if it does not fit.
    """
    try:
        return TypeAdapter[Any](hint, config=PLAIN).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, (name, *first["loc"])))
        raise ValueError(f"{place} is {str(first['input'])[:100]!r}: {first['msg']}") from error
