"""Kills the command that imports this module, as a power cut would: at one of its writes, or after some seconds.

The environment says when; without `SOAK_ROOT`, importing this module does nothing:

SOAK_ROOT     folder whose writes count: files opened for writing, renamed, linked or removed, and folders made or removed
SOAK_WRITE    number of the write, from 1 in every process, before which the command is killed; 0: none
SOAK_SECONDS  seconds after which the command is killed; 0: never
SOAK_COUNTS   file to which each process that ends by itself appends its number of writes

A file that a process is about to flush, and so to rename, is cut to a random length first.
"""

import atexit
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from cracklab.files import LEFTOVER

CHANGES = ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir")
FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class KillHook(Callback):
    """Does nothing: `--trainer.callbacks=kill_hook.KillHook` imports this module in the runs of a study."""


class _Watch:
    """An audit hook that counts writes."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.count = 0
        self.at = int(os.environ.get("SOAK_WRITE", "0"))
        self.group = int(os.environ.setdefault("SOAK_GROUP", str(os.getpid())))
        if self.group == os.getpid():
            os.setpgid(0, 0)
        if seconds := float(os.environ.get("SOAK_SECONDS", "0")):
            threading.Thread(target=self._kill_after, args=[seconds], daemon=True).start()
        sys.addaudithook(self)
        atexit.register(self._report)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES and not (event == "open" and arguments[2] & FOR_WRITING):
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike) or not os.fsdecode(path).startswith(self.root):
            return
        self.count += 1
        if self.count == self.at:
            name = Path(os.fsdecode(path))
            if event == "open" and LEFTOVER.fullmatch(name.name) and name.exists():
                os.truncate(name, random.randrange(name.stat().st_size + 1))
            self._kill()

    def _kill_after(self, seconds: float) -> None:
        time.sleep(seconds)
        self._kill()

    def _kill(self) -> None:
        """Kill the command with its group; a run of a study is in a group of its own."""
        os.killpg(self.group, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    def _report(self) -> None:
        with Path(os.environ["SOAK_COUNTS"]).open("a", encoding="utf-8") as file:
            file.write(f"{self.count}\n")


if "SOAK_ROOT" in os.environ:
    _Watch(os.environ["SOAK_ROOT"])
