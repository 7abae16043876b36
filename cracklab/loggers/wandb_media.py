"""Pictures, tables and charts in W&B."""

from collections.abc import Mapping, Sequence

import numpy as np
from lightning.pytorch.loggers import WandbLogger

from cracklab import pictures
from cracklab.loggers.media import log_curves, log_examples, log_picture
from cracklab.metrics.curves import by_threshold
from cracklab.metrics.rows import Row
from cracklab.metrics.scores import SCORES
from cracklab.pictures.examples import Example

CLASSES = {0: "background", 1: "crack"}


@log_picture.register
def _(logger: WandbLogger, name: str, picture: pictures.Image, step: int) -> None:
    logger.log_image(name, [picture], step=step)


@log_examples.register
def _(
    logger: WandbLogger, name: str, examples: Sequence[Example], rows: Mapping[str, Row], threshold: float, step: int
) -> None:
    import wandb  # takes a second to import

    scores = [score for score in (*SCORES, "loss") if any(score in rows[one.id] for one in examples)]
    columns: list[str | int] = ["id", "image", "probability", *examples[0].maps, *scores]
    table = wandb.Table(columns=columns)
    for one in examples:
        masks = {"truth": one.truth, "prediction": one.prediction(threshold)}
        layers = {key: {"mask_data": mask.astype(np.uint8), "class_labels": CLASSES} for key, mask in masks.items()}
        probability = pictures.as_rgb((one.probability * 255).round().astype(np.uint8))
        table.add_data(
            one.id,
            wandb.Image(one.photo, masks=layers),
            wandb.Image(probability),
            *(wandb.Image(pictures.heatmap(values)) for values in one.maps.values()),
            *(rows[one.id].get(score) for score in scores),
        )
    logger.log_metrics({name: table}, step=step)  # type: ignore[dict-item]  # W&B logs tables like numbers


@log_curves.register
def _(logger: WandbLogger, stage: str, rows: Sequence[Row], step: int) -> None:
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
    named = {f"{stage}/{name}": chart for name, chart in charts.items()}
    logger.log_metrics(named, step=step)  # type: ignore[arg-type]  # W&B logs charts like numbers
