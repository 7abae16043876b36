"""Stops a training that diverges, before its weights are validated or written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from cracklab import run_folder
from cracklab.errors import RunFailure

MAX_SKIPPED = 10
"""Number of successive losses in half precision that may be infinite or NaN: its gradient scaler skips such steps."""


@dataclass(frozen=True)
class _Step:
    """The values of a step for its message; tensors stay on their device until they are read."""

    number: int
    epoch: int
    rate: float
    loss: Tensor
    terms: dict[str, Tensor]


class Divergence(pl.Callback):
    """Stops training at the first step whose loss is NaN or infinite.

    The loss of a step is checked when the next step begins, or the validation, so that a GPU does not wait for it; on all
    processes together, so that none waits for another one. No checkpoint is written in between.
    """

    def __init__(self) -> None:
        self._step: _Step | None = None
        self._skipped = 0

    def on_before_backward(self, trainer: pl.Trainer, pl_module: Any, loss: Tensor) -> None:
        """Keep the loss and its terms."""
        self._step = _Step(
            trainer.global_step + 1,
            trainer.current_epoch,
            float(trainer.optimizers[0].param_groups[0]["lr"]),
            loss.detach(),
            dict(pl_module.loss.terms),
        )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Check the loss of the previous step."""
        self._look(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the loss of the previous step."""
        self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the loss of the last step, before checkpoints are written."""
        self._look(trainer)

    def _look(self, trainer: pl.Trainer) -> None:
        step, self._step = self._step, None
        if step is None:
            return
        strategy: Any = trainer.strategy
        if not strategy.reduce_boolean_decision(not bool(torch.isfinite(step.loss).all()), all=False):
            self._skipped = 0
            return
        self._skipped += 1
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None and self._skipped <= MAX_SKIPPED:
            return
        raise RunFailure(_message(step, Path(trainer.default_root_dir)))


def _message(step: _Step, folder: Path) -> str:
    terms = {name: float(value) for name, value in step.terms.items()}
    shown = f" ({', '.join(f'{name} {value:g}' for name, value in terms.items())})" if terms else ""
    good = run_folder.checkpoint_to_resume(folder)
    kept = "no checkpoint was written before" if good is None else f"{good} is the last good checkpoint"
    return (
        f"training diverged: the loss{shown} is {float(step.loss):g} at step {step.number} in epoch {step.epoch + 1}, with the "
        f"learning rate {step.rate:g}: lower it, or set trainer.gradient_clip_val; {kept}"
    )
