"""The process of one run: `cracklab fit`, then `cracklab test` on its best checkpoint, without the imports of a second process.

    python -m cracklab.study.child fit ARGUMENTS --out RUN

On Linux it ends with the process that started it, even when that is killed: a study that is killed leaves no run behind that
would still use the device when the same command is started again.
"""

import ctypes
import os
import signal
import sys
import warnings

from cracklab import run_folder
from cracklab.errors import CracklabError

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent ends."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the kernel knew
            os.kill(os.getpid(), signal.SIGKILL)


def fit_and_test(arguments: list[str]) -> int:
    """Run both; returns the exit code."""
    from cracklab.loggers.wandb import finish_wandb
    from cracklab.training import run_open

    folder = arguments[arguments.index("--out") + 1]
    # test goes on in the run that fit opened: a second one in this process would overwrite it where W&B is offline
    warnings.filterwarnings("ignore", message="There is a wandb run already in progress")
    mode = os.environ.get("WANDB_MODE")
    try:
        code = run_open("fit", arguments)
        if code:
            return code
        os.environ.pop("WANDB_MODE", None)  # Lightning leaves `dryrun` there where W&B is offline
        os.environ |= {"WANDB_MODE": mode} if mode else {}
        best = f"{folder}/{run_folder.BEST}"
        return run_open("test", ["--config", f"{folder}/{run_folder.CONFIG}", "--ckpt_path", best])
    except CracklabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        finish_wandb()


if __name__ == "__main__":
    end_with_parent()
    # tells every process of a SLURM task that its time is up; the study's own acts on it
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    sys.exit(fit_and_test(sys.argv[2:]))
