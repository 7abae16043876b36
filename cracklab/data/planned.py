"""The plan of a training on a data set, the same in `fit`, which has read the data, and in `check`, which has examined it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cracklab.data import plan
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.samples import Record, Splits


@dataclass
class Length:
    """The settings of Lightning's trainer that decide the length of a training, with Lightning's defaults.

    Args:
        max_epochs: number of epochs; None, without `max_steps`: it follows from the data.
        max_steps: number of steps; -1: no limit.
        max_time: a limit of time, which leaves the number of steps open.
        fast_dev_run: whether a few batches are tried.
        limit_train_batches: number or share of the batches of an epoch that are trained on.
        accumulate_grad_batches: number of batches of a step.
        check_val_every_n_epoch: number of epochs between validations.
        val_check_interval: number or share of the batches between validations within an epoch.
    """

    max_epochs: int | None = None
    max_steps: int = -1
    max_time: Any = None
    fast_dev_run: int | bool = False
    limit_train_batches: int | float | None = None
    accumulate_grad_batches: int = 1
    check_val_every_n_epoch: int | None = 1
    val_check_interval: Any = None


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
    """
    positions, images = data.split_plan.planned_images(records, splits)
    mean_weight = sum(records[i].weight for i in positions) / len(positions)
    crop, batch = crop_and_batch
    repeat = choose_length(round(images * mean_weight), batch, data.repeat, trainer)
    samples = repeat * sum(records[i].weight for i in splits.train)
    known = length(steps_per_epoch(samples, batch, trainer), trainer)
    train, val, test = (len(positions) for positions in splits.by_side().values())
    return plan.Plan(train, val, test, plan.median_size(sizes), crop, batch, repeat, **known)


def steps_per_epoch(samples: int, batch: int, trainer: Any) -> int:
    """Return the number of steps of the optimizer in an epoch of one process.

    Args:
        samples: number of training samples in an epoch; those that do not fill a batch are left out, unless there are no others.
        batch: number of samples in a batch.
        trainer: has the settings of `Length`.

    Example:
        >>> steps_per_epoch(10, 4, Length()), steps_per_epoch(3, 4, Length()), steps_per_epoch(10, 2, Length(accumulate_grad_batches=2))
        (2, 1, 3)
    """
    batches, limit = max(1, samples // batch), trainer.limit_train_batches
    if limit is not None:
        batches = int(batches * limit) if isinstance(limit, float) else min(batches, limit)
    return max(1, math.ceil(batches / int(trainer.accumulate_grad_batches)))


def choose_length(samples: int, batch: int, repeat: int, trainer: Any) -> int:
    """Set `trainer.max_epochs` if neither it nor `max_steps` is given, and return how often each image is drawn in an epoch.

    `max_time` may end a training sooner, whose schedule needs an end.

    Args:
        samples: number of training samples if each image is drawn once.
        batch: number of samples in a batch.
        repeat: how often each image is drawn; it may be chosen if it is 1.
        trainer: has the settings of `Length`.

    Example:
        >>> trainer = Length()
        >>> choose_length(32, 8, 1, trainer), trainer.max_epochs
        (8, 47)
    """
    if trainer.max_epochs is None and trainer.max_steps == -1 and not trainer.fast_dev_run:
        repeat = plan.repeats(samples, batch) if repeat == 1 else repeat
        trainer.max_epochs = plan.epochs(steps_per_epoch(samples * repeat, batch, trainer))
    return repeat


def length(per_epoch: int, trainer: Any) -> dict[str, Any]:
    """Return epochs, steps and validations of a plan as far as the settings of the trainer tell them.

    Args:
        per_epoch: number of steps of an epoch.
        trainer: has the settings of `Length`.
    """
    limits = [trainer.max_epochs * per_epoch] if trainer.max_epochs not in (None, -1) else []
    limits += [trainer.max_steps] if trainer.max_steps != -1 else []
    if trainer.fast_dev_run or trainer.max_time is not None or not limits:
        return {}
    epochs = math.ceil(min(limits) / per_epoch)
    known = isinstance(trainer.check_val_every_n_epoch, int) and trainer.val_check_interval is None
    validations = epochs // trainer.check_val_every_n_epoch if known else None
    return {"steps": min(limits), "epochs": epochs, "validations": validations}
