"""Bounds of the settings of Lightning's trainer that it does not check itself, or only after a run has begun."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from cracklab.bounds import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, UnitInterval, check
from cracklab.errors import ConfigError

TRAINER: Mapping[str, Any] = {
    "max_epochs": PositiveInt | None,
    "min_epochs": NonNegativeInt | None,
    "max_steps": PositiveInt,
    "min_steps": NonNegativeInt | None,
    "fast_dev_run": NonNegativeInt | bool,
    "overfit_batches": NonNegativeInt | UnitInterval,
    "limit_train_batches": PositiveInt | Annotated[float, Gt(0), Le(1)] | None,
    "limit_val_batches": NonNegativeInt | UnitInterval | None,
    "check_val_every_n_epoch": PositiveInt | None,
    "log_every_n_steps": NonNegativeInt | None,
    "accumulate_grad_batches": PositiveInt,
    "val_check_interval": PositiveFloat | str | dict | timedelta | None,
    "num_sanity_val_steps": Annotated[int, Ge(-1)] | None,
    "gradient_clip_val": NonNegativeFloat | None,
    "num_nodes": PositiveInt,
    "precision": Literal["32-true", "16-mixed", "bf16-mixed", "32", "16", "bf16", 32, 16]
    | None,  # a loss needs single precision
}
"""Setting -> its bounds; -1 means no limit where it can."""
DURATIONS = {"max_time": r"(\d+):(\d\d):(\d\d):(\d\d)", "val_check_interval": r"(\d+):(\d+):(\d+):(\d+)"}
"""Setting -> the pattern of a time that Lightning accepts: days, hours, minutes and seconds."""


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Check settings of the trainer, all or some.

    Raises:
        ConfigError: for a value out of bounds.
    """
    for name, hint in TRAINER.items():
        if name in settings and not (name in ("max_epochs", "max_steps") and settings[name] == -1):
            check(f"trainer.{name}", settings[name], hint)
    for name, pattern in DURATIONS.items():
        check_duration(f"trainer.{name}", settings.get(name), pattern)
    if settings["max_epochs"] == -1 and settings["max_steps"] == -1:
        raise ConfigError(
            "trainer.max_epochs is -1, and trainer.max_steps too: set one of them, since the schedule needs an end"
        )


def check_duration(name: str, value: Any, pattern: str) -> None:
    """Check a time, if the value is one.

    Args:
        name: of the setting, for the message.
        value: a text, or arguments of `timedelta`; others are ignored.
        pattern: of a text, with days, hours, minutes and seconds as groups.

    Raises:
        ConfigError: if it is not a time above 0.

    Example:
        >>> check_duration("trainer.max_time", "12 h", DURATIONS["max_time"])
        Traceback (most recent call last):
        cracklab.errors.ConfigError: trainer.max_time is '12 h': give a time above 0 as DD:HH:MM:SS, such as 00:12:00:00
    """
    given = value
    try:
        if isinstance(value, str) and (found := re.fullmatch(pattern, value.strip())):
            given = timedelta(
                **dict(zip(("days", "hours", "minutes", "seconds"), map(int, found.groups()), strict=True))
            )
        elif isinstance(value, Mapping):
            given = timedelta(**value)
    except (TypeError, OverflowError):  # another name, no number, or more than a timedelta holds
        given = timedelta(0)
    if isinstance(given, str) or (isinstance(given, timedelta) and given <= timedelta(0)):
        raise ConfigError(f"{name} is {value!r}: give a time above 0 as DD:HH:MM:SS, such as 00:12:00:00")
