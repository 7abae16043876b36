"""A trial before a run: two images through net, loss and evaluation, so that a configuration that cannot work writes nothing."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any, Literal

import lightning.pytorch as pl
import torch
from annotated_types import Ge
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor, nn

from cracklab.batch import Batch
from cracklab.bounds import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, check
from cracklab.callbacks import Checkpoints
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.loader import Collate
from cracklab.errors import ConfigError, DataError
from cracklab.logits import probabilities
from cracklab.metrics.aggregate import aggregate
from cracklab.metrics.evaluator import Evaluator
from cracklab.module import CrackModule
from cracklab.registry import nearest
from cracklab.training.resume import unfit

NUM_IMAGES = 2
"""Largest number of images of the trial; batch normalisation needs two if a net pools to one pixel."""
TRAINER: Mapping[str, Any] = {
    "max_epochs": PositiveInt | None,
    "min_epochs": NonNegativeInt | None,
    "max_steps": PositiveInt,
    "min_steps": NonNegativeInt | None,
    "check_val_every_n_epoch": PositiveInt | None,
    "log_every_n_steps": NonNegativeInt | None,
    "accumulate_grad_batches": PositiveInt,
    "val_check_interval": PositiveFloat | str | dict | timedelta | None,
    "num_sanity_val_steps": Annotated[int, Ge(-1)] | None,
    "gradient_clip_val": NonNegativeFloat | None,
    "precision": Literal["32-true", "16-mixed", "bf16-mixed", "32", "16", "bf16", 32, 16]
    | None,  # a loss needs single precision
}
"""Settings of Lightning's trainer that it does not check itself -> their bounds; -1 means no limit where it can."""


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Check the settings of the trainer that Lightning fails on later.

    Raises:
        ConfigError: for a value out of bounds.
    """
    for name, hint in TRAINER.items():
        if not (name in ("max_epochs", "max_steps") and settings[name] == -1):
            check(f"trainer.{name}", settings[name], hint)
    if settings["max_epochs"] == -1 and settings["max_steps"] == -1:
        raise ConfigError(
            "trainer.max_epochs is -1, and trainer.max_steps too: set one of them, since the schedule needs an end"
        )


def check_interval(trainer: pl.Trainer, steps: int) -> None:
    """Check that a validation within epochs comes before the end of one.

    Args:
        trainer: of the run.
        steps: number of steps of an epoch, if one process trains.

    Raises:
        ConfigError: states the number of steps.
    """
    every, limit = trainer.val_check_interval, trainer.limit_train_batches
    steps = max(1, steps // trainer.world_size)
    if isinstance(limit, float) and 0 < limit * steps < 1:
        raise ConfigError(
            f"trainer.limit_train_batches is {limit}, but an epoch has {steps} steps: give at least {1 / steps:.2g}, or a whole number"
        )
    steps = int(steps * limit) if isinstance(limit, float) else min(steps, limit)
    if isinstance(every, int) and trainer.check_val_every_n_epoch is not None and every > steps > 0:
        raise ConfigError(
            f"trainer.val_check_interval is {every}, but an epoch has {steps} steps: give at most {steps}, or set "
            "trainer.check_val_every_n_epoch to null"
        )


def try_fit(
    module: CrackModule, data: CrackDataModule, callbacks: Sequence[Any], optimizer_states: Sequence[Any] = ()
) -> None:
    """Check that a training can start, without changing anything.

    Two training images go through net and loss as in training, and the same through the evaluation; then optimizer and
    schedule are built.

    Args:
        module: net, loss and optimizer.
        data: after `setup`.
        callbacks: of the run; those that monitor a metric are checked.
        optimizer_states: states of optimizers in a checkpoint that the run resumes from.

    Raises:
        ConfigError: if net, loss, optimizer, schedule or a monitored metric does not fit.
        DataError: if no training mask has a crack.
    """
    if not any(data.prepared.shares[i] > 0 for i in data.splits.train):
        raise DataError(
            f"none of the {len(data.splits.train)} training masks has a crack pixel: check the masks (`cracklab check`), "
            "data.layout.invert if cracks are dark in them, and data.root"
        )
    data.require_maps(module.loss.maps)
    positions = data.splits.train[: min(NUM_IMAGES, data.batch_size)]
    loss = copy.deepcopy(module.loss)
    if loss.needs_statistics:
        loss.configure(data.statistics)
    with _unchanged(module.net):
        module.net.train()
        batch = _batch(data, positions, augmented=True)
        value = loss(_logits(module, data, batch), batch["mask"], batch["maps"], batch["valid"])
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ConfigError(
                f"model.loss {type(module.loss).__name__} returns no single number: give a loss that does"
            )
        module.net.eval()
        batch = _batch(data, positions, augmented=False)
        scores = probabilities(_logits(module, data, batch).float())
    always, costly = (_names(module, data, batch, scores, costly) for costly in (False, True))
    for callback in callbacks:
        check_monitor(callback, always, costly, module.evaluation.surface_every_n_epochs)
    try_optimizer(module, optimizer_states)


def try_optimizer(module: CrackModule, states: Sequence[Any] = ()) -> None:
    """Build optimizer and schedule.

    Args:
        module: whose parameters are trained.
        states: states of optimizers in a checkpoint that the run resumes from.

    Raises:
        ConfigError: if there is nothing to train, or the optimizer or the schedule rejects its arguments.
        RunError: if a state does not fit.
    """
    if not any(parameter.requires_grad for parameter in module.net.parameters()):
        raise ConfigError(
            f"model.net {type(module.net).__name__} has no parameter that is trained: give a net with weights"
        )
    try:
        optimizer = module.build_optimizer()
        module.schedule(optimizer, 100)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(
            f"model.optimizer or model.schedule does not work ({type(error).__name__}: {said}): correct its options"
        ) from error
    for group in optimizer.param_groups:
        if not math.isfinite(group["lr"]):
            raise ConfigError(f"model.optimizer.lr is {group['lr']}: give a finite number")
    for state in states:
        try:
            optimizer.load_state_dict(copy.deepcopy(state))
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise unfit(error, "the checkpoint") from error


def check_monitor(callback: Any, always: Sequence[str], costly: Sequence[str], every: int) -> None:
    """Check that validation logs the metric that a callback monitors.

    Args:
        callback: of the run.
        always: metrics of every validation.
        costly: metrics of a validation with all scores.
        every: number of epochs between validations with all scores.

    Raises:
        ConfigError: names the nearest metric.
    """
    if isinstance(callback, EarlyStopping):
        check("early_stopping.patience", callback.patience, NonNegativeInt)
        known = [*always, *(["train/loss", "loss"] if callback._check_on_train_epoch_end else [])]
        key, strict = "early_stopping.monitor", callback.strict and every > 1
        if strict and callback.monitor in costly and callback.monitor not in known:
            raise ConfigError(
                f"{key} {callback.monitor!r} is computed in every {every}th epoch only: set model.evaluation.surface_every_n_epochs "
                f"to 1, or early_stopping.strict to false"
            )
    elif isinstance(callback, Checkpoints):
        known, key = list(always), "checkpoint.monitor"
    else:
        return
    if callback.monitor not in known and callback.monitor not in costly:
        raise ConfigError(
            f"{key} {callback.monitor!r} is no metric of this validation{nearest(callback.monitor, costly)}"
        )


def _batch(data: CrackDataModule, positions: Sequence[int], augmented: bool) -> Batch:
    samples = data.dataset(positions, data.augment if augmented else None)
    collated: Any = Collate()([samples[(0, i)] for i in range(len(positions))])
    return data.on_after_batch_transfer(collated, 0)


def _logits(module: CrackModule, data: CrackDataModule, batch: Batch) -> Tensor:
    """Return the logits of a batch.

    Raises:
        ConfigError: if the net fails, or gives another shape than the masks have.
    """
    name, image = type(module.net).__name__, batch["image"]
    try:
        logits: Any = module(image)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"model.net {name} fails on images of shape {tuple(image.shape)} ({type(error).__name__}: {said}): change the net, or "
            "data.train_crop, data.resize or data.pad"
        ) from error
    found = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
    if found != tuple(batch["mask"].shape):
        raise ConfigError(
            f"model.net {name} returns {found} for images of shape {tuple(image.shape)}, and logits of shape "
            f"{tuple(batch['mask'].shape)} are needed: set its number of classes to {data.num_classes}, or choose a net whose output "
            "has the size of its input"
        )
    return logits  # type: ignore[no-any-return]  # its shape was compared


def _names(module: CrackModule, data: CrackDataModule, batch: Batch, scores: Tensor, costly: bool) -> list[str]:
    """Return the names of the metrics of a validation."""
    evaluator = Evaluator(module.evaluation, costly=costly, curves=costly, class_names=data.class_names)
    described = data.describing_columns()
    rows = [described.get(name, {}) for name in batch["id"]]
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    zeros = [0.0] * len(rows)
    evaluator.update(
        batch["id"], scores, batch["mask"], batch["valid"], batch["size"], columns={**columns, "loss": zeros}
    )
    return [f"val/{name}" for name in aggregate(evaluator.rows())] + ["val/threshold"]


@contextmanager
def _unchanged(net: nn.Module) -> Iterator[None]:
    """Restore statistics, modes and random generators at the end."""
    modes = {module: module.training for module in net.modules()}
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            yield
        finally:
            for name, buffer in net.named_buffers():
                buffer.copy_(buffers[name])
            for module, mode in modes.items():
                module.training = mode
