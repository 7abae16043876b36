"""Bounds of the settings of Lightning's trainer that it does not check itself, or only after a run has begun."""

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


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Check settings of the trainer, all or some.

    Raises:
        ConfigError: for a value out of bounds.
    """
    for name, hint in TRAINER.items():
        if name in settings and not (name in ("max_epochs", "max_steps") and settings[name] == -1):
            check(f"trainer.{name}", settings[name], hint)
    if settings["max_epochs"] == -1 and settings["max_steps"] == -1:
        raise ConfigError(
            "trainer.max_epochs is -1, and trainer.max_steps too: set one of them, since the schedule needs an end"
        )
