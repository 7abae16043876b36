"""The parser of configurations, and its error messages: the key, the value that was given, the nearest right one."""

import inspect
import re
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser
from torch import Tensor

from cracklab import config_files
from cracklab.bounds import describe
from cracklab.data.augment import POLICIES
from cracklab.data.layouts import LAYOUTS
from cracklab.errors import ConfigError, CracklabError
from cracklab.losses import LOSSES
from cracklab.registry import Registry, nearest

REGISTRIES: dict[str, Registry[Any]] = {"model.loss": LOSSES, "data.layout": LAYOUTS, "data.augment": POLICIES}
"""Keys whose value is a registered short name."""

KEY = re.compile(r"Parser key \"([\w.]+)\"")
NO_CLASS = re.compile(r"Expected a dot import path string: (\S+)")
NO_OPTION = re.compile(r"(?:Option|Key) '([\w.]+)' is not (?:accepted|expected)")
NO_KEY = re.compile(
    r"(?:nrecognized arguments: --|(?:Group '([\w.]+)' )?does not accept (?:option|nested key) ')([\w.]+)"
)
MISSING = re.compile(r"the following arguments are required: ([\w.]+)")
GIVEN = re.compile(r"(?:Got|Given) value: (.*?)(?:\. Got value: Namespace.*)?$", re.MULTILINE)
CLASS = re.compile(r"Problem with given class_path '([\w.]+)'|class_path='([\w.]+)'")
NOISE = re.compile(r"\s*- Expected a path but .* either not accessible or invalid")


class ConfigParser(LightningArgumentParser):
    """Lightning's parser with errors of one message, without usage; exit code 2."""

    arguments: Sequence[str] = ()
    """The command line, to find a key that a message of jsonargparse does not name."""
    other_options: Sequence[str] = ()
    """Options of the command that passes its other arguments on to this parser, as `kfold` does; suggested too."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message with a remedy, and exit."""
        if not self.exit_on_error:  # a parser of a nested class; its error becomes part of another message
            super().error(message, ex)
        parser = getattr(ex, "subcommand_parser", None) or self
        print(f"error: {remedy(message, parser, self.arguments or parser.arguments)}", file=sys.stderr)
        raise SystemExit(2)


def name_registered(parser: LightningArgumentParser) -> None:
    """Make the help of a key list the registered names instead of every known subclass, which are hundreds for `model.net`."""
    for action in parser._actions:
        if action.dest in ("model.net", *REGISTRIES):
            names = ", ".join(REGISTRIES[action.dest]) if action.dest in REGISTRIES else ""
            text = f", registered: {names}" if names else ""
            action.extra_help = lambda text=text: text  # type: ignore[attr-defined]  # of jsonargparse's own actions


def remedy(message: str, parser: ConfigParser, arguments: Sequence[str]) -> str:
    """Return a message of jsonargparse, shortened to the fault, with the nearest right name."""
    at = KEY.search(message)
    key = at[1] if at else ""
    if found := NO_OPTION.search(message):
        return _no_option(found[1], key, parser, arguments)
    if wrong := _wrong_value(message, parser):
        return wrong
    if found := NO_CLASS.search(message):
        hint = nearest(found[1], list(REGISTRIES[key])) if key in REGISTRIES else ": give package.module.Class"
        return f"{key}: {found[1]!r} is neither a registered name nor an import path{hint}"
    if found := NO_KEY.search(message):
        name = ".".join(filter(None, found.groups()))  # a group names its keys without itself
        return f"no key is called {name!r}{nearest(name, keys_of(parser))}"
    if found := MISSING.search(message):
        return f"{found[1]} is not set: give --{found[1]} VALUE, or --config FILE with a file that sets it"
    return re.sub(r"\s*\n\s*", " ", NOISE.sub("", message)).strip()


def _wrong_value(message: str, parser: ConfigParser) -> str | None:
    """Return the message for a plain value of the wrong type or out of bounds; None if the message is about something else."""
    keys = list(KEY.finditer(message))
    given = GIVEN.search(message, keys[-1].end()) if keys else None
    if given is None:
        return None
    types = [getattr(action, "_typehint", None) for action in parser._actions if action.dest == keys[0][1]]
    if len(keys) > 1:  # the option of a class, which the message names before the key, or after it
        before = list(CLASS.finditer(message, 0, keys[-1].start()))
        found = before[-1] if before else CLASS.search(message, keys[-1].end())
        types = [_type_of(found[1] or found[2], keys[-1][1])] if found else []
    if not types or not _is_plain(types[0]):
        return None
    value = given[1] if re.match(r"[-\d\[({.]", given[1]) else repr(given[1])
    return f"{'.'.join(key[1] for key in keys)} is {value}: give {describe(types[0])}"


def _type_of(path: str, name: str) -> Any:
    """Return the type of an argument of a class; None if it has none."""
    module, _, cls = path.rpartition(".")
    for base in inspect.getmro(getattr(import_module(module), cls)):
        if "__init__" in vars(base):
            hints = typing.get_type_hints(vars(base)["__init__"], include_extras=True)
            if name in hints:
                return hints[name]
    return None


def _is_plain(hint: Any) -> bool:
    """Return whether a type holds numbers, texts and lists of them alone."""
    if get_origin(hint) in (Literal, Annotated):
        return True
    if get_origin(hint) in (Union, UnionType, tuple, list, Sequence):
        return all(_is_plain(part) for part in get_args(hint) if part is not Tensor)
    return hint in (int, float, bool, str, NoneType)


def _no_option(option: str, key: str, parser: ConfigParser, arguments: Sequence[str]) -> str:
    """Return the message for an option that its class does not take, or for a key that does not exist."""
    typed = [argument.removeprefix("--").partition("=")[0] for argument in arguments]
    full = next((name for name in typed if name.endswith(f".{option}")), f"{key}.{option}".strip("."))
    owner = full.rpartition(".")[0]
    path = class_given(owner, arguments)
    if path is None:
        return f"no key is called {full!r}{nearest(full, keys_of(parser))}"
    return f"{owner}: {path.rpartition('.')[2]} has no option {option!r}{nearest(option, options_of(owner, path))}"


def class_given(key: str, arguments: Sequence[str]) -> str | None:
    """Return the class path or short name given for a key, on the command line or in a configuration; None if there is none."""
    given = None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        value = value if equals else following
        if name == f"--{key}":
            given = value
        elif name in config_files.OPTIONS and Path(value).is_file():
            inner: Any = config_files.read(value)
            for part in key.split("."):
                inner = inner.get(part) if isinstance(inner, Mapping) else None
            given = (inner.get("class_path") if isinstance(inner, Mapping) else inner) or given
    return given if isinstance(given, str) else None


def options_of(key: str, path: str) -> list[str]:
    """Return the names of the arguments of a class, given by its path or short name."""
    if key in REGISTRIES and path in REGISTRIES[key]:
        cls = REGISTRIES[key][path]
    else:
        module, _, name = path.rpartition(".")
        cls = getattr(import_module(module), name)
    found: dict[str, None] = {}
    for base in inspect.getmro(cls):
        if "__init__" in vars(base):
            found |= dict.fromkeys(inspect.signature(vars(base)["__init__"]).parameters)
    return [name for name in found if name not in ("self", "args", "kwargs")]


def keys_of(parser: ConfigParser) -> list[str]:
    """Return every key that a parser takes, and every option of the command around it."""
    keys = [action.dest for action in parser._actions if action.dest != "help" and not action.dest.endswith(".help")]
    return [*keys, *parser.other_options]


def as_config_error(error: Exception) -> CracklabError:
    """Return the error of building a configured object: cracklab's own if it is the cause, else the library's message."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, CracklabError):
            return cause
        cause = cause.__cause__ or cause.__context__
    said = str(error.args[0]) if error.args else type(error).__name__
    return ConfigError(f"the configuration does not work ({type(error).__name__}): {' '.join(said.split())}")


@contextmanager
def config_errors() -> Iterator[None]:
    """Turn errors of the constructors and of the data into configuration errors: a message instead of a traceback.

    Raises:
        CracklabError: for anything that a configuration can cause.
    """
    try:
        yield
    except MisconfigurationException as error:
        raise ConfigError(str(error)) from error
    except (ArithmeticError, AttributeError, ImportError, LookupError, TypeError, ValueError) as error:
        raise as_config_error(error) from error
