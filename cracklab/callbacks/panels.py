"""Pictures of a few validation images while a run trains."""

from pathlib import Path
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
from torch import Tensor

from cracklab import pictures, run
from cracklab.batch import Batch


class Panels(pl.Callback):
    """Image, truth, probability, and errors of the same few validation images, to disk and to every logger that takes pictures.

    Args:
        images: how many images; spread evenly over the validation set.
        every_n_epochs: epochs between two pictures; the last epoch always gives one.
    """

    def __init__(self, images: int = 4, every_n_epochs: int = 5) -> None:
        self.images, self.every_n_epochs = images, every_n_epochs
        self._rows: dict[str, pictures.Image] = {}
        self._chosen: set[str] = set()
        self._seen: list[str] = []

    def _due(self, trainer: pl.Trainer) -> bool:
        epoch = trainer.current_epoch + 1
        due = epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs
        return (
            self.images > 0
            and trainer.is_global_zero
            and trainer.state.fn == "fit"
            and not trainer.sanity_checking
            and due
        )

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Draw the chosen images of a batch."""
        data: Any = getattr(trainer, "datamodule", None)
        if data is None or not self._due(trainer):
            return
        if not self._chosen:
            ids = data.ids("val")[:: trainer.world_size]  # what this process sees
            self._chosen = {
                ids[i] for i in np.linspace(0, len(ids) - 1, min(self.images, len(ids))).round().astype(int)
            }
        for i, name in enumerate(batch["id"]):
            if name in self._chosen:
                self._rows[name] = draw(data, batch, outputs["probabilities"], i, pl_module.evaluator.threshold)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the picture and hand it to the loggers."""
        if not self._rows:
            return
        picture = pictures.stacked([self._rows[name] for name in sorted(self._rows)])
        self._rows = {}
        path = Path(trainer.default_root_dir) / run.PANELS / f"epoch_{trainer.current_epoch + 1:04d}.png"
        with run.written_whole(path) as beside:
            cv2.imwrite(str(beside), picture[..., ::-1])
        for logger in trainer.loggers:
            writer: Any = getattr(logger, "experiment", None)
            if hasattr(logger, "log_image"):
                logger.log_image("val/panels", [picture], step=trainer.global_step)
            elif hasattr(writer, "add_image"):
                writer.add_image("val/panels", picture, trainer.global_step, dataformats="HWC")


def draw(datamodule: Any, batch: Batch, probabilities: Tensor, index: int, threshold: float) -> pictures.Image:
    """One image of a batch as a row: photo, truth, probability, errors. Several classes: the errors of the first that is not background."""
    height, width = batch["size"][index].tolist()
    channel = 0 if probabilities.shape[1] == 1 else 1
    image = datamodule.as_photo(batch["image"][index])[:height, :width]
    truth = batch["mask"][index, channel, :height, :width].cpu().numpy() > 0
    probability = probabilities[index, channel, :height, :width].float().cpu().numpy()
    prediction = (
        probability > threshold
        if probabilities.shape[1] == 1
        else (probabilities[index, :, :height, :width].argmax(0) == channel).cpu().numpy()
    )
    tiles = [
        pictures.as_rgb(image),
        pictures.as_picture(truth),
        pictures.as_rgb((probability * 255).round().astype(np.uint8)),
        pictures.errors(image, truth, prediction),
    ]
    return pictures.side_by_side(
        tiles, [batch["id"][index], "truth", "probability", "green hit, orange missed, blue false"]
    )
