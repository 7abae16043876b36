"""Pictures, tables and charts for loggers, which are in the run folder as well.

A logger takes part by registering what it can show: `@log_picture.register` on a function of its class, in its own file.
Loggers that register nothing ignore them.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import singledispatch

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger, WandbLogger

from cracklab import pictures
from cracklab.metrics.rows import Row
from cracklab.pictures.examples import Example


@singledispatch
def log_picture(logger: Logger, name: str, picture: pictures.Image, step: int) -> None:
    """Log a picture (H, W, 3)."""


@singledispatch
def log_examples(
    logger: Logger, name: str, examples: Sequence[Example], rows: Mapping[str, Row], threshold: float, step: int
) -> None:
    """Log a table of images with their masks, probabilities, maps and scores; `rows` are by image id."""


@singledispatch
def log_curves(logger: Logger, stage: str, rows: Sequence[Row], step: int) -> None:
    """Log the metrics over the threshold, and precision over recall."""


def wandb_loggers(trainer: pl.Trainer) -> Iterator[WandbLogger]:
    """Return the loggers that write to W&B."""
    return (logger for logger in trainer.loggers if isinstance(logger, WandbLogger))
