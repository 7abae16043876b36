"""Resources of an epoch: time, throughput, waiting for data, memory."""

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from cracklab import run_folder
from cracklab.batch import Batch
from cracklab.callbacks.tables import rows_before, write_csv

KEYS = tuple(
    f"resources/{name}"
    for name in ("images_per_s", "epoch_s", "validation_share", "waiting_share", "gpu_peak_gb", "gpu_reserved_gb")
)
"""Columns of resources.csv, as loggers get them.

images_per_s: training images of all processes per second of training, without validation. epoch_s: seconds, with
validation. validation_share, waiting_share: share of the epoch that is validation, and in which the first process waits
for data. gpu_peak_gb, gpu_reserved_gb: peak memory of tensors and of PyTorch's allocator in the first process, 1e9 bytes;
on a GPU only.
"""


class Resources(pl.Callback):
    """Writes resources.csv, one row per epoch, and logs it. A resumed run drops the rows from its first epoch on."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._began = self._idle_since = self._validation_began = 0.0
        self._validation = self._waiting = 0.0
        self._images = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read the rows of earlier epochs."""
        if trainer.is_global_zero:
            self._rows = rows_before(trainer, run_folder.RESOURCES)
        self.on_train_epoch_start(trainer, pl_module)  # which Lightning does not call after a resume within an epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = self._idle_since = time.monotonic()
        self._validation, self._waiting, self._images = 0.0, 0.0, 0
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(trainer.strategy.root_device)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Add the time since the last batch to the waiting time."""
        self._waiting += time.monotonic() - self._idle_since

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the images of the batch."""
        self._images += len(batch["id"]) * trainer.world_size
        self._idle_since = time.monotonic()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of validation."""
        self._validation_began = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock of validation."""
        self._idle_since = time.monotonic()
        self._validation += self._idle_since - self._validation_began

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epoch's row."""
        if not trainer.is_global_zero:
            return
        seconds, device = time.monotonic() - self._began, trainer.strategy.root_device
        values = [
            self._images / max(seconds - self._validation, 1e-9),
            seconds,
            self._validation / seconds,
            self._waiting / seconds,
        ]
        if device.type == "cuda":
            values += [torch.cuda.max_memory_allocated(device) / 1e9, torch.cuda.max_memory_reserved(device) / 1e9]
        values_by_key = dict(zip(KEYS, (round(value, 4) for value in values), strict=False))
        epoch = trainer.fit_loop.epoch_progress.current.ready - 1
        self._rows.append({"epoch": epoch, **{name.removeprefix("resources/"): v for name, v in values_by_key.items()}})
        write_csv(Path(trainer.default_root_dir) / run_folder.RESOURCES, self._rows)
        for logger in trainer.loggers:
            logger.log_metrics({**values_by_key, "epoch": epoch}, step=trainer.global_step)
