"""Tables of a run: one row per epoch of training, one row per image of a test."""

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from cracklab import run_folder
from cracklab.files import write_json, write_text
from cracklab.metrics.protocols import run_protocols
from cracklab.metrics.rows import without_histograms
from cracklab.tables import as_csv, read_csv


class Tables(pl.Callback):
    """Writes metrics.csv after every epoch, and the metrics, the rows and the protocols of a test.

    A resumed run drops the rows from its first epoch on, so that every epoch has one row.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._rows: list[dict[str, Any]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read the rows of earlier epochs."""
        if trainer.is_global_zero:
            self._rows = rows_before(trainer, run_folder.METRICS)
        self.on_train_epoch_start(trainer, pl_module)  # which Lightning does not call after a resume within an epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Add the epoch's row."""
        metrics = trainer.callback_metrics  # means over all processes, which all of them have to ask for
        if not trainer.is_global_zero:
            return
        train = {name: float(v) for name, v in metrics.items() if name.startswith("train/")}
        self._rows.append(
            {
                "epoch": trainer.fit_loop.epoch_progress.current.ready - 1,
                "step": trainer.global_step,
                "lr": trainer.optimizers[0].param_groups[0]["lr"],
                "seconds": round(time.monotonic() - self._began, 3),
                **train,
                **({} if pl_module.result is None else pl_module.result.scores),
            }
        )
        names = dict.fromkeys(name for row in self._rows for name in row)
        columns = [name for name in names if "/" not in name] + sorted(name for name in names if "/" in name)
        write_csv(
            Path(trainer.default_root_dir) / run_folder.METRICS,
            [{name: row.get(name) for name in columns} for row in self._rows],
        )

    def on_test_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Write the metrics, the rows and the protocols of a test."""
        self._write(trainer, pl_module, run_folder.TEST_METRICS, run_folder.PER_IMAGE)
        if trainer.is_global_zero:
            folder, result = Path(trainer.default_root_dir), pl_module.result
            if result.native_rows is not None:
                write_csv(folder / run_folder.PER_IMAGE_NATIVE, without_histograms(result.native_rows))
            write_json(folder / run_folder.PROTOCOLS, run_protocols(result.rows, result.native_rows))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the result of `cracklab validate`; that of fit is in metrics.csv."""
        if trainer.state.fn == "validate":
            self._write(trainer, pl_module, run_folder.VAL_METRICS, run_folder.VAL_PER_IMAGE)

    def _write(self, trainer: pl.Trainer, pl_module: Any, summary: str, table: str) -> None:
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir)
        write_json(folder / summary, pl_module.result.metrics)
        write_csv(folder / table, without_histograms(pl_module.result.rows))


def rows_before(trainer: pl.Trainer, name: str) -> list[dict[str, Any]]:
    """Return the rows of an epoch table that a resumed run keeps: those before its first epoch."""
    path = Path(trainer.default_root_dir) / name
    if not trainer.ckpt_path or not path.is_file():
        return []
    return [dict(row) for row in read_csv(path) if int(row["epoch"]) < trainer.current_epoch]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV whole or not at all; columns in the order of the first row."""
    write_text(path, as_csv(rows))
