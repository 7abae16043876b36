"""Checkpoints of a run: the best by a metric, and the last."""

import math
import os
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cracklab import run_folder
from cracklab.bounds import PositiveInt, bounded
from cracklab.checkpoint import read_checkpoint, write_checkpoint
from cracklab.errors import ConfigError
from cracklab.files import atomic_write
from cracklab.metrics.result import EvaluationResult
from cracklab.registry import nearest


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint plugin, reading without unpickling and writing whole; the stock one copies from a temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint whole or not at all."""
        write_checkpoint(path, checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint, refusing anything that would need unpickling."""
        return read_checkpoint(path)


@bounded
class Checkpoints(Checkpoint):
    """Writes checkpoints/best.ckpt after a validation that improves `monitor`, and checkpoints/last.ckpt to resume from.

    Args:
        monitor: metric that decides which checkpoint is the best.
        mode: whether a higher (`max`) or a lower (`min`) value is better.
        every_n_epochs: number of epochs between writes of last.ckpt; the last epoch always writes it.
        every_n_steps: number of batches between further writes of last.ckpt within an epoch, each at the end of its step, or
            of the validation that follows; None: none.
    """

    def __init__(
        self,
        monitor: str = "val/iou",
        mode: Literal["max", "min"] = "max",
        every_n_epochs: PositiveInt = 1,
        every_n_steps: PositiveInt | None = None,
    ) -> None:
        self.monitor, self.mode = monitor, mode
        self.every_n_epochs, self.every_n_steps = every_n_epochs, every_n_steps
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.best_step: int | None = None
        self.best_model_path = ""
        """Path of best.ckpt after training; `trainer.test(ckpt_path="best")` reads it."""
        self._due = self._improved = False
        """Whether last.ckpt is to be written, and best.ckpt."""

    def path(self, trainer: pl.Trainer, name: str) -> Path:
        """Return the path of a checkpoint in the run folder."""
        return Path(trainer.default_root_dir) / name

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write last.ckpt within an epoch, unless a validation follows, which a run resumed from here would skip."""
        if self.every_n_steps is None or _ends_epoch(trainer):
            return
        loop, after = trainer.fit_loop, (batch_idx + 1) % self.every_n_steps
        # not between the batches of a step, whose gradients a checkpoint does not keep
        self._due = after < trainer.accumulate_grad_batches and not loop._should_accumulate()
        if not loop.epoch_loop._should_check_val_fx(loop._data_fetcher):  # type: ignore[arg-type]  # there is one in an epoch
            self._write(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Record whether this validation is the best so far; within an epoch, write the checkpoints at once."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        value = self._monitored(pl_module)
        if value is not None and (
            self.best is None or (value > self.best if self.mode == "max" else value < self.best)
        ):
            self.best, self.best_epoch, self.best_step = value, trainer.current_epoch, trainer.global_step
            self._improved = True
        if not _ends_epoch(trainer):
            self._write(trainer)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore best.ckpt if the run was killed before it was linked."""
        own = checkpoint.get("callbacks", {}).get(self.state_key, {})
        if trainer.state.fn != "fit" or not trainer.is_global_zero or own.get("best_step") != checkpoint["global_step"]:
            return
        given, best = Path(str(trainer.ckpt_path)), self.path(trainer, run_folder.BEST)
        if not (best.is_file() and best.samefile(given)):
            _link(given, best)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the checkpoints of the epoch."""
        epoch = trainer.fit_loop.epoch_progress.current.ready
        last = epoch == trainer.max_epochs or trainer.global_step == trainer.max_steps or trainer.should_stop
        self._due = last or epoch % self.every_n_epochs == 0
        self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        """Write last.ckpt if it is due, and best.ckpt after the best validation so far, as a link to last.ckpt if both are."""
        newest, best = self.path(trainer, run_folder.LAST), self.path(trainer, run_folder.BEST)
        if self._due:
            trainer.save_checkpoint(newest)
            if self._improved and trainer.is_global_zero and newest.is_file():
                _link(newest, best)
        elif self._improved:
            trainer.save_checkpoint(best)
        self._due = self._improved = False

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell `trainer.test()` where the best checkpoint is, also if a finished run was resumed."""
        best = self.path(trainer, run_folder.BEST)
        self.best_model_path = str(best) if best.is_file() else ""

    def _monitored(self, pl_module: Any) -> float | None:
        """Return the monitored metric; None if it is not finite, or this validation left the costly metrics out."""
        result: EvaluationResult = pl_module.result
        if self.monitor in result.metrics:
            value = result.metrics[self.monitor]
            return value if value is not None and math.isfinite(value) else None  # no value is better than NaN
        if not result.complete:
            return None
        hint = nearest(self.monitor, list(result.scores))
        raise ConfigError(f"checkpoint.monitor {self.monitor!r} was not logged by validation{hint}")

    def state_dict(self) -> dict[str, Any]:
        """Return the best value so far."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_step": self.best_step,
            "monitor": self.monitor,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best value, unless another metric is monitored now."""
        if state_dict["monitor"] == self.monitor:
            self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
            self.best_step = state_dict.get("best_step")


def _ends_epoch(trainer: pl.Trainer) -> bool:
    """Return whether the epoch ends with this batch; its checkpoints are then written after its tables."""
    loop = trainer.fit_loop
    return loop.epoch_loop._is_training_done or (trainer.should_stop and loop._can_stop_early)


def _link(existing: Path, name: Path) -> None:
    """Give a file a second name: a hard link, or a copy if the file system has no links."""
    beside = name.with_name(f".{name.name}.{os.getpid()}")
    try:
        os.link(existing, beside)
    except OSError:
        with atomic_write(name) as copy:
            copy.write_bytes(existing.read_bytes())
    else:
        beside.replace(name)
