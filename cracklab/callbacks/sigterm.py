"""SIGTERM to several processes: all of them stop after the same step, or after the same batch of an evaluation."""

from types import FrameType
from typing import Any

import lightning.pytorch as pl


class StopTogether(pl.Callback):
    """Stops all processes after the same batch if one of them gets SIGTERM; one process alone needs no such care.

    Lightning exchanges the news within its signal handler. If another process waits for gradients at that moment, the two wait
    for each other. This handler only takes note, and the processes tell each other before the next batch: all of them have the same
    number of batches, in training, validation and test alike.
    """

    def __init__(self) -> None:
        self._asked = False

    def setup(self, trainer: Any, pl_module: pl.LightningModule, stage: str) -> None:
        """Take the place of Lightning's own handler before it is registered, together with the user's, which is restored at the end."""
        self._asked = False
        if trainer.world_size > 1:
            trainer._signal_connector._sigterm_notifier_fn = self._note

    def on_train_batch_start(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Let Lightning stop all processes after this step."""
        self._agree(trainer)

    def on_validation_batch_start(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Let Lightning stop all processes after this batch, also in the check before the training."""
        self._agree(trainer)

    def on_test_batch_start(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Let Lightning stop all processes after this batch."""
        self._agree(trainer)

    def _agree(self, trainer: Any) -> None:
        if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(self._asked, all=False):
            trainer._signal_connector.received_sigterm = True

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._asked = True
