"""The fold of a run, named to every logger and in the run folder."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from cracklab import run_folder
from cracklab.data.datamodule import CrackDataModule
from cracklab.errors import DataError
from cracklab.files import write_json
from cracklab.loggers.media import wandb_loggers


class KFold(pl.Callback):
    """Names the fold that a run holds out: its number to every logger, and its images in fold.json of the run folder.

    Args:
        fold: number of the fold that is held out.
        folds: number of folds.
    """

    def __init__(self, fold: int, folds: int) -> None:
        self.fold, self.folds = fold, folds

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the fold, and write the images that are trained on, validated on and held out.

        Raises:
            DataError: if the data module has no folds.
        """
        data: Any = getattr(trainer, "datamodule", None)
        if not isinstance(data, CrackDataModule) or data.split_plan.fold != self.fold:
            raise DataError(
                f"callback KFold names fold {self.fold}, but the data holds out another one: give trainer.fit(datamodule=...) "
                f"a CrackDataModule with fold={self.fold} and folds={self.folds}"
            )
        numbers = {"fold": self.fold, "folds": self.folds}
        for logger in trainer.loggers:
            logger.log_hyperparams(numbers)
        for logger in wandb_loggers(trainer):
            logger.experiment.summary.update(numbers)
        if trainer.is_global_zero:
            images = {"train": data.ids("train"), "val": data.ids("val"), "held_out": data.ids("test")}
            write_json(Path(trainer.default_root_dir) / run_folder.FOLD, {**numbers, "images": images})
