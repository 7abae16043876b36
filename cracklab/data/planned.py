"""The plan of a training on a data set, the same in `fit`, which has read the data, and in `check`, which has examined it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch

from cracklab.data import plan
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.samples import Record, Splits, raise_faults
from cracklab.errors import ConfigError
from cracklab.trainer_settings import check_trainer


@dataclass
class Length:
    """The settings of Lightning's trainer that decide the length of a training, with Lightning's defaults.

    Args:
        max_epochs: number of epochs; None, without `max_steps`: it follows from the data.
        max_steps: number of steps; -1: no limit.
        max_time: a limit of time, which leaves the number of steps open.
        fast_dev_run: whether a few batches are tried.
        overfit_batches: number or share of the batches that every epoch repeats, in place of `limit_train_batches`; 0: none.
        limit_train_batches: number or share of the batches of an epoch that are trained on.
        limit_val_batches: the same for validation; 0: no validation.
        accumulate_grad_batches: number of batches of a step.
        check_val_every_n_epoch: number of epochs between validations.
        val_check_interval: number or share of the batches between validations within an epoch.
        accelerator: kind of the devices.
        devices: their number, their indices, or all; each has a process that draws its part of the samples.
        num_nodes: number of machines.

    Raises:
        ConfigError: for a value out of bounds.
    """

    max_epochs: int | None = None
    max_steps: int = -1
    max_time: str | timedelta | dict[str, int] | None = None
    fast_dev_run: int | bool = False
    overfit_batches: int | float = 0.0
    limit_train_batches: int | float | None = None
    limit_val_batches: int | float | None = None
    accumulate_grad_batches: int = 1
    check_val_every_n_epoch: int | None = 1
    val_check_interval: int | float | str | timedelta | dict[str, int] | None = None
    accelerator: Any = "auto"
    devices: list[int] | str | int = "auto"
    num_nodes: int = 1

    def __post_init__(self) -> None:
        check_trainer(vars(self))


def planned(
    data: CrackDataModule,
    records: Sequence[Record],
    splits: Splits,
    sizes: Sequence[tuple[int, int]],
    crop_and_batch: tuple[int | None, int],
    trainer: Any,
) -> plan.Plan:
    """Return the plan of a training, and set `trainer.max_epochs` if the length is not given.

    Args:
        data: the settings.
        records: the index.
        splits: the side of each image.
        sizes: height and width of the images that the plan follows from, px.
        crop_and_batch: side of the random crops, px, and number of images in a batch.
        trainer: has the settings of `Length`.

    Raises:
        DataError: if there is no training image.
        ConfigError: for settings of the trainer that leave nothing to train on.
    """
    raise_faults(splits.problems())
    positions, images = data.split_plan.planned_images(records, splits)
    mean_weight = sum(records[i].weight for i in positions) / len(positions)
    own = sum(records[i].weight for i in splits.train)
    crop, batch = crop_and_batch
    repeat = choose_length(round(images * mean_weight), own, batch, data.repeat, trainer)
    known = {} if trainer.fast_dev_run else length(steps_per_epoch(repeat * own, batch, trainer), trainer)
    train, val, test = (len(positions) for positions in splits.by_side().values())
    return plan.Plan(train, val, test, plan.median_size(sizes), crop, batch, repeat, **known)


def processes(trainer: Any) -> int:
    """Return the number of processes of a training, one for each device.

    Args:
        trainer: has the settings of `Length`.

    Raises:
        ConfigError: if `devices` does not give a number of devices.

    Example:
        >>> [processes(Length(accelerator="cpu", devices=devices)) for devices in ("auto", 3, "2", [0, 1], "0,1")]
        [1, 3, 2, 2, 2]
    """
    devices = trainer.devices
    if isinstance(devices, str) and "," in devices:
        devices = [index for index in devices.split(",") if index.strip()]
    if isinstance(devices, list):
        number = len(devices)
    elif str(devices) in ("auto", "-1"):
        on_cpu = trainer.accelerator == "cpu" or not torch.accelerator.is_available()
        number = 1 if on_cpu else torch.accelerator.device_count()
    else:
        number = int(devices) if str(devices).isdecimal() else 0
    if number < 1:
        raise ConfigError(
            f"trainer.devices is {trainer.devices}: give a number of at least 1, a list of indices, or 'auto'"
        )
    return number * int(trainer.num_nodes)


def steps_per_epoch(samples: int, batch: int, trainer: Any) -> int:
    """Return the number of steps of the optimizer in an epoch.

    Args:
        samples: number of training samples in an epoch, of which each process draws its part; those that do not fill a batch are
            left out, unless there are no others.
        batch: number of samples in a batch of a process.
        trainer: has the settings of `Length`.

    Raises:
        ConfigError: if a share of the batches is less than one.

    Example:
        >>> steps_per_epoch(10, 4, Length()), steps_per_epoch(3, 4, Length()), steps_per_epoch(10, 2, Length(accumulate_grad_batches=2))
        (2, 1, 3)
    """
    batches = max(1, math.ceil(samples / processes(trainer)) // batch)
    key = "overfit_batches" if trainer.overfit_batches else "limit_train_batches"
    limit = getattr(trainer, key)
    used = int(batches * limit) if isinstance(limit, float) else min(batches, limit or batches)
    if not used:
        raise ConfigError(
            f"trainer.{key} is {limit}, which leaves none of the {batches} batches of an epoch: give a whole number of batches, "
            f"or at least {1 / batches:.3g}"
        )
    return math.ceil(used / int(trainer.accumulate_grad_batches))


def choose_length(samples: int, own: int, batch: int, repeat: int, trainer: Any) -> int:
    """Set `trainer.max_epochs` if neither it nor `max_steps` is given, and return how often each image is drawn in an epoch.

    `max_time` may end a training sooner, whose schedule needs an end. A fold with fewer training samples than the mean draws
    each more often, so that it takes about as many steps and validations as the others; with a `repeat` that is given, it takes
    more epochs.

    Args:
        samples: number of training samples that the plan is for, if each image is drawn once.
        own: the same number for this run, which may be one of several folds.
        batch: number of samples in a batch.
        repeat: how often each image is drawn; it may be chosen if it is 1.
        trainer: has the settings of `Length`.

    Example:
        >>> trainer = Length()
        >>> choose_length(32, 32, 8, 1, trainer), trainer.max_epochs
        (8, 47)
        >>> trainer = Length()
        >>> choose_length(32, 4, 8, 1, trainer), trainer.max_epochs
        (64, 47)
    """
    if trainer.max_epochs is not None or trainer.max_steps != -1 or trainer.fast_dev_run:
        return repeat
    if repeat > 1:
        trainer.max_epochs = plan.epochs(steps_per_epoch(repeat * min(samples, own), batch, trainer))
        return repeat
    repeat = plan.repeats(samples, batch * processes(trainer))
    trainer.max_epochs = plan.epochs(steps_per_epoch(repeat * samples, batch, trainer))
    return max(repeat, round(repeat * samples / own))


def length(per_epoch: int, trainer: Any) -> dict[str, Any]:
    """Return epochs, steps and validations of a plan as far as the settings of the trainer determine them.

    Args:
        per_epoch: number of steps of an epoch.
        trainer: has the settings of `Length`.
    """
    limits = [trainer.max_epochs * per_epoch] if trainer.max_epochs not in (None, -1) else []
    limits += [trainer.max_steps] if trainer.max_steps != -1 else []
    if trainer.max_time is not None or not limits:
        return {}
    every, steps = trainer.check_val_every_n_epoch, min(limits)
    at_ends = isinstance(every, int) and trainer.val_check_interval is None and trainer.limit_val_batches != 0
    validations = steps // per_epoch // every if at_ends else None  # none where the steps end within an epoch
    return {"steps": steps, "epochs": math.ceil(steps / per_epoch), "validations": validations}
