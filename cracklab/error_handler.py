"""The end of every command: an error becomes one message and an exit code, without a traceback."""

import errno
import os
import platform
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from cracklab.errors import CracklabError
from cracklab.version import __version__

DEBUG = "CRACKLAB_DEBUG"
"""Environment variable; if it is set, an error that is not meant for users keeps its traceback."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, 128 + SIGINT, as shells have it."""
PACKAGE = Path(__file__).parent
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Error numbers after which no further file can be written."""
KILLED_WORKER = "DataLoader worker (pid"
"""Beginning of PyTorch's message about a worker that was killed."""
IN_WORKER = re.compile(r"Caught (\w+) in DataLoader worker process \d+\.\n")
"""Beginning of PyTorch's message about an error that a worker raised; the worker's traceback follows."""
REMEDIES = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is a file, so choose another path",
    errno.EISDIR: "it is a folder, so give a file",
    errno.EEXIST: "remove it, or choose another path",
    errno.EACCES: "change its permissions, or choose another path",
    errno.EPERM: "change its permissions, or choose another path",
    errno.EROFS: "choose a path on a disk that can be written",
    errno.ENOSPC: "free some space, or choose a path on another disk",
    errno.EDQUOT: "free some space, or choose a path on another disk",
    errno.EMFILE: "raise the number of open files with `ulimit -n`",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EFBIG: "raise the limit of the size of files (`ulimit -f`), or choose a path on another disk",
    errno.EIO: "check the disk",
}
"""Error number of the operating system -> remedy."""


@contextmanager
def errors_as_messages(arguments: Sequence[str] = ()) -> Iterator[None]:
    """End the process with one message on standard error if anything fails.

    Args:
        arguments: the command line, for the report of an unforeseen error.

    Raises:
        SystemExit: `exit_code` of an error of cracklab's own; 1 for files that cannot be read or written, for too little
            memory, and for an unforeseen error, whose traceback is kept in a file; 130 after Ctrl-C.

    Example:
        >>> with errors_as_messages():
        ...     raise FileNotFoundError(2, "No such file or directory", "wall.png")
        Traceback (most recent call last):
        SystemExit: 1
    """
    try:
        yield
    except CracklabError as error:
        _end(_without_traceback(str(error)), error.exit_code)
    except KeyboardInterrupt as error:
        _end(str(error) or "stopped: finished files are kept", INTERRUPTED)
    except BrokenPipeError:  # the reader of standard output is gone, as in `cracklab models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes it at its end
        raise SystemExit(1) from None
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        _end(message_of(error, arguments), 1)


def message_of(error: Exception, arguments: Sequence[str] = ()) -> str:
    """Return the message of an error that is not cracklab's own.

    Args:
        error: with its traceback.
        arguments: the command line.

    Example:
        >>> message_of(PermissionError(13, "Permission denied", "walls"))
        "'walls' cannot be read or written (Permission denied): change its permissions, or choose another path"
    """
    if isinstance(error, OSError) and error.errno is not None and (error.filename or error.errno in REMEDIES):
        what = " and ".join(repr(str(name)) for name in (error.filename, error.filename2) if name) or "a file"
        remedy = REMEDIES.get(error.errno, "check the path and the disk")
        return f"{what} cannot be read or written ({error.strerror}): {remedy}"
    kind = type(error).__name__
    said = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno is None and said:  # of a library, such as Pillow's on a damaged image
        return said
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError":  # PyTorch's own, which is not imported here
        return (
            f"out of memory ({said[:200] or kind}): make data.batch_size, data.eval_batch_size, data.train_crop "
            "or data.resize smaller, or --tile and --batch_size of predict"
        )
    if isinstance(error, RuntimeError) and said.startswith(KILLED_WORKER):
        return (
            f"a process that prepares samples was killed ({said}): if memory ran out, lower data.num_workers; checkpoints "
            "are kept, and --ckpt_path RUN/checkpoints/last.ckpt resumes from them"
        )
    return f"{kind}: {said[:300]} ({_place(error)}). This is a bug of cracklab: please report it, with {_report(error, arguments)}"


def one_line(error: Exception) -> str:
    """Return an error as one line, with its type unless the message is meant for users.

    Example:
        >>> one_line(ValueError("too  large"))
        'ValueError: too large'
    """
    message = " ".join((message_of(error) if isinstance(error, OSError) else str(error)).split())
    return message if isinstance(error, CracklabError | OSError) else f"{type(error).__name__}: {message}".rstrip(": ")


def _place(error: Exception) -> str:
    """Return the last line of cracklab that the error came through: `cracklab/cli.py:80`."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(PACKAGE)
    ]
    if not frames:
        return "outside of cracklab"
    last = frames[-1]
    return f"{Path(last.filename).relative_to(PACKAGE.parent).as_posix()}:{last.lineno}"


def _report(error: Exception, arguments: Sequence[str]) -> str:
    """Write command line, versions and traceback to a temporary file; return a text that names it."""
    heading = (
        f"cracklab {__version__}, Python {platform.python_version()}, {platform.platform()}\n{list(arguments)}\n\n"
    )
    try:
        number, path = tempfile.mkstemp(prefix="cracklab-", suffix=".log")
        with open(number, "w", encoding="utf-8") as file:
            file.write(heading + "".join(traceback.format_exception(error)))
    except OSError:
        return f"the traceback that {DEBUG}=1 shows"
    return f"{path}, which holds the traceback"


def _without_traceback(message: str) -> str:
    """Return the message of an error that a worker of a data loader raised, without the worker's traceback."""
    found = IN_WORKER.match(message)
    return message.rpartition(f"{found[1]}: ")[2].strip() if found else message


def _end(message: str, code: int) -> NoReturn:
    print(f"error: {message}" if code != INTERRUPTED else f"\n{message}", file=sys.stderr)
    raise SystemExit(code) from None
