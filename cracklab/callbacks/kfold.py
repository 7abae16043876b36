"""What a run on one fold owes to the others."""

from typing import Any

import lightning.pytorch as pl

from cracklab.data.datamodule import CrackDataModule
from cracklab.errors import DataError
from cracklab.loggers.media import wandb_loggers


class KFold(pl.Callback):
    """Holds a run to its fold: it is tested on all of that fold, and never trained or chosen on a photo of it.

    What serves for what is compared with the folds once more before anything is trained or scored, so that a data
    module that was changed by hand cannot spoil a cross-validation unseen. W&B gets the fold into its configuration and
    its summary.

    Args:
        fold: number of the fold that is held out.
        folds: number of folds.
    """

    def __init__(self, fold: int, folds: int) -> None:
        self.fold, self.folds = fold, folds

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Compare the sides with the folds.

        Raises:
            DataError: names the images that are on the wrong side.
        """
        data: Any = getattr(trainer, "datamodule", None)
        if not isinstance(data, CrackDataModule):
            raise DataError(
                "callback KFold needs a CrackDataModule, with `fold` set: give trainer.fit(datamodule=...) one"
            )
        held_out = {i for i, fold in data.fold_of.items() if fold == self.fold}
        photos = {data.records[i].group for i in held_out}
        wrong = held_out ^ set(data.splits.test)
        wrong |= {i for i in data.splits.train + data.splits.val if data.records[i].group in photos}
        if wrong:
            names = ", ".join(sorted(data.records[i].id for i in wrong)[:5])
            raise DataError(
                f"{len(wrong)} images are on the wrong side of fold {self.fold} of {self.folds}, {names} among them: set "
                f"data.fold to {self.fold} and data.folds to {self.folds}, and leave `splits` as it is"
            )

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell W&B which fold it is."""
        for logger in wandb_loggers(trainer):
            logger.experiment.summary.update({"fold": self.fold, "folds": self.folds})
