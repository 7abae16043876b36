"""Completion of commands and options in bash and zsh: one script, printed once, that starts no Python when a key is pressed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module

from cracklab.errors import ConfigError
from cracklab.registry import nearest

SHELLS = ("bash", "zsh")

TRAINING = (
    *("--config", "--out", "--name", "--ckpt_path", "--seed_everything", "--help", "--print_config"),
    *("--data.root", "--data.layout", "--data.batch_size", "--data.num_workers", "--data.fold", "--data.split", "--data.group"),
    *("--data.channels", "--data.crop", "--data.resize", "--data.train_crop", "--data.known_overlap"),
    *("--model.net", "--model.loss", "--model.weights"),
    *("--trainer.max_epochs", "--trainer.accelerator", "--trainer.devices", "--trainer.precision"),
)  # fmt: skip
"""Options that everyone types, of commands whose options are built from classes."""
TYPED: Mapping[str, tuple[str, ...]] = {
    "fit": TRAINING,
    "validate": TRAINING,
    "test": (*TRAINING, "--protocol"),
    "check": ("--config", "--data.root", "--data.layout", "--out", "--json", "--help"),
    "losses": ("--health", "--help"),
}
"""Command -> its options, where the parser would import PyTorch."""
PASSED_ON = ("kfold", "study")
"""Commands that take the options of fit beside their own."""

SCRIPT = """\
_cracklab() {
    local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="COMMANDS"
    elif [ "${current#--}" != "$current" ]; then
        current="--$(printf %s "${current#--}" | tr - _)"
        case "${COMP_WORDS[1]}" in
OPTIONS
        esac
    else
        case "${COMP_WORDS[1]} $before" in
CHOICES
        esac
    fi
    [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _cracklab cracklab"""
ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit"


def completion_script(shell: str, modules: Mapping[str, str]) -> str:
    """Return the script that completes commands, options and their values, and file names elsewhere.

    Args:
        shell: one of `SHELLS`.
        modules: command -> the module whose `parser(command)` knows its options, if it is not in `TYPED`.

    Raises:
        ConfigError: for another shell.

    Example:
        >>> print(completion_script("bash", {"rank": "cracklab.rank.command"}).splitlines()[-1])
        complete -o default -F _cracklab cracklab
    """
    if shell not in SHELLS:
        raise ConfigError(f"--print_completion is {shell!r}{nearest(shell, SHELLS)}")
    options: dict[str, list[str]] = {}
    choices: dict[str, list[str]] = {}
    for command, module in modules.items():
        if command in TYPED:
            options[command] = list(TYPED[command])
            continue
        actions = import_module(module).parser(command)._actions
        own = [name for action in actions for name in _names(action)]
        options[command] = list(dict.fromkeys([*own, *(TRAINING if command in PASSED_ON else ())]))
        choices |= {
            f"{command} {name}": list(map(str, one.choices)) for one in actions if one.choices for name in _names(one)
        }
    script = SCRIPT.replace("COMMANDS", " ".join([*modules, "--help", "--version", "--print_completion"]))
    script = script.replace("OPTIONS", _cases({command: " ".join(names) for command, names in options.items()}))
    choices["--print_completion --print_completion"] = list(SHELLS)
    script = script.replace("CHOICES", _cases({key: " ".join(values) for key, values in choices.items()}))
    return f"{ZSH}\n{script}" if shell == "zsh" else script


def _names(action: argparse.Action) -> list[str]:
    return [name for name in action.option_strings if name.startswith("--")]


def _cases(words: Mapping[str, str]) -> str:
    return "\n".join(f'            "{key}") words="{value}" ;;' for key, value in words.items())
