"""Helpers of several tests: a tiny quickstart in this process or its own, a tiny net, callbacks that kill the process."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import Tensor, nn

from cracklab.cli import main

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = ROOT / "configs" / "quickstart.yaml"
TINY = [
    "--data.layout.train=24",
    "--data.layout.val=5",
    "--data.layout.test=7",
    "--data.layout.size=[64,64]",
    "--data.batch_size=8",
    "--trainer.max_epochs=2",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.accelerator=cpu",
]
"""Arguments that shrink the quickstart to a few seconds."""
SMALLEST = [
    "--config",
    str(QUICKSTART),
    *TINY,
    "--data.layout.train=10",
    "--data.layout.val=4",
    "--data.layout.test=4",
    "--data.layout.size=[32,32]",
    "--data.batch_size=4",
    "--model.net=support.TinyNet",
]
"""The smallest fit, with a net of a few weights."""


def fit(out: Path, *more: str) -> Path:
    """Run `cracklab fit` on the tiny quickstart."""
    assert main(["fit", "--config", str(QUICKSTART), *TINY, "--out", str(out), *more]) == 0
    return out


@cache
def _server() -> subprocess.Popen[str]:
    """Start the process that runs commands; it ends with this one."""
    folders = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, str(ROOT / "tests" / "command_server.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=os.environ | {"PYTHONPATH": folders}, **pipes)


def run_process(
    arguments: Sequence[str], environment: Mapping[str, str] = os.environ, output: Path | None = None
) -> int:
    """Run `cracklab` in a process of its own; return its exit code, negative for the signal that killed it.

    Args:
        arguments: the command and its arguments.
        environment: environment variables of the process.
        output: file that standard output and error are appended to.
    """
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    request = [list(arguments), dict(environment), None if output is None else str(output)]
    print(json.dumps(request), file=server.stdin, flush=True)
    return int(server.stdout.readline())


class TinyNet(nn.Module):
    """A small net with the parts of a real one: convolutions, normalisation with statistics, dropout, an encoder."""

    def __init__(self, in_channels: int = 3, classes: int = 1, width: int = 8, dropout: float = 0.2) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(width, classes, 5, padding=2))

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.encoder(image))


class InterruptedNet(TinyNet):
    """Presses Ctrl-C while it scores its third batch."""

    calls = 0

    def forward(self, image: Tensor) -> Tensor:
        InterruptedNet.calls += 1
        if InterruptedNet.calls == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return super().forward(image)


class KillWorker(pl.Callback):
    """Kills a worker of the training data in the second epoch, as the kernel does if memory runs out."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1 and batch_idx == 0:
            for process in multiprocessing.active_children():
                os.kill(process.pid or 0, signal.SIGKILL)
            time.sleep(0.5)  # the signal of the worker's end arrives


class At(pl.Callback):
    """Does something after a batch of an epoch.

    Args:
        epoch: the epoch, from 0.
        batch: the batch, from 0.
        marker: file that is made then; nothing is done if it exists, so that the same command goes on when it is repeated.
    """

    def __init__(self, epoch: int, batch: int, marker: str | None = None) -> None:
        self.at, self.marker = (epoch, batch), Path(marker) if marker else None

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == self.at and not (self.marker and self.marker.exists()):
            if self.marker:
                self.marker.touch()
            self.act(trainer, pl_module)

    def act(self, trainer: pl.Trainer, pl_module: Any) -> None:
        raise NotImplementedError


class KillAt(At):
    """Sends this process a signal; SIGKILL acts like a power cut."""

    def __init__(self, epoch: int, batch: int, by: int = signal.SIGKILL.value, marker: str | None = None) -> None:
        super().__init__(epoch, batch, marker)
        self.by = by

    def act(self, trainer: pl.Trainer, pl_module: Any) -> None:
        os.kill(os.getpid(), self.by)


class PoisonAt(At):
    """Sets weights to NaN, as a step with a gradient of NaN does."""

    def act(self, trainer: pl.Trainer, pl_module: Any) -> None:
        next(pl_module.net.parameters()).data.fill_(float("nan"))


class RemoveRunFolderAt(At):
    """Removes the run folder."""

    def act(self, trainer: pl.Trainer, pl_module: Any) -> None:
        shutil.rmtree(trainer.default_root_dir)


class KillStudyOnce(pl.Callback):
    """Kills the process that started this run, once, in the second epoch of the run in the named folder."""

    def __init__(self, folder: str, marker: str) -> None:
        self.folder, self.marker = folder, Path(marker)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch and Path(trainer.default_root_dir).name == self.folder and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)  # the kernel ends this process long before
            self.marker.unlink()
