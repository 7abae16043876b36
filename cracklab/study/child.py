"""`cracklab` as a study starts it: on Linux it ends with the process that started it, even when that is killed.

So a study that is killed leaves no run behind that would still use the device when the same command is started again.
"""

import ctypes
import os
import signal
import sys

from cracklab.cli import main

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent ends."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the kernel knew
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    end_with_parent()
    signal.signal(
        signal.SIGUSR2, signal.SIG_IGN
    )  # tells all of a SLURM task that its time is up; the parent acts on it
    sys.exit(main())
