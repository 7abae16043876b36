"""Exit codes of commands: errors that the user can correct are one message, without a traceback."""

import errno
import os
import sys
from collections.abc import Callable

from cracklab.errors import CracklabError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the errors of a full disk and of a used-up quota."""
REMEDIES = dict.fromkeys(DISK_FULL, "free some space, and start the same command again") | {
    errno.EACCES: "check the permissions of the file and of its folder",
    errno.EPERM: "check the permissions of the file and of its folder",
    errno.EROFS: "choose a folder that can be written",
    errno.EFBIG: "raise the limit of the size of files (`ulimit -f`)",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`), or use fewer data.num_workers",
    errno.ENOTDIR: "remove the file that has the name of a folder, or choose another folder",
    errno.EEXIST: "remove the file that has the name of a folder, or choose another folder",
    errno.ENOENT: "check that it has not been removed",
}
"""Number of an error of the system -> what to do."""


def exit_code_of(work: Callable[[], int]) -> int:
    """Run the work of a command, and return its exit code; print an error that the user can correct as one message.

    Args:
        work: returns the exit code of a command that ended.

    Example:
        >>> exit_code_of(lambda: 0)
        0
    """
    try:
        return work()
    except CracklabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {describe(error)}", file=sys.stderr)
        return 1


def describe(error: OSError) -> str:
    """Return an error of the system as one line: the file, the reason, and what to do.

    Example:
        >>> describe(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "RUN/metrics.csv"))
        "'RUN/metrics.csv': No space left on device: free some space, and start the same command again"
    """
    file = error.filename2 or error.filename
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    remedy = REMEDIES.get(error.errno or 0)
    return ": ".join(
        [*([repr(os.fsdecode(file))] if isinstance(file, str | bytes) else []), reason, *filter(None, [remedy])]
    )
