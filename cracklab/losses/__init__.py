"""Losses, by name: `build_loss("distance_aware", beta=2.0)`. One family a file; how to add one is in README.md here."""

from cracklab.losses.base import LOSSES, Loss, build_loss, register

__all__ = ["LOSSES", "Loss", "build_loss", "register"]
