"""Exact resume: training continues with the first batch that the checkpoint has not seen."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loops.loop import _Loop


class ExactResume(pl.Callback):
    """Points the training sampler at the first batch that the checkpoint has not seen.

    Lightning restores its counters but restarts the data at batch 0, and with prefetching workers at epoch 0. This
    callback therefore sets the position before the loader is made: the next epoch if the last batch was done, else the
    batch after those that were taken. A run that early stopping has ended stays ended.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the next epoch after one that was done, and stop if early stopping had ended the run at this checkpoint.

        With `max_steps`, Lightning would end the finished epoch once more, with no batches, and skip the samples of the next.
        """
        loop = trainer.fit_loop
        if loop.restarted_on_epoch_end:
            loop.epoch_progress.increment_completed()
            _Loop.restarting.fset(loop, False)  # type: ignore[attr-defined]  # the setter of FitLoop ignores it
            loop.reset_restart_stage()
            loop.epoch_loop.reset_restart_stage()
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by Lightning's callback connector
            if isinstance(callback, EarlyStopping) and (
                callback.stopped_epoch or callback.wait_count >= max(1, callback.patience)
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
        if not epochs_begun:  # what a search of a learning rate or a batch size keeps before the first epoch
            return
        batches = loops["epoch_loop.batch_progress"]
        if batches["is_last_batch"]:
            resume(epoch=epochs_begun, batches=0)
        else:
            resume(epoch=epochs_begun - 1, batches=batches["current"]["ready"])
