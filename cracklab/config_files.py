"""Where configurations lie: `cracklab:NAME` is configs/NAME.yaml, from the installed package or from the checkout."""

from collections.abc import Sequence
from pathlib import Path

from cracklab.errors import ConfigError
from cracklab.registry import nearest

PREFIX = "cracklab:"


def folder() -> Path:
    """The folder of the configurations that come with cracklab."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def names() -> list[str]:
    """What can follow `cracklab:`."""
    return sorted(path.relative_to(folder()).with_suffix("").as_posix() for path in folder().rglob("*.yaml"))


def resolve(args: Sequence[str]) -> list[str]:
    """Command-line arguments with every `--config cracklab:NAME` replaced by its file.

    Raises:
        ConfigError: for a file or a name that is not there.
    """
    resolved: list[str] = []
    for i, argument in enumerate(args):
        option, equals, value = argument.partition("=")
        if equals and option in ("--config", "-c"):
            resolved.append(f"{option}={_file(value)}")
        elif i and args[i - 1] in ("--config", "-c"):
            resolved.append(_file(argument))
        else:
            resolved.append(argument)
    return resolved


def _file(value: str) -> str:
    if not value.startswith(PREFIX):
        if not Path(value).is_file():
            raise ConfigError(
                f"configuration {value} does not exist: give a YAML file, or {PREFIX}NAME for one of {', '.join(names())}"
            )
        return value
    name = value.removeprefix(PREFIX)
    path = folder() / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"no configuration is called {value!r}{nearest(name, names())}")
    return str(path)
