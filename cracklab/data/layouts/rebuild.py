"""A layout, rebuilt from the configuration in a run folder, which is data and not code."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from cracklab.data.layouts.base import LAYOUTS, Layout, class_names_of
from cracklab.errors import ConfigError


def rebuild_layout(given: Any) -> Layout:
    """Return the layout that a configuration of unknown origin names.

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
    LAYOUTS.fill()
    for one in _class_paths({"layout": given}):
        class_names_of({"class_path": one})
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--layout", type=Layout)
    try:
        layout = parser.instantiate(parser.parse_object({"layout": given})).layout
    except (ArgumentError, ArithmeticError, TypeError, ValueError) as error:
        raise ConfigError(f"the layout cannot be rebuilt: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(layout, Layout):
        raise ConfigError(f"the layout is {str(given)[:100]!r}: give the folder of a run that `cracklab fit` wrote")
    return layout


def _class_paths(value: Any) -> Iterator[str]:
    """Yield every class path in plain values; a layout may be given by its path alone."""
    if isinstance(value, Mapping):
        if "class_path" in value:
            yield str(value["class_path"])
        if isinstance(value.get("layout"), str):
            yield value["layout"]
        for one in value.values():
            yield from _class_paths(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _class_paths(one)
