"""Typed errors, whose messages name the value, what was expected and the remedy, and how a command ends after an error."""

import errno
import re
import signal


class CracklabError(Exception):
    """An error that the user can correct; it ends a command with exit code 2."""


class ConfigError(CracklabError):
    """A configuration value, or a combination of values, that cannot work."""


class DataError(CracklabError):
    """Files, masks or splits that would spoil training."""


class RunError(CracklabError):
    """A run folder or a checkpoint that does not fit the request."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors after which no further file can be written."""
NO_SPACE, NO_RIGHT = "free some space, or choose another folder", "choose another folder, or change its permissions"
REMEDIES = {
    errno.ENOSPC: NO_SPACE,
    errno.EDQUOT: NO_SPACE,
    errno.EFBIG: "the file is larger than this disk or `ulimit -f` allows: choose another folder",
    errno.EROFS: NO_RIGHT,
    errno.EACCES: NO_RIGHT,
    errno.EPERM: NO_RIGHT,
    errno.ENAMETOOLONG: "shorten the name",
    errno.ENOTDIR: "a file is where a folder is expected: choose another path",
    errno.EEXIST: "a file is where a folder is expected: choose another path",
    errno.EISDIR: "a folder is where a file is expected: choose another path",
    errno.ENOENT: "check the path",
}
KILLED_WORKER = "DataLoader worker (pid"
"""Begin of PyTorch's message about a worker that was killed."""
IN_WORKER = re.compile(r"Caught (\w+) in DataLoader worker process \d+\.\n")
"""Begin of PyTorch's message about an error that a worker raised; the worker's traceback follows."""


def outcome(error: BaseException) -> tuple[int, str] | None:
    """Return the exit code and the message of an error that is no defect of the program; None for any other error.

    The code is 2 for an error of cracklab's own, 130 for an interrupt from the keyboard, and 1 for a file that cannot be read or
    written and for a worker of a data loader that was killed.

    Example:
        >>> outcome(ConfigError("tile is 100: give a multiple of 32 px"))
        (2, 'error: tile is 100: give a multiple of 32 px')
        >>> outcome(OSError(errno.ENOSPC, "No space left on device", "masks/a.png"))
        (1, "error: 'masks/a.png': No space left on device: free some space, or choose another folder")
        >>> outcome(ZeroDivisionError()) is None
        True
    """
    if isinstance(error, CracklabError):
        return 2, f"error: {_without_traceback(str(error))}"
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT, "interrupted: finished files are kept"
    if isinstance(error, OSError):
        return 1, f"error: {as_text(error)}"
    if isinstance(error, RuntimeError) and str(error).startswith(KILLED_WORKER):
        return 1, (
            f"error: a process that prepares samples was killed ({str(error).strip()}): if memory ran out, lower "
            "data.num_workers; checkpoints are kept, and --ckpt_path RUN/checkpoints/last.ckpt resumes from them"
        )
    return None


def as_text(error: OSError) -> str:
    """Return an error of the operating system with its file and the remedy.

    Example:
        >>> as_text(OSError(errno.ENAMETOOLONG, "File name too long", "a.png"))
        "'a.png': File name too long: shorten the name"
    """
    if error.errno is None:
        return str(error)
    remedy = REMEDIES.get(error.errno)
    file = "" if error.filename is None else f"{str(error.filename)!r}: "
    return f"{file}{error.strerror}{f': {remedy}' if remedy else ''}"


def _without_traceback(message: str) -> str:
    """Return the message of an error that a worker of a data loader raised, without the worker's traceback."""
    found = IN_WORKER.match(message)
    return message.rpartition(f"{found[1]}: ")[2].strip() if found else message
