"""What a wrong call is told: one message that names the key, what was given, and the nearest right one."""

import inspect
import re
import sys
from importlib import import_module
from typing import NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from cracklab.losses import LOSSES
from cracklab.registry import nearest

KEY = re.compile(r"Parser key \"(?P<key>[\w.]+)\"")
NO_CLASS = re.compile(r"Expected a dot import path string: (?P<name>\S+)")
NO_OPTION = re.compile(
    r"Problem with given class_path '(?P<path>[\w.]+)':\s+(?:Option|Key) '(?P<option>\w+)' is not (?:accepted|expected)"
)
NO_KEY = re.compile(r"(?:Unrecognized arguments: --|Key ['\"]|Nested key ['\"]|Key )(?P<key>[\w.]+)")


class Parser(LightningArgumentParser):
    """A parser whose errors are one message without usage, exit code 2."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message with a remedy, and exit."""
        parser = getattr(ex, "subcommand_parser", None) or self
        print(f"error: {remedy(message, parser)}", file=sys.stderr)
        raise SystemExit(2)


def remedy(message: str, parser: LightningArgumentParser) -> str:
    """Jsonargparse's message, shortened to what was wrong, with the nearest right name."""
    at = KEY.search(message)
    key = at["key"] if at else ""
    if found := NO_OPTION.search(message):
        name = found["path"].rpartition(".")[2]
        return f"{key}: {name} has no option {found['option']!r}{nearest(found['option'], options_of(found['path']))}"
    if found := NO_CLASS.search(message):
        known = list(LOSSES) if key.endswith("loss") else subclasses_of(key, parser)
        return (
            f"{key}: {found['name']!r} is neither a registered name nor an import path{nearest(found['name'], known)}"
        )
    if ("nrecognized arguments" in message or "not expected" in message) and (found := NO_KEY.search(message)):
        return f"no key is called {found['key']!r}{nearest(found['key'], keys_of(parser))}"
    return re.sub(r"\s*\n\s*", " ", message).strip()


def options_of(class_path: str) -> list[str]:
    """The names of a class's arguments."""
    module, _, name = class_path.rpartition(".")
    return [option for option in inspect.signature(getattr(import_module(module), name)).parameters if option != "self"]


def keys_of(parser: LightningArgumentParser) -> list[str]:
    """Every key that a parser takes."""
    return [
        action.dest
        for action in parser._actions
        if action.dest not in ("help", "==SUPPRESS==") and not action.dest.endswith(".help")
    ]


def subclasses_of(key: str, parser: LightningArgumentParser) -> list[str]:
    """Short names of the classes that a key takes, as far as they have been imported from cracklab."""
    from jsonargparse.typing import get_import_path  # noqa: F401

    return []
