"""Arguments of the commands that are not built from classes: one parser, and its messages for invalid arguments."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from cracklab.errors import ConfigError
from cracklab.registry import nearest

INVALID_CHOICE = re.compile(r"argument (\S+): invalid choice: '?(.*?)'? \(choose from (.*)\)")


def with_underscores(arguments: Sequence[str]) -> list[str]:
    """Return arguments with `-` as `_` in the names of options, so that `--dry-run` and `--dry_run` are one option.

    Example:
        >>> with_underscores(["walls/a-b.jpg", "--mm-per-px=0.5", "--out", "my-folder"])
        ['walls/a-b.jpg', '--mm_per_px=0.5', '--out', 'my-folder']
    """
    return [
        f"--{argument[2:].partition('=')[0].replace('-', '_')}{argument[len(argument.partition('=')[0]) :]}"
        if argument.startswith("--")
        else argument
        for argument in arguments
    ]


class CommandParser(argparse.ArgumentParser):
    """An argparse parser whose errors are one message with the nearest right option.

    Args:
        command: the command, as it is typed after `cracklab`.
        description: one sentence for `--help`.
    """

    def __init__(self, command: str, description: str | None) -> None:
        super().__init__(prog=f"cracklab {command}", description=description, allow_abbrev=False)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse arguments, positional ones and options in any order.

        Raises:
            ConfigError: for invalid arguments; names the argument and the nearest right one.
        """
        given = with_underscores(arguments)
        for argument in given:  # before argparse, which would name a missing argument instead of the misspelt one
            name = argument.partition("=")[0]
            if name.startswith("--") and name != "--" and name not in self.option_names():
                self.error(f"no option is called {name!r}{nearest(name, self.option_names())}")
        options, unknown = self.parse_known_intermixed_args(given)
        if unknown:
            self.error(f"no option is called {unknown[0]!r}{nearest(unknown[0], self.option_names())}")
        return options

    def error(self, message: str) -> NoReturn:
        """Raise the message as a ConfigError.

        Raises:
            ConfigError: always.
        """
        if found := INVALID_CHOICE.search(message):
            choices = [choice.strip().strip("'") for choice in found[3].split(",")]
            message = f"{found[1]} is {found[2]!r}{nearest(found[2], choices)}"
        raise ConfigError(f"{message} (`{self.prog} --help` lists the arguments)")

    def option_names(self) -> list[str]:
        """Return the names of all options, `--out`."""
        actions: list[Any] = self._actions
        return [name for action in actions for name in action.option_strings if name.startswith("--")]
