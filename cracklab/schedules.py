"""Learning-rate schedules, which know the total number of steps and are stepped per batch.

`--model.schedule OneCycle --model.schedule.warmup 0.1`; any callable (optimizer, total_steps) -> LRScheduler works too.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Lt
from lightning.pytorch.callbacks import StochasticWeightAveraging
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from cracklab.bounds import NonNegativeFloat, PositiveFloat, bounded
from cracklab.errors import RunError

Fraction = Annotated[float, Ge(0), Lt(1)]
"""A fraction of all steps."""


class LearningRateSchedule(ABC):
    """The course of every parameter group's learning rate over the steps of a run."""

    @abstractmethod
    def __call__(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        """Return the scheduler of an optimizer for a run of `total_steps` steps."""


class _FactorSchedule(LearningRateSchedule):
    """A schedule that multiplies every group's learning rate by `factor(progress)`, progress from 0 to 1."""

    @abstractmethod
    def factor(self, progress: float) -> float: ...

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        return LambdaLR(optimizer, lambda step: self.factor(min(1.0, step / max(1, total_steps))))


class Constant(_FactorSchedule):
    """A constant learning rate.

    Example:
        >>> Constant().factor(0.5)
        1.0
    """

    def factor(self, progress: float) -> float:
        """Return 1."""
        return 1.0


@bounded
class OneCycle(LearningRateSchedule):
    """One rise and fall of the learning rate, with momentum in the opposite direction (Smith 2018).

    The optimizer's learning rate is the highest.

    Args:
        warmup: fraction of the steps in which the rate rises.
        start_factor: highest rate over first rate.
        final_factor: first rate over last rate.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5, momentum=0.9)
        >>> scheduler = OneCycle(start_factor=25.0)(optimizer, 100)
        >>> round(optimizer.param_groups[0]["lr"], 4)  # 0.5 / 25
        0.02
    """

    def __init__(
        self, warmup: Fraction = 0.3, start_factor: PositiveFloat = 25.0, final_factor: PositiveFloat = 1e4
    ) -> None:
        self.warmup, self.start_factor, self.final_factor = warmup, start_factor, final_factor

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        """Return PyTorch's OneCycleLR over all steps."""
        # a rise of exactly one step starts at its end: PyTorch would divide by its length, which is 0
        warmup = (1 - 1e-9) / total_steps if self.warmup * total_steps == 1 else self.warmup
        return OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=total_steps,
            pct_start=warmup,
            div_factor=self.start_factor,
            final_div_factor=self.final_factor,
        )


@bounded
class Cosine(_FactorSchedule):
    """A linear warm-up, then half a cosine down to `floor` times the learning rate (Loshchilov and Hutter 2017).

    Args:
        warmup: fraction of the steps in which the rate rises.
        floor: last rate over highest rate.

    Example:
        >>> schedule = Cosine(warmup=0.2)
        >>> schedule.factor(0.1), schedule.factor(0.2), schedule.factor(1.0)
        (0.5, 1.0, 0.0)
    """

    def __init__(self, warmup: Fraction = 0.05, floor: NonNegativeFloat = 0.0) -> None:
        self.warmup, self.floor = warmup, floor

    def factor(self, progress: float) -> float:
        """Return the factor after a fraction of the steps."""
        if progress < self.warmup:
            return progress / self.warmup
        descent = (progress - self.warmup) / max(1e-12, 1 - self.warmup)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * descent))


@bounded
class Polynomial(_FactorSchedule):
    """A learning rate times (1 - progress)^power.

    Args:
        power: the exponent; 0.9 as in DeepLab (Chen 2018).

    Example:
        >>> Polynomial(power=2.0).factor(0.5)
        0.25
    """

    def __init__(self, power: NonNegativeFloat = 0.9) -> None:
        self.power = power

    def factor(self, progress: float) -> float:
        """Return the factor after a fraction of the steps."""
        return math.pow(1 - progress, self.power)


@bounded
class Steps(_FactorSchedule):
    """A learning rate that is multiplied by `gamma` at each milestone.

    Args:
        milestones: rising fractions of the steps, for instance 0.5 and 0.75.
        gamma: factor at each milestone.

    Example:
        >>> schedule = Steps(milestones=(0.5, 0.75), gamma=0.5)
        >>> schedule.factor(0.4), schedule.factor(0.5), schedule.factor(0.8)
        (1.0, 0.5, 0.25)
    """

    def __init__(self, milestones: Sequence[Fraction] = (0.5, 0.75), gamma: NonNegativeFloat = 0.1) -> None:
        self.milestones, self.gamma = tuple(milestones), gamma

    def factor(self, progress: float) -> float:
        """Return the factor after a fraction of the steps."""
        passed = sum(progress >= milestone for milestone in self.milestones)
        return math.pow(self.gamma, passed)


def is_replaced(trainer: Any) -> bool:
    """Return whether a callback of the run replaces the schedule; `StochasticWeightAveraging` adds an epoch without steps, too."""
    return any(isinstance(one, StochasticWeightAveraging) for one in trainer.callbacks)


def check_length(scheduler: Any, steps: float) -> None:
    """Refuse to train past the end of a schedule, as a resumed run would with another `trainer.max_epochs`.

    Args:
        scheduler: one that may know its number of steps, `total_steps`, such as that of `OneCycle`.
        steps: number of steps at the end of the run.

    Raises:
        RunError: states both numbers.
    """
    planned = getattr(scheduler, "total_steps", None)
    if planned is not None and planned < steps:
        raise RunError(
            f"the learning-rate schedule of the checkpoint ends at step {planned}, but the run would continue to step {steps}: "
            "leave trainer.max_epochs as it was, or train with model.schedule Constant from the start"
        )
