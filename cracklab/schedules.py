"""Learning-rate schedules: each is told the total number of steps and is stepped per batch.

`--model.schedule OneCycle --model.schedule.warmup 0.1`; any callable (optimizer, total_steps) -> LRScheduler works.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from cracklab.errors import ConfigError


class LearningRateSchedule(ABC):
    """How the learning rate of each parameter group moves between the first and the last step."""

    @abstractmethod
    def __call__(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        """The scheduler for `total_steps` steps of `optimizer`."""


class _Factor(LearningRateSchedule):
    """A schedule that multiplies every group's learning rate by `factor(progress)`, progress from 0 to 1."""

    @abstractmethod
    def factor(self, progress: float) -> float: ...

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        return LambdaLR(optimizer, lambda step: self.factor(min(1.0, step / max(1, total_steps))))


class Constant(_Factor):
    """The learning rate stays as it is."""

    def factor(self, progress: float) -> float:
        """Always 1."""
        return 1.0


class OneCycle(LearningRateSchedule):
    """Up and down once, momentum the other way (Smith 2018); the optimizer's rate is the highest.

    Args:
        warmup: share of the steps that go up.
        start_factor: highest rate over first rate.
        final_factor: first rate over last rate.
    """

    def __init__(self, warmup: float = 0.3, start_factor: float = 25.0, final_factor: float = 1e4) -> None:
        _share("warmup", warmup)
        self.warmup, self.start_factor, self.final_factor = warmup, start_factor, final_factor

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        """PyTorch's OneCycleLR over all steps."""
        return OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=total_steps,
            pct_start=self.warmup,
            div_factor=self.start_factor,
            final_div_factor=self.final_factor,
        )


class Cosine(_Factor):
    """A linear warm-up, then half a cosine down to `floor` times the rate (Loshchilov and Hutter 2017).

    Args:
        warmup: share of the steps that go up.
        floor: the last rate as a factor.
    """

    def __init__(self, warmup: float = 0.05, floor: float = 0.0) -> None:
        _share("warmup", warmup)
        self.warmup, self.floor = warmup, floor

    def factor(self, progress: float) -> float:
        """The factor at a share of the way."""
        if progress < self.warmup:
            return progress / self.warmup
        way = (progress - self.warmup) / max(1e-12, 1 - self.warmup)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * way))


class Polynomial(_Factor):
    """(1 - progress) to a power.

    Args:
        power: 0.9 as in DeepLab (Chen 2018).
    """

    def __init__(self, power: float = 0.9) -> None:
        self.power = power

    def factor(self, progress: float) -> float:
        """The factor at a share of the way."""
        return math.pow(1 - progress, self.power)


class Steps(_Factor):
    """The rate is multiplied by `factor` at each milestone.

    Args:
        milestones: shares of the way, rising, for instance 0.5 and 0.75.
        gamma: what the rate is multiplied by.
    """

    def __init__(self, milestones: Sequence[float] = (0.5, 0.75), gamma: float = 0.1) -> None:
        for milestone in milestones:
            _share("milestones", milestone)
        self.milestones, self.gamma = tuple(milestones), gamma

    def factor(self, progress: float) -> float:
        """The factor at a share of the way."""
        passed = sum(progress >= milestone for milestone in self.milestones)
        return math.pow(self.gamma, passed)


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ConfigError(f"{name} is {value}, but it is a share of all steps: give a number from 0 to below 1")
