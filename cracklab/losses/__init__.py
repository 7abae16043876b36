"""Segmentation losses, by name or by class; README.md explains how to add one.

Example:
    >>> from cracklab.losses import DistanceAware, build_loss
    >>> type(build_loss("distance_aware", beta=2.0)) is DistanceAware
    True
"""

from typing import Any

from cracklab.losses.auto import Statistics
from cracklab.losses.base import LOSSES, Loss, build_loss, register
from cracklab.losses.external import External
from cracklab.losses.weighted import WeightSchedule
from cracklab.registry import nearest

__all__ = ["LOSSES", "External", "Loss", "Statistics", "WeightSchedule", "build_loss", "register"]


def __getattr__(name: str) -> Any:
    """Return a loss class by its name, from whichever module here defines it: a new file needs no line in this one."""
    if not name.startswith(
        "_"
    ):  # Python looks for optional names such as __wrapped__, which need not import every loss
        classes = LOSSES.own_classes()
        if name in classes:
            return classes[name]
        hint = nearest(name, [*__all__, *classes])
        raise AttributeError(f"{__name__} has no loss {name!r}{hint}", name=name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)


def __dir__() -> list[str]:
    """Return the names that can be imported from here."""
    return sorted({*globals(), *LOSSES.own_classes()})
