"""The command `cracklab`: looks at the command first and imports only what that needs, since the imports take seconds."""

import sys
from collections.abc import Sequence
from importlib import import_module

from cracklab import __version__
from cracklab.command_parser import with_underscores
from cracklab.errors import CracklabError
from cracklab.registry import nearest

COMMANDS = {
    "fit": ("cracklab.training", "train a net: --config FILE [--config OVERLAY ...] [--KEY VALUE ...] --out RUN"),
    "validate": ("cracklab.training", "score a checkpoint on the validation images"),
    "test": ("cracklab.training", "score a checkpoint on the test images"),
    "predict": ("cracklab.predict.command", "masks and overlays for photos, from a checkpoint alone"),
    "kfold": ("cracklab.study.command", "cross-validate: fit's arguments, --folds 5 --out DIR; goes on after a stop"),
    "study": ("cracklab.study.command", "a grid of runs over any keys: --config STUDY --out DIR; goes on after a stop"),
    "report": (
        "cracklab.report.command",
        "tables, figures and one page from runs, kfold and study folders: DIR [DIR ...]",
    ),
    "measure": (
        "cracklab.measure.command",
        "length, width, tips and branch points of cracks, from masks: MASKS [--mm_per_px X] [--out DIR]",
    ),
    "export": (
        "cracklab.export.command",
        "an ONNX bundle that predicts without PyTorch, verified: --ckpt_path CKPT --out DIR",
    ),
    "check": (
        "cracklab.check.command",
        "examine the data: faults, leaks, and settings that fit: --config FILE [--out DIR]",
    ),
    "losses": ("cracklab.losses.command", "list the registered losses; --health shows how they behave"),
    "models": ("cracklab.models.command", "list nets with their parameters and multiply-adds"),
}
"""Command -> the module whose `run(command, arguments)` returns the exit code, and a line of help."""

HELP = "\n".join(
    [
        "usage: cracklab COMMAND [ARGUMENTS]",
        "",
        "Segment thin cracks: train, evaluate, predict.",
        "",
        "commands:",
        *(f"  {name:10}{text}" for name, (_, text) in COMMANDS.items()),
        "",
        "`cracklab COMMAND --help` lists a command's arguments; `cracklab fit --model.loss.help NAME` those of a class.",
        "`--config cracklab:quickstart` names a configuration that is installed with the package.",
    ]
)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        args: the command and its arguments; those of the process if None.

    Returns:
        0; every other exit code is raised.

    Raises:
        SystemExit: 1 if the work found faults or some of it failed, 2 for a wrong call or bad data.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP)
        return 0
    command, *rest = with_underscores(arguments)
    if command == "--version":
        print(__version__)
        return 0
    try:
        if command not in COMMANDS:
            raise CracklabError(f"no command is called {command!r}{nearest(command, list(COMMANDS))}")
        code: int = import_module(COMMANDS[command][0]).run(command, rest)
    except CracklabError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    if code:
        raise SystemExit(code)
    return 0
