"""A weighted sum of losses, with weights that move over the epochs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from cracklab.losses.base import Loss, register, require
from cracklab.losses.external import External


@dataclass
class WeightSchedule:
    """A weight that moves linearly from one epoch to another, and stays before and after.

    Args:
        start: the weight up to `first_epoch`.
        end: the weight from `last_epoch` on.
        first_epoch: where it begins to move, counted from 0.
        last_epoch: where it arrives.
    """

    start: float
    end: float
    last_epoch: int
    first_epoch: int = 0

    def __post_init__(self) -> None:
        require(self.first_epoch < self.last_epoch, "last_epoch", self.last_epoch, "an epoch after first_epoch")

    def __call__(self, epoch: int) -> float:
        """The weight in an epoch."""
        share = (epoch - self.first_epoch) / (self.last_epoch - self.first_epoch)
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))


@register("weighted_sum")
class WeightedSum(Loss):
    """Sum of weight times loss over any losses, for instance Kervadec's region loss that gives way to `boundary`.

    `terms` holds each loss, without its weight, by its name. Kervadec 2021.

    Args:
        losses: pairs of a loss and its weight, a number or a schedule over epochs.
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
        """Move the weights, and those inside the losses."""
        self.epoch = epoch
        for loss in self.losses.values():
            cast(Loss, loss).set_epoch(epoch)

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The weighted sum."""
        total, terms = logits.new_zeros(()), {}
        for name, module in self.losses.items():
            loss, weight = cast(Loss, module), self.weights[name]
            value = loss.compute(logits, mask, {read: maps[read] for read in loss.maps}, valid)
            terms[name] = value.detach()
            total = total + (weight(self.epoch) if isinstance(weight, WeightSchedule) else weight) * value
        self.terms = terms
        return total


def _name(loss: nn.Module) -> str:
    kind = loss.module if isinstance(loss, External) else loss
    return type(kind).__qualname__.rpartition(".")[2]
