"""What loggers are shown beside numbers: pictures for W&B and TensorBoard, tables and charts for W&B.

Everything here is in the run folder as well; without a logger nothing happens.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from cracklab import pictures
from cracklab.metrics.aggregate import Row
from cracklab.metrics.curves import by_threshold
from cracklab.metrics.scores import SCORES
from cracklab.pictures.examples import Example


def wandb_loggers(trainer: pl.Trainer) -> Iterator[WandbLogger]:
    """The loggers that write to W&B."""
    return (logger for logger in trainer.loggers if isinstance(logger, WandbLogger))


def log_picture(trainer: pl.Trainer, name: str, picture: pictures.Image) -> None:
    """Hand a picture to every logger that takes pictures."""
    for logger in wandb_loggers(trainer):
        logger.log_image(name, [picture], step=trainer.global_step)
    for board in trainer.loggers:
        if isinstance(board, TensorBoardLogger):
            board.experiment.add_image(name, picture, trainer.global_step, dataformats="HWC")


def log_examples(
    trainer: pl.Trainer, name: str, examples: Sequence[Example], rows: Mapping[str, Row], threshold: float
) -> None:
    """A table in W&B: photos under masks that can be switched on and off, probabilities, maps, and the scores."""
    for logger in wandb_loggers(trainer):
        import wandb  # here, since it takes a second to import

        scores = [score for score in (*SCORES, "loss") if any(score in rows[one.id] for one in examples)]
        columns: list[str | int] = ["id", "image", "probability", *examples[0].maps, *scores]
        table = wandb.Table(columns=columns)
        for one in examples:
            masks = {"truth": one.truth, "prediction": one.prediction(threshold)}
            overlays = {
                key: {"mask_data": mask.astype(np.uint8), "class_labels": {0: "background", 1: "crack"}}
                for key, mask in masks.items()
            }
            probability = pictures.as_rgb((one.probability * 255).round().astype(np.uint8))
            table.add_data(
                one.id,
                wandb.Image(one.photo, masks=overlays),
                wandb.Image(probability),
                *(wandb.Image(pictures.heatmap(values)) for values in one.maps.values()),
                *(rows[one.id].get(score) for score in scores),
            )
        _log(logger, {name: table}, trainer.global_step)


def log_curves(trainer: pl.Trainer, stage: str, rows: Sequence[Row]) -> None:
    """Charts in W&B: Dice, IoU, precision and recall over the threshold, and precision over recall."""
    for logger in wandb_loggers(trainer):
        import wandb

        values = {name: numbers[::10].tolist() for name, numbers in by_threshold(rows).items()}
        names = ["dice", "iou", "precision", "recall"]
        charts = {
            "threshold_chart": wandb.plot.line_series(
                values["threshold"], [values[name] for name in names], names, f"{stage}: by threshold", "threshold"
            ),
            "precision_recall_chart": wandb.plot.line_series(
                values["recall"], [values["precision"]], ["precision"], f"{stage}: precision over recall", "recall"
            ),
        }
        _log(logger, {f"{stage}/{name}": chart for name, chart in charts.items()}, trainer.global_step)


def _log(logger: WandbLogger, values: dict[str, Any], step: int) -> None:
    """Log what is no number; Lightning's own method for numbers does the rest."""
    logger.log_metrics(values, step=step)
