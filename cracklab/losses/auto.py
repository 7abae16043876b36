"""Parameters that `auto` takes from the training data."""

from collections.abc import Callable
from typing import Literal, Protocol

from torch import nn

from cracklab.errors import ConfigError

Auto = Literal["auto"]


class Statistics(Protocol):
    """What a loss may want to know of the training data."""

    @property
    def crack_share(self) -> float:
        """Share of the valid pixels that are crack, 0 to 1."""

    @property
    def width_px_p95(self) -> float:
        """95th percentile of the crack width, px."""


class AutoNumber(nn.Module):
    """A number that is given, or `auto`: then a rule derives it from the training data, and the checkpoint keeps it.

    Args:
        name: of the parameter, for messages.
        value: the number, or `auto`.
        least: the smallest number that makes sense.
        rule: from statistics of the training data to the number.

    Raises:
        ConfigError: for anything else.
    """

    def __init__(self, name: str, value: float | Auto, least: float, rule: Callable[[Statistics], float]) -> None:
        super().__init__()
        if value != "auto" and (isinstance(value, str) or value < least):
            raise ConfigError(f"{name} is {value!r}: expected a number of at least {least}, or 'auto'")
        self.name, self.auto, self.rule = name, value == "auto", rule
        self.value: float | None = None if value == "auto" else value

    def configure(self, statistics: Statistics) -> float:
        """Derive the number."""
        self.value = self.rule(statistics)
        return self.value

    def forward(self) -> float:
        """The number.

        Raises:
            ConfigError: before `configure`, or the loading of a checkpoint, has set it.
        """
        if self.value is None:
            raise ConfigError(
                f"{self.name} is 'auto' but the training data were not measured: call configure(statistics) first, or "
                "give a number"
            )
        return self.value

    def get_extra_state(self) -> dict[str, float | None]:
        """The number, for a checkpoint."""
        return {"value": self.value}

    def set_extra_state(self, state: dict[str, float | None]) -> None:
        """The number that a checkpoint holds, where none is given."""
        if self.auto:
            self.value = state["value"]

    def extra_repr(self) -> str:
        """What `print(loss)` shows."""
        return f"auto: {self.value}" if self.auto else f"{self.value}"
