"""The probabilities of the test images, kept in the run folder for `cracklab audit`."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np

from cracklab import run_folder
from cracklab.batch import Batch
from cracklab.data.datamodule import CrackDataModule
from cracklab.errors import ConfigError
from cracklab.files import write_image


class Probabilities(pl.Callback):
    """Writes the probability of crack of each test image, at the size of its file: `probabilities/ID.png`, 8 bit, 255 for 1.

    Args:
        keep: whether to write them; `cracklab kfold --keep_probabilities` sets it.
    """

    def __init__(self, keep: bool = False) -> None:
        self.keep = keep

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check that there is one probability per pixel.

        Raises:
            ConfigError: for several classes, or a data module of another package.
        """
        data: Any = getattr(trainer, "datamodule", None)
        if self.keep and (not isinstance(data, CrackDataModule) or data.num_classes > 1):
            raise ConfigError("probabilities.keep needs crack masks of one class, read by a CrackDataModule")

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Write the probabilities of a batch."""
        if not self.keep:
            return
        data: Any = getattr(trainer, "datamodule", None)
        for name, scores in zip(batch["id"], outputs["probabilities"].cpu(), strict=True):
            scores = data.native.restore(name, scores).probabilities[0, 0].numpy()
            path = run_folder.probability_file(Path(trainer.default_root_dir), name)
            write_image(path, np.rint(scores * 255).astype(np.uint8))
