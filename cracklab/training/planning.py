"""The plan of a run: the settings that follow from its data, written into its configuration."""

import copy
import dataclasses
import math
import time
from typing import Any

import torch
from jsonargparse import Namespace

from cracklab.data import plan
from cracklab.data.datamodule import CrackDataModule
from cracklab.module import CrackModule
from cracklab.training.trial import batch_of, logits_of, unchanged


def plan_run(config: Namespace, trainer: Namespace, data: CrackDataModule) -> plan.Plan:
    """Choose the number of epochs and how often they repeat each image, unless the length is given, and return the plan.

    The length is given if `max_epochs` or `max_steps` is; `max_time` may end a training sooner, whose schedule needs an end.

    Args:
        config: of the run; gets what was chosen.
        trainer: the arguments of the trainer; get it too.
        data: after `setup`; gets it too.
    """
    config.data.batch_size, config.data.train_crop = data.batch_size, data.train_crop
    config.data.val_fraction = data.split_plan.val_share(data.records) or config.data.val_fraction
    if trainer.max_epochs is None and trainer.max_steps == -1 and not trainer.fast_dev_run:
        if data.repeat == 1:
            data.repeat = config.data.repeat = plan.repeats(len(data.splits.train), data.batch_size)
        config.trainer.max_epochs = trainer.max_epochs = plan.epochs(_steps_per_epoch(trainer, data))
    return dataclasses.replace(data.planned(), **_length(trainer, _steps_per_epoch(trainer, data)))


def with_time(planned: plan.Plan, module: CrackModule, data: CrackDataModule, accelerator: Any) -> plan.Plan:
    """Return a plan with the time that its steps take, if a processor trains; it is that of the second of two steps.

    Args:
        planned: the plan.
        module: net and loss, which stay as they are.
        data: after `setup`.
        accelerator: as the configuration gives it.
    """
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    if planned.steps is None or not on_cpu:
        return planned
    loss, train = copy.deepcopy(module.loss), data.splits.train
    if loss.learns_from_statistics:
        loss.configure(data.statistics)
    seconds = 0.0
    with unchanged(module.net), torch.enable_grad():
        module.net.train()
        for _ in range(2):
            start = time.perf_counter()
            batch = batch_of(data, [train[i % len(train)] for i in range(data.batch_size)], augmented=True)
            loss(logits_of(module, data, batch), batch["mask"], batch["maps"], batch["valid"]).backward()
            seconds = time.perf_counter() - start
    module.zero_grad()
    return dataclasses.replace(planned, seconds=seconds * planned.steps)


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
