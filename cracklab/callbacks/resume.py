"""Going on in the middle of an epoch, with the very next batch."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping


class ExactResume(pl.Callback):
    """Points the training sampler at the first batch that the checkpoint has not seen.

    Lightning restores its counters but starts the data again at batch 0, of epoch 0 where workers prefetch. So the
    data module is told where to begin before it makes its loader: at the next epoch if the last batch was done, else
    behind the batches that had been taken. A run that early stopping had ended stays ended.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop where the checkpoint is of the epoch in which early stopping ended the run."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by Lightning's callback connector
            if isinstance(callback, EarlyStopping) and (
                callback.stopped_epoch or callback.wait_count >= callback.patience
            ):
                trainer.should_stop = trainer.should_stop or bool(trainer.ckpt_path)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Read the position from the state of Lightning's loops."""
        resume = getattr(getattr(trainer, "datamodule", None), "resume", None)
        if trainer.state.fn != "fit" or resume is None:
            return
        loops = checkpoint["loops"]["fit_loop"]
        epochs_begun = loops["epoch_progress"]["current"]["ready"]
        batches = loops["epoch_loop.batch_progress"]
        if batches["is_last_batch"]:
            resume(epoch=epochs_begun, batches=0)
        else:
            resume(epoch=epochs_begun - 1, batches=batches["current"]["ready"])
