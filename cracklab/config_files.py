"""Configuration files: where those of cracklab are, how they are read, and how `--config` is replaced in arguments."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from cracklab import plain_yaml
from cracklab.errors import ConfigError
from cracklab.registry import nearest

PREFIX = "cracklab:"
"""`--config cracklab:NAME` is configs/NAME.yaml, from the installed package or from the checkout."""
OPTIONS = ("--config", "-c")


def folder() -> Path:
    """Return the folder of the configurations that come with cracklab."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def names() -> list[str]:
    """Return every name that can follow `cracklab:`."""
    return sorted(path.relative_to(folder()).with_suffix("").as_posix() for path in folder().rglob("*.yaml"))


def find(value: str) -> Path:
    """Return the file that a value of `--config` names.

    Raises:
        ConfigError: if there is no such file or name.
    """
    if not value.startswith(PREFIX):
        if not Path(value).is_file():
            raise ConfigError(
                f"configuration {value} does not exist: give a YAML file, or {PREFIX}NAME for one of {', '.join(names())}"
            )
        return Path(value)
    name = value.removeprefix(PREFIX)
    path = folder() / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"no configuration is called {value!r}{nearest(name, names())}")
    return path


def read(path: str | Path) -> dict[str, Any]:
    """Read a configuration file.

    Raises:
        ConfigError: if the file cannot be read, or holds anything but keys and values.
    """
    try:
        content = plain_yaml.load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"configuration {path} cannot be read ({error}): correct it") from None
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"configuration {path} holds {type(content).__name__}, not keys and values: correct it")
    return content or {}


def replace(arguments: Sequence[str], replacement: Callable[[str], Iterable[object]]) -> list[str]:
    """Return arguments with the value of every `--config` replaced.

    Args:
        arguments: of a command; `--config VALUE`, `--config=VALUE` and `-c VALUE` are the same.
        replacement: from a value to the values that take its place, in the order in which they overlay each other.

    Raises:
        ConfigError: if the last `--config` has no value.

    Example:
        >>> replace(["--config", "a.yaml", "--out", "RUN"], lambda value: ["base.yaml", value])
        ['--config=base.yaml', '--config=a.yaml', '--out', 'RUN']
    """
    replaced: list[str] = []
    left = iter(arguments)
    for argument in left:
        option, equals, value = argument.partition("=")
        if option not in OPTIONS:
            replaced.append(argument)
            continue
        given = value if equals else next(left, None)
        if given is None:
            raise ConfigError("--config has no value: give a YAML file")
        replaced += [f"{OPTIONS[0]}={new}" for new in replacement(given)]
    return replaced


def resolve(arguments: Sequence[str]) -> list[str]:
    """Return arguments with every `--config` naming a file that can be read.

    Raises:
        ConfigError: if there is no such file or name, or it holds no keys and values.
    """

    def readable(value: str) -> list[Path]:
        path = find(value)
        if (
            not read(path) and plain_yaml.load(path.read_text(encoding="utf-8")) is None
        ):  # jsonargparse does not name it
            raise ConfigError(f"configuration {path} is empty: correct it")
        return [path]

    return replace(arguments, readable)


def data_section(value: str) -> list[str]:
    """Return the data section of the configuration that a value of `--config` names, as a value of `--config`."""
    content = read(find(value))
    return [json.dumps({"data": content["data"]} if "data" in content else {})]
