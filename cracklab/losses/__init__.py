"""Losses, by name: `build_loss("distance_aware", beta=2.0)`. One family a file; how to add one is in README.md here."""

from cracklab.losses.auto import Statistics
from cracklab.losses.base import LOSSES, Loss, build_loss, register
from cracklab.losses.external import External

__all__ = ["LOSSES", "External", "Loss", "Statistics", "build_loss", "register"]
