"""Lightning's callbacks that search for a learning rate or a batch size before training."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder

FINDERS = (LearningRateFinder, BatchSizeFinder)


def has_finder(trainer: pl.Trainer) -> bool:
    """Return whether a search precedes this training."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning's callback connector
    return any(isinstance(callback, FINDERS) for callback in callbacks)


def plan_again(trainer: pl.Trainer) -> None:
    """Build optimizer and schedule after the searches, whose results change both: the rate, and the number of steps.

    A search restores its own temporary checkpoint, which Lightning would then mistake for one that the run resumes from.
    """
    trainer.strategy.setup_optimizers(trainer)
    trainer._checkpoint_connector._ckpt_path = None
