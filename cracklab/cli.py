"""The command `cracklab`. It imports only what the given subcommand needs, since imports take seconds."""

import sys
from collections.abc import Sequence
from importlib import import_module

from cracklab.command_parser import with_underscores
from cracklab.completion import completion_script
from cracklab.error_handler import errors_as_messages
from cracklab.errors import CracklabError
from cracklab.registry import nearest
from cracklab.version import __version__

COMMANDS = {
    "fit": (
        "cracklab.training.command",
        "train a net: --config FILE [--config OVERLAY ...] [--KEY VALUE ...] --out RUN",
    ),
    "validate": ("cracklab.training.command", "score a checkpoint on the validation images"),
    "test": ("cracklab.training.command", "score a checkpoint on the test images"),
    "predict": ("cracklab.predict.command", "predict masks and overlays for photos, from a checkpoint alone"),
    "kfold": (
        "cracklab.study.command",
        "cross-validate: the arguments of fit, --folds 5 --out DIR; resumes automatically",
    ),
    "study": ("cracklab.study.command", "run a grid over any keys: --config STUDY --out DIR; resumes automatically"),
    "report": (
        "cracklab.report.command",
        "write tables, figures and one page from runs, kfold and study folders: DIR [DIR ...]",
    ),
    "audit": (
        "cracklab.audit.command",
        "list masks that are probably wrong: KFOLD, or --ckpt_path CKPT --config FILE --out DIR",
    ),
    "rank": (
        "cracklab.rank.command",
        "rank photos by the expected gain of labelling them: PHOTOS --out DIR [--ckpt_path CKPT]",
    ),
    "measure": (
        "cracklab.measure.command",
        "measure length, width, tips and branch points of cracks in masks: MASKS [--mm_per_px X] [--out DIR]",
    ),
    "export": (
        "cracklab.export.command",
        "export a verified ONNX bundle that predicts without PyTorch: --ckpt_path CKPT --out DIR",
    ),
    "check": (
        "cracklab.check.command",
        "examine a data set for faults and leaks, and recommend settings: --config FILE [--out DIR]",
    ),
    "losses": ("cracklab.losses.command", "list the registered losses; --health shows how each behaves"),
    "models": ("cracklab.models.command", "list nets with their parameters and multiply-adds"),
}
"""Command -> the module whose `run(command, arguments)` returns the exit code, and its line of help."""

HELP = "\n".join(
    [
        "usage: cracklab COMMAND [ARGUMENTS]",
        "",
        "Segment thin cracks: train, evaluate, predict.",
        "",
        "commands:",
        *(f"  {name:10}{text}" for name, (_, text) in COMMANDS.items()),
        "",
        "`cracklab COMMAND --help` lists the arguments of a command, `cracklab fit --model.loss.help NAME` those of a class.",
        "`-` and `_` are interchangeable in options.",
        "`cracklab --print_completion bash` (or zsh) prints a script for the completion of commands and options.",
        "`--config cracklab:quickstart` names a configuration that is installed with cracklab.",
    ]
)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        args: the command and its arguments; those of the process if None.

    Returns:
        0; any other exit code is raised.

    Raises:
        SystemExit: 1 if faults were found, some of the work failed, or files cannot be read or written; 2 for invalid
            arguments or bad data; 130 after Ctrl-C; 143 after SIGTERM.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP)
        return 0
    command, *rest = with_underscores(arguments)
    if command == "--version":
        print(__version__)
        return 0
    with errors_as_messages(arguments):
        if command == "--print_completion":
            print(completion_script(rest[0] if rest else "", {name: module for name, (module, _) in COMMANDS.items()}))
            return 0
        if command not in COMMANDS:
            raise CracklabError(f"no command is called {command!r}{nearest(command, list(COMMANDS))}")
        code: int = import_module(COMMANDS[command][0]).run(command, rest)
    if code:
        raise SystemExit(code)
    return 0
