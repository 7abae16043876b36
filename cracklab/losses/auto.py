"""Parameters with the value `auto`, which are derived from the training data."""

from collections.abc import Callable
from typing import Literal, Protocol

from torch import nn

from cracklab.errors import ConfigError

Auto = Literal["auto"]


class Statistics(Protocol):
    """Statistics of the training data that a loss may use.

    Example:
        >>> from cracklab.data.statistics import Statistics as Measured
        >>> margin_statistics: Statistics = Measured(10, 0.02, 1.0, 2.0, 4.0)  # a data module measures these
        >>> margin_statistics.width_px_p95
        4.0
    """

    @property
    def crack_share(self) -> float:
        """Fraction of the valid pixels that are crack, 0 to 1."""

    @property
    def width_px_p95(self) -> float:
        """95th percentile of the crack width, px."""


class AutoNumber(nn.Module):
    """A number, or `auto` for one that is derived from the training data and then kept in the checkpoint.

    Args:
        name: the parameter's name, for messages.
        value: the number, or `auto`.
        least: the smallest valid number.
        rule: from statistics of the training data to the number.

    Raises:
        ConfigError: for any other value.

    Example:
        >>> from types import SimpleNamespace
        >>> width = AutoNumber("width", "auto", least=1, rule=lambda statistics: 2 * statistics.width_px_p95)
        >>> width.configure(SimpleNamespace(crack_share=0.03, width_px_p95=4.0))
        8.0
        >>> width()
        8.0
    """

    def __init__(self, name: str, value: float | Auto, least: float, rule: Callable[[Statistics], float]) -> None:
        super().__init__()
        if value != "auto" and (isinstance(value, str) or value < least):
            raise ConfigError(f"{name} is {value!r}: expected a number of at least {least}, or 'auto'")
        self.name, self.auto, self.rule = name, value == "auto", rule
        self.value: float | None = None if value == "auto" else value

    def configure(self, statistics: Statistics) -> float:
        """Derive, keep and return the number."""
        self.value = self.rule(statistics)
        return self.value

    def forward(self) -> float:
        """Return the number.

        Raises:
            ConfigError: if it is `auto` and neither `configure` nor a checkpoint has set it.
        """
        if self.value is None:
            raise ConfigError(
                f"{self.name} is 'auto' but no statistics of the training data are known: call configure(statistics), "
                "or give a number"
            )
        return self.value

    def get_extra_state(self) -> dict[str, float | None]:
        """Return the number for a checkpoint."""
        return {"value": self.value}

    def set_extra_state(self, state: dict[str, float | None]) -> None:
        """Restore the number from a checkpoint, unless one was given."""
        if self.auto:
            self.value = state["value"]

    def extra_repr(self) -> str:
        """Return the text that `print(loss)` shows."""
        return f"auto: {self.value}" if self.auto else f"{self.value}"
