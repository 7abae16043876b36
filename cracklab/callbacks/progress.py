"""Progress of fit: loss, IoU and time left, as a bar on a terminal and one line per epoch elsewhere."""

import math
import sys
import time
from typing import Any

import lightning.pytorch as pl
import rich
from lightning.pytorch.callbacks import RichProgressBar

from cracklab.progress import duration


class Progress(RichProgressBar):
    """Lightning's bar on a terminal, one line per epoch elsewhere, both with the time left of the whole fit."""

    def __init__(self, refresh_rate: int = 4) -> None:
        super().__init__(refresh_rate=refresh_rate, console_kwargs={"quiet": not sys.stdout.isatty()})
        self._began, self._first, self._last = 0.0, 0, math.inf

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self._began, self._first, self._last = time.monotonic(), trainer.global_step, trainer.estimated_stepping_batches

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the bar; after `validate`, let Lightning print the scores."""
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn == "validate":
            rich.get_console().quiet = False  # the bar silences the console of the table if there is no terminal

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the bar, and let Lightning print the scores."""
        super().on_test_end(trainer, pl_module)
        rich.get_console().quiet = False

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return loss, IoU and time left."""
        items: dict[str, Any] = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)
        left = self.time_left(trainer)
        return items | {"left": left} if left else items

    def time_left(self, trainer: pl.Trainer) -> str:
        """Return the time until the last step at the pace so far, as h:mm:ss; empty if it is not known."""
        done = trainer.global_step - self._first
        if done <= 0 or math.isinf(self._last):
            return ""
        seconds = (self._last - trainer.global_step) * (time.monotonic() - self._began) / done
        return duration(seconds)

    def num_epochs(self, trainer: pl.Trainer) -> int | None:
        """Return the number of epochs that will have begun at the last step, which `trainer.max_steps` may limit."""
        if math.isinf(self._last):
            return trainer.max_epochs
        steps = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        return math.ceil(self._last / max(1, steps))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's line unless there is a terminal."""
        super().on_train_epoch_end(trainer, pl_module)
        if (
            not trainer.is_global_zero
            or not self.is_enabled
            or (self._console is not None and self._console.is_terminal)
        ):
            return
        metrics, ready = trainer.callback_metrics, trainer.fit_loop.epoch_progress.current.ready
        values = "  ".join(
            f"{name} {float(metrics[name]):.4f}" for name in ("train/loss", "val/loss", "val/iou") if name in metrics
        )
        print(
            f"epoch {ready}/{self.num_epochs(trainer)}  {values}  left {self.time_left(trainer)}",
            flush=True,
        )
