"""A trial before a run: two images through net, loss and evaluation, so that a configuration that cannot work writes nothing."""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor, nn

from cracklab.batch import Batch
from cracklab.bounds import NonNegativeInt, check
from cracklab.callbacks import Checkpoints
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.loader import collate
from cracklab.errors import ConfigError, DataError
from cracklab.metrics.aggregate import aggregate
from cracklab.metrics.evaluator import Evaluator
from cracklab.module import CrackModule
from cracklab.registry import nearest
from cracklab.training.resume import unfit

NUM_IMAGES = 2
"""Largest number of images of the trial; batch normalisation needs two if a net pools to one pixel."""


def try_fit(
    module: CrackModule,
    data: CrackDataModule,
    keyed: Sequence[Any],
    given: Sequence[Any],
    optimizer_states: Sequence[Any] = (),
) -> None:
    """Check that a training can start, without changing anything.

    Two training images go through net and loss as in training, and the same through the evaluation; then optimizer and
    schedule are built.

    Args:
        module: net, loss and optimizer.
        data: after `setup`.
        keyed: callbacks with keys of their own in the configuration; those that monitor a metric are checked.
        given: those of `trainer.callbacks`.
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
    if loss.learns_from_statistics:
        loss.configure(data.statistics)
    with unchanged(module.net):
        module.net.train()
        batch = batch_of(data, positions, augmented=True)
        value = loss(logits_of(module, data, batch), batch["mask"], batch["maps"], batch["valid"])
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ConfigError(
                f"model.loss {type(module.loss).__name__} does not return a single number: give a loss that does"
            )
        module.net.eval()
        batch = batch_of(data, positions, augmented=False)
        logits_of(module, data, batch)
        scores = _scores(module, batch)
    always, costly = (_names(module, data, batch, scores, costly) for costly in (False, True))
    for key, callbacks in (("", keyed), ("trainer.callbacks, ", given)):
        for callback in callbacks:
            check_monitor(callback, always, costly, module.evaluation.surface_every_n_epochs, key)
    check_distinct(keyed, given)
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


def check_distinct(keyed: Sequence[Any], given: Sequence[Any]) -> None:
    """Check that the states of no two callbacks would have one name in a checkpoint.

    Args:
        keyed: callbacks with keys of their own in the configuration.
        given: those of `trainer.callbacks`.

    Raises:
        ConfigError: names the callback, and how to distinguish it.
    """
    names = {callback.state_key for callback in keyed if callback.state_dict()}
    for callback in given:
        if isinstance(callback, Callback) and callback.state_dict():
            if callback.state_key in names:
                raise ConfigError(
                    f"trainer.callbacks has a second {callback.state_key}: remove it, or let it monitor another metric; "
                    "early_stopping.* are the settings of the first EarlyStopping, checkpoint.* those of the checkpoints"
                )
            names.add(callback.state_key)


def check_monitor(callback: Any, always: Sequence[str], costly: Sequence[str], every: int, owner: str = "") -> None:
    """Check that validation logs the metric that a callback monitors.

    Args:
        callback: of the run.
        always: metrics of every validation.
        costly: metrics of a validation with all scores.
        every: number of epochs between validations with all scores.
        owner: beginning of the key in messages, for a callback without a key of its own.

    Raises:
        ConfigError: names the nearest metric.
    """
    if isinstance(callback, EarlyStopping):
        name = f"{owner}EarlyStopping" if owner else "early_stopping"
        check(f"{name}.patience", callback.patience, NonNegativeInt)
        # None: Lightning decides by trainer.val_check_interval, and by default after the epoch's training
        known = [*always, *(["train/loss", "loss"] if callback._check_on_train_epoch_end is not False else [])]
        key, strict = f"{name}.monitor", callback.strict and every > 1
        if strict and callback.monitor in costly and callback.monitor not in known:
            raise ConfigError(
                f"{key} {callback.monitor!r} is computed in every {every}th epoch only: set model.evaluation.surface_every_n_epochs "
                f"to 1, or {name}.strict to false"
            )
    elif isinstance(callback, Checkpoints):
        known, key = list(always), "checkpoint.monitor"
    else:
        return
    if callback.monitor not in known and callback.monitor not in costly:
        raise ConfigError(
            f"{key} {callback.monitor!r} is not a metric of this validation{nearest(callback.monitor, costly)}"
        )


def batch_of(data: CrackDataModule, positions: Sequence[int], augmented: bool) -> Batch:
    """Return images at some positions of the index as a batch, on the processor."""
    samples = data.dataset(positions, data.augment if augmented else None)
    collated: Any = collate([samples[(0, i)] for i in range(len(positions))])
    return data.on_after_batch_transfer(collated, 0)


def logits_of(module: CrackModule, data: CrackDataModule, batch: Batch) -> Tensor:
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


def _scores(module: CrackModule, batch: Batch) -> Tensor:
    """Return the probabilities of a batch at the scales of the evaluation.

    Raises:
        ConfigError: if the net fails at one of them.
    """
    try:
        return module.score(batch)[1]
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"model.net {type(module.net).__name__} fails at model.scales {list(module.scales)} of images of shape "
            f"{tuple(batch['image'].shape)} ({type(error).__name__}: {said}): leave out the smallest or largest"
        ) from error


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
def unchanged(net: nn.Module) -> Iterator[None]:
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
