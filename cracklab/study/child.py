"""The process of one run: `cracklab fit`, then `cracklab test` on its best checkpoint.

    python -m cracklab.study.child fit ARGUMENTS --out RUN

One process does both, since a second one would take seconds to import everything again. On Linux it ends with the process that started it, even if that is killed: a killed study leaves no run behind that would
still use the device when the same command is started again.
"""

import ctypes
import os
import signal
import sys
import warnings

from cracklab import run_folder
from cracklab.error_handler import errors_as_messages

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before the call
            os.kill(os.getpid(), signal.SIGKILL)


def fit_and_test(arguments: list[str]) -> int:
    """Run fit, then test in the same W&B run; return the exit code.

    Raises:
        SystemExit: with the exit code of an error, after its message.
    """
    from cracklab.loggers.wandb import wandb_session
    from cracklab.training.command import run

    folder = arguments[arguments.index("--out") + 1]
    warnings.filterwarnings("ignore", message="There is a wandb run already in progress")  # sharing it is the purpose
    with errors_as_messages(["fit", *arguments]), wandb_session():
        code = run("fit", arguments)
        if code:
            return code
        best = f"{folder}/{run_folder.BEST}"
        return run("test", ["--config", f"{folder}/{run_folder.CONFIG}", "--ckpt_path", best])


if __name__ == "__main__":
    end_with_parent()
    # SLURM signals its time limit to every process of a task; only the task's own process handles it
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    sys.exit(fit_and_test(sys.argv[2:]))
