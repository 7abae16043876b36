"""What tests put into real processes."""

import os
import signal
from typing import Any

import lightning.pytorch as pl


class KillAt(pl.Callback):
    """Ends the process with SIGKILL after a batch of an epoch, as a power cut would."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = (epoch, batch)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
