"""The progress bar: loss, IoU and time left; one line an epoch where there is no terminal."""

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar


class Progress(RichProgressBar):
    """Lightning's bar on a terminal, one line an epoch elsewhere, both with the time that the whole fit still needs."""

    def __init__(self, refresh_rate: int = 1) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self._began = 0.0
        self._epochs_before = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self._began, self._epochs_before = time.monotonic(), trainer.current_epoch

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Loss, IoU and time left."""
        items: dict[str, Any] = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)
        left = self.time_left(trainer)
        return items | {"left": left} if left else items

    def time_left(self, trainer: pl.Trainer) -> str:
        """Time until max_epochs at the pace so far, as h:mm:ss; empty where it is not known."""
        batches = trainer.num_training_batches
        if (
            not self._began
            or not trainer.max_epochs
            or trainer.max_epochs < 0
            or not batches
            or batches == float("inf")
        ):
            return ""
        loop = trainer.fit_loop
        done = loop.epoch_progress.current.processed - self._epochs_before
        if loop.epoch_progress.current.ready > loop.epoch_progress.current.processed:
            done += loop.epoch_loop.batch_progress.current.processed / batches
        if done <= 0:
            return ""
        seconds = (trainer.max_epochs - self._epochs_before - done) * (time.monotonic() - self._began) / done
        minutes, seconds = divmod(round(max(0.0, seconds)), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print a line for whoever reads a log file."""
        super().on_train_epoch_end(trainer, pl_module)
        if (
            not trainer.is_global_zero
            or not self.is_enabled
            or (self._console is not None and self._console.is_terminal)
        ):
            return
        metrics = trainer.callback_metrics
        shown = "  ".join(
            f"{name} {float(metrics[name]):.4f}" for name in ("train/loss", "val/loss", "val/iou") if name in metrics
        )
        print(
            f"epoch {trainer.fit_loop.epoch_progress.current.ready}/{trainer.max_epochs}  {shown}  left {self.time_left(trainer)}",
            flush=True,
        )
