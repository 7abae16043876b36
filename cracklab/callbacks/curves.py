"""Threshold curve, precision-recall curve and distance errors of an evaluation."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from cracklab import run_folder
from cracklab.files import write_image
from cracklab.loggers import media
from cracklab.metrics.result import EvaluationResult


class Curves(pl.Callback):
    """Draws curves over all images after every test, and after the validations of fit that compute the costly metrics.

    They are written to panels/ as val_NAME.png and test_NAME.png and logged to every logger that takes pictures.
    """

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Draw the curves of the validation images."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and pl_module.result.complete:
            self._draw(trainer, pl_module, "val")

    def on_test_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Draw the curves of the test images."""
        self._draw(trainer, pl_module, "test")

    def _draw(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        result: EvaluationResult = pl_module.result
        if not trainer.is_global_zero or not result.rows:
            return
        from cracklab.pictures import plots  # imports matplotlib, which takes a second

        rows, threshold = result.rows, result.threshold
        figures = {}
        if "histogram" in rows[0]:
            figures["threshold_curve"] = plots.threshold_curve(rows, threshold)
            figures["precision_recall"] = plots.precision_recall(rows, threshold)
            for logger in trainer.loggers:
                media.log_curves(logger, stage, rows, trainer.global_step)
        if any("n_pred_off_0" in row for row in rows):
            figures["distance_errors"] = plots.distance_errors(rows)
        for name, figure in figures.items():
            picture = plots.as_image(figure)
            write_image(Path(trainer.default_root_dir) / run_folder.PANELS / f"{stage}_{name}.png", picture)
            for logger in trainer.loggers:
                media.log_picture(logger, f"{stage}/{name}", picture, trainer.global_step)
