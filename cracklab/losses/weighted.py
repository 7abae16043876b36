"""A weighted sum of losses whose weights may change over the epochs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from cracklab.losses.base import Loss, register, require
from cracklab.losses.external import External


@dataclass
class WeightSchedule:
    """A weight that changes linearly from `first_epoch` to `last_epoch` and is constant before and after.

    Args:
        start: the weight until `first_epoch`.
        end: the weight from `last_epoch` on.
        last_epoch: the last epoch of the change.
        first_epoch: the first epoch of the change, counted from 0.

    Example:
        >>> weight = WeightSchedule(start=1.0, end=0.0, last_epoch=10)
        >>> weight(0), weight(5), weight(99)
        (1.0, 0.5, 0.0)
    """

    start: float
    end: float
    last_epoch: int
    first_epoch: int = 0

    def __post_init__(self) -> None:
        require(self.first_epoch < self.last_epoch, "last_epoch", self.last_epoch, "an epoch after first_epoch")

    def __call__(self, epoch: int) -> float:
        """Return the weight in an epoch."""
        progress = (epoch - self.first_epoch) / (self.last_epoch - self.first_epoch)
        return self.start + (self.end - self.start) * min(1.0, max(0.0, progress))


Schedule = WeightSchedule
"""The name in configurations that release 0.1 wrote."""


@register("weighted_sum")
class WeightedSum(Loss):
    """Sum of weight times loss over any losses, for instance from `dice` to `boundary`, as in Kervadec 2021.

    `terms` holds each loss by name, without its weight.

    Args:
        losses: pairs of a loss and its weight, which is a number or a `WeightSchedule`.

    Example:
        >>> import torch
        >>> from cracklab.losses import BCE, Dice
        >>> loss = WeightedSum([(Dice(), 1.0), (BCE(), WeightSchedule(start=1.0, end=0.0, last_epoch=10))])
        >>> loss.set_epoch(5)
        >>> loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # 2/7 + 0.5 log 2
        tensor(0.6323)
        >>> loss.terms
        {'dice': tensor(0.2857), 'bce': tensor(0.6931)}
    """

    def __init__(self, losses: list[tuple[Loss, float | WeightSchedule]]) -> None:
        super().__init__()
        require(len(losses) > 0, "losses", losses, "at least one pair of a loss and its weight")
        self.weights: dict[str, float | WeightSchedule] = {}
        self.losses = nn.ModuleDict()
        for loss, weight in losses:
            name = _name(loss)
            count = sum(_name(other) == name for other in self.losses.values())
            name = f"{name}_{count + 1}" if count else name
            self.losses[name], self.weights[name] = loss, weight
        self.maps = tuple(dict.fromkeys(name for loss, _ in losses for name in loss.maps))
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch for the weights, and for the losses, which may have weights themselves."""
        self.epoch = epoch
        super().set_epoch(epoch)

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the weighted sum in the current epoch."""
        total, terms = logits.new_zeros(()), {}
        for name, module in self.losses.items():
            loss, weight = cast(Loss, module), self.weights[name]
            value = loss.compute(logits, mask, {read: maps[read] for read in loss.maps}, valid)
            terms[name] = value.detach()
            total = total + (weight(self.epoch) if isinstance(weight, WeightSchedule) else weight) * value
        self.terms = terms
        return total


def _name(loss: nn.Module) -> str:
    named = loss.module if isinstance(loss, External) else loss
    return type(named).__qualname__.rpartition(".")[2]
