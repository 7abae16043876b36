"""The plan of a run: the settings that follow from its data, written into its configuration."""

import copy
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch.callbacks import EarlyStopping

from cracklab.callbacks.resume import has_stopped
from cracklab.data import plan
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.planned import planned
from cracklab.module import CrackModule
from cracklab.training.trial import batch_of, logits_of, unchanged

FOLLOWING = ("data.batch_size", "data.train_crop", "data.repeat", "data.val_fraction", "trainer.max_epochs")
"""Settings that follow from the data where they are not given."""


def plan_run(config: Namespace, trainer: Namespace, data: CrackDataModule) -> plan.Plan:
    """Choose the number of epochs and how often they repeat each image, unless the length is given, and return the plan.

    Args:
        config: of the run; receives the chosen values.
        trainer: the arguments of the trainer; receive them too.
        data: after `setup`; receives them too, and the keys of the chosen settings.
    """
    before = {key: config[key] for key in FOLLOWING}
    found = planned(data, data.records, data.splits, data.sizes, (data.train_crop, data.batch_size), trainer)
    data.repeat = config.data.repeat = found.repeat
    config.data.batch_size, config.data.train_crop = data.batch_size, data.train_crop
    config.data.val_fraction = data.split_plan.val_share(data.records) or config.data.val_fraction
    config.trainer.max_epochs = trainer.max_epochs
    changed = {key for key in FOLLOWING if config[key] != before[key]}
    if "trainer.max_epochs" in changed and before["data.repeat"] == 1:
        changed.add("data.repeat")  # once is enough here; a smaller fold may draw its images twice
    data.chosen = tuple(key for key in FOLLOWING if key in changed)
    return found


def plan_of_fold(fold: int, trainer: Namespace, data: CrackDataModule) -> plan.Plan:
    """Return the plan of the run that holds out another fold of the same division; nothing changes.

    Args:
        fold: its number.
        trainer: the arguments of the trainer, after `plan_run` for the fold of `data`.
        data: the same.
    """
    other, length = copy.copy(data), copy.copy(trainer)
    other.split_plan = dataclasses.replace(data.split_plan, fold=fold)
    other.splits = other.split_plan.assign(data.records, data.prepared.shares)
    if other.split_plan.fold_by == "source":  # folds of a random division share what their plans follow from
        for name in ("sizes", "statistics"):
            vars(other).pop(name, None)
        other.choose_crop_and_batch()
    if "data.repeat" in data.chosen:
        other.repeat = 1
    if "trainer.max_epochs" in data.chosen:
        length.max_epochs = None
    return planned(other, other.records, other.splits, other.sizes, (other.train_crop, other.batch_size), length)


def with_progress(whole: plan.Plan, content: Mapping[str, Any], callbacks: Sequence[Any]) -> plan.Plan:
    """Return the plan of a run that is resumed, with the number of steps that it has done; all of them if early stopping ended it.

    Args:
        whole: the plan of the whole run.
        content: what the checkpoint holds.
        callbacks: of the run.
    """
    if whole.steps is None:
        return whole
    keys = [callback.state_key for callback in callbacks if isinstance(callback, EarlyStopping)]
    ended = any(has_stopped(content["callbacks"].get(key, {})) for key in keys)
    return dataclasses.replace(whole, done=whole.steps if ended else min(content["global_step"], whole.steps))


def with_time(without: plan.Plan, module: CrackModule, data: CrackDataModule, accelerator: Any) -> plan.Plan:
    """Return a plan with the time that the steps to do take, if a processor trains; it is that of the second of two steps.

    Args:
        without: the plan.
        module: net and loss, which stay as they are.
        data: after `setup`.
        accelerator: as the configuration gives it.
    """
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    if without.steps is None or without.steps == without.done or not on_cpu:
        return without
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
    return dataclasses.replace(without, seconds=seconds * (without.steps - without.done))
