"""Runs commands of cracklab, one a line of standard input, each in a process of its own; answers with their exit codes.

A line holds the arguments, the environment, and the file that the output is appended to, or null. With `SOAK_ROOT` in the
environment, kill_hook.py is imported first.

The processes are forked after the slow imports, which take longer than a tiny run. W&B, which timm would import, must not be
among these: its folder for temporary files is one per import.
"""

import json
import os
import signal
import sys

import albumentations  # noqa: F401
import lightning.pytorch  # noqa: F401
import monai.metrics  # noqa: F401

sys.modules["wandb"] = None  # type: ignore[assignment]  # it cannot be imported until it is deleted here
import timm  # noqa: E402, F401

del sys.modules["wandb"]


def run(arguments: list[str], environment: dict[str, str], output: str | None) -> None:
    """Run a command in this process and end it."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if output is not None:
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.dup2(2, 1)  # standard output is for exit codes
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores Ctrl-C
    os.environ.clear()
    os.environ.update(environment)
    if "SOAK_ROOT" in environment:
        import kill_hook  # noqa: F401
    from cracklab.cli import main

    raise SystemExit(main(arguments))


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
