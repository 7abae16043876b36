"""Checks of a trainer and its data that Lightning does not make, or only after a run has begun."""

import math
import sys
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import LearningRateFinder

from cracklab.data.datamodule import CrackDataModule
from cracklab.errors import ConfigError


def check_interval(trainer: Any, steps: int) -> None:
    """Check that a validation within epochs comes before the end of one.

    Args:
        trainer: of the run.
        steps: number of steps of an epoch, if one process trains.

    Raises:
        ConfigError: states the number of steps.
    """
    every, limit = trainer.val_check_interval, trainer.limit_train_batches
    steps = max(1, steps // trainer.world_size)
    steps = int(steps * limit) if isinstance(limit, float) else min(steps, limit)
    if isinstance(every, int) and trainer.check_val_every_n_epoch is not None and every > steps > 0:
        raise ConfigError(
            f"trainer.val_check_interval is {every}, but an epoch has {steps} steps: give at most {steps}, or set "
            "trainer.check_val_every_n_epoch to null"
        )
    updates = math.ceil(steps / trainer.accumulate_grad_batches)
    if 0 < trainer.max_steps < updates and every == 1.0 and trainer.limit_val_batches:
        raise ConfigError(
            f"trainer.max_steps is {trainer.max_steps}, but an epoch has {updates} steps, so that no validation would run: give at "
            f"least {updates}, set trainer.val_check_interval, or set trainer.limit_val_batches to 0"
        )
    if not trainer.fast_dev_run:
        epochs, last = trainer.max_epochs, trainer.max_steps
        check_finders(
            trainer, last if epochs in (None, -1) else min(updates * epochs, last if last != -1 else sys.maxsize)
        )


def check_finders(trainer: pl.Trainer, steps: int) -> None:
    """Check that a search of the learning rate reaches the end of its rates.

    Args:
        trainer: of the run.
        steps: number of steps of the run.

    Raises:
        ConfigError: states the number of steps.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by Lightning's callback connector
        rates = getattr(callback, "_num_training_steps", 0)
        if isinstance(callback, LearningRateFinder) and rates > steps:
            raise ConfigError(
                f"trainer.callbacks, LearningRateFinder.num_training_steps is {rates}, but the run has {steps} steps, so that the "
                f"highest rates would not be tried: give at most {steps}, or train longer"
            )


def check_limits(trainer: Any, data: CrackDataModule, command: str) -> None:
    """Check the limits of batches, which Lightning refuses after the run has begun.

    Args:
        trainer: of the run.
        data: after `setup`.
        command: `fit`, `validate` or `test`.

    Raises:
        ConfigError: if a share of the batches is less than one, or a validation that does not run is monitored.
    """
    for one in trainer.early_stopping_callbacks if not trainer.limit_val_batches else ():
        if one.monitor.startswith("val/"):
            raise ConfigError(
                f"trainer.limit_val_batches is 0, but EarlyStopping of trainer.callbacks monitors {one.monitor!r}: remove one"
            )
    for side in {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}[command]:
        limit: Any = getattr(trainer, f"limit_{side}_batches")
        if not isinstance(limit, float) or limit in (0, 1):
            continue
        batches = len(getattr(data, f"{side}_dataloader")()) // trainer.world_size
        if batches and int(batches * limit) < 1:
            key = "overfit_batches" if trainer.overfit_batches else f"limit_{side}_batches"
            raise ConfigError(
                f"trainer.{key} is {limit}, which leaves none of the {batches} {side} batches: give a whole number of batches, "
                f"or at least {1 / batches:.3g}"
            )
