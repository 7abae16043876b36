"""The plan of a run: the settings that follow from its data, written into its configuration."""

import dataclasses
import math
from typing import Any

from jsonargparse import Namespace

from cracklab.data import plan
from cracklab.data.datamodule import CrackDataModule


def plan_run(config: Namespace, trainer: Namespace, data: CrackDataModule) -> plan.Plan:
    """Choose the number of epochs and the interval of validations, unless they are given, and return the plan.

    The number of epochs is given if `max_epochs` or `max_steps` is; `max_time` may end a training sooner, whose schedule needs an end.

    Args:
        config: of the run; gets what was chosen.
        trainer: the arguments of the trainer; get it too.
        data: after `setup`.
    """
    config.data.batch_size, config.data.train_crop = data.batch_size, data.train_crop
    per_epoch = _steps_per_epoch(trainer, data)
    if trainer.max_epochs is None and trainer.max_steps == -1 and not trainer.fast_dev_run:
        chosen = {"max_epochs": plan.epochs(per_epoch)}
        if trainer.check_val_every_n_epoch == 1 and trainer.val_check_interval is None:
            chosen["check_val_every_n_epoch"] = plan.epochs_per_validation(chosen["max_epochs"])
        for name, value in chosen.items():
            config.trainer[name] = trainer[name] = value
    return dataclasses.replace(data.planned(), **_length(trainer, per_epoch))


def _steps_per_epoch(trainer: Namespace, data: CrackDataModule) -> int:
    """Return the number of steps of the optimizer in an epoch of one process."""
    batches, limit = len(data.train_dataloader()), trainer.limit_train_batches
    if limit is not None:
        batches = int(batches * limit) if isinstance(limit, float) else min(batches, limit)
    return max(1, math.ceil(batches / int(trainer.accumulate_grad_batches)))


def _length(trainer: Namespace, per_epoch: int) -> dict[str, Any]:
    """Return epochs, steps and validations as far as the arguments of the trainer tell them."""
    if trainer.fast_dev_run or trainer.max_time is not None:
        return {}
    limits = [trainer.max_epochs * per_epoch] if trainer.max_epochs not in (None, -1) else []
    steps = min([*limits, trainer.max_steps] if trainer.max_steps != -1 else limits)
    epochs = math.ceil(steps / per_epoch)
    known = isinstance(trainer.check_val_every_n_epoch, int) and trainer.val_check_interval is None
    return {
        "steps": steps,
        "epochs": epochs,
        "validations": epochs // trainer.check_val_every_n_epoch if known else None,
    }
