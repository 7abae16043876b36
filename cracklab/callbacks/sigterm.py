"""SIGTERM to a training in several processes: all of them stop after the same step."""

import signal
import threading
from types import FrameType
from typing import Any

import lightning.pytorch as pl


class StopTogether(pl.Callback):
    """Stops all processes of a training after the same step if one of them gets SIGTERM; one process alone needs no such care.

    Lightning exchanges the news within its signal handler. If another process waits for gradients at that moment, the two wait
    for each other. This handler only takes note, and the processes tell each other before the next step.
    """

    def __init__(self) -> None:
        self._asked = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace Lightning's handler, which restores that of the user at the end."""
        self._asked = False
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)

    def on_train_batch_start(self, trainer: Any, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        """Let Lightning stop all processes after this step."""
        if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(self._asked, all=False):
            trainer._signal_connector.received_sigterm = True

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._asked = True
