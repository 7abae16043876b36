"""Pictures of a few images: the same validation images in every epoch; the worst, median and best test images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import lightning.pytorch as pl
import numpy as np

from cracklab import pictures, run_folder
from cracklab.batch import Batch
from cracklab.bounds import NonNegativeInt, PositiveInt, bounded
from cracklab.errors import ConfigError
from cracklab.files import write_image
from cracklab.loggers import media
from cracklab.metrics.key import MetricKey
from cracklab.metrics.result import EvaluationResult
from cracklab.metrics.rows import Row
from cracklab.metrics.scores import SCORES
from cracklab.pictures.examples import Example, evenly_spaced, example_from_batch, predict_examples
from cracklab.registry import nearest


@bounded
class Panels(pl.Callback):
    """Writes photo, truth, probability, errors and maps of a few images, and logs them to every logger that takes pictures.

    Args:
        images: number of validation images, evenly spaced, and number of test images of each kind.
        every_n_epochs: number of epochs between pictures; the last epoch always has one.
        by: column of per_image.csv that ranks the test images: a score, also `NAME@THRESHOLD` or `NAME/CLASS`, or `loss`.
    """

    def __init__(self, images: NonNegativeInt = 4, every_n_epochs: PositiveInt = 5, by: str = "iou") -> None:
        known = [*SCORES, "loss"]
        if MetricKey.parse(by).variant not in known:
            raise ConfigError(f"panels.by: no score is called {by!r}{nearest(by, known)}")
        self.images, self.every_n_epochs, self.by = images, every_n_epochs, by
        self._examples: dict[str, Example] = {}
        self._chosen: set[str] = set()

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
        """Keep the chosen images of a batch."""
        data: Any = getattr(trainer, "datamodule", None)
        if data is None or not self._due(trainer):
            return
        if not self._chosen:
            ids = data.ids("val")[:: trainer.world_size]  # what this process sees
            self._chosen = set(evenly_spaced(ids, self.images))
        for i, name in enumerate(batch["id"]):
            if name in self._chosen:
                self._examples[name] = example_from_batch(pl_module.loss, data, batch, outputs["probabilities"], i)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Draw the kept images at the threshold that this validation chose."""
        examples = [self._examples[name] for name in sorted(self._examples)]
        self._examples = {}
        if examples:
            result: EvaluationResult = pl_module.result
            rows = {row["id"]: row for row in result.rows}
            titles = {one.id: _title(rows[one.id], "iou") for one in examples}
            picture = _sheet(examples, titles, result.threshold, pl_module.evaluation.tolerance_px)
            _write_and_log(trainer, "val/panels", picture, f"epoch_{trainer.current_epoch + 1:04d}")
            for logger in trainer.loggers:
                media.log_examples(logger, "val/images", examples, rows, result.threshold, trainer.global_step)

    def on_test_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Draw the worst, median and best images, and some evenly spaced ones, which are the same for all runs.

        Raises:
            ConfigError: if the test did not compute the column `by`.
        """
        if not self.images or not trainer.is_global_zero or getattr(trainer, "datamodule", None) is None:
            return
        result: EvaluationResult = pl_module.result
        tolerance = pl_module.evaluation.tolerance_px
        rows = {row["id"]: row for row in result.rows}
        if not any(self.by in row for row in rows.values()):
            columns = [name for name in next(iter(rows.values()), {}) if MetricKey.parse(name).variant in SCORES]
            raise ConfigError(f"panels.by: the test did not compute {self.by!r}{nearest(self.by, columns)}")
        for kind, chosen in extremes(result.rows, self.by, self.images).items():
            examples = predict_examples(trainer, pl_module, chosen)
            titles = {name: _title(rows[name], self.by) for name in chosen}
            picture = _sheet(examples, titles, result.threshold, tolerance)
            _write_and_log(trainer, f"test/{kind}", picture, f"test_{kind}_{self.by.replace('/', '_')}")
            for logger in trainer.loggers:
                media.log_examples(logger, f"test/{kind}_images", examples, rows, result.threshold, trainer.global_step)
        for one in predict_examples(trainer, pl_module, evenly_spaced(sorted(rows), self.images)):
            strip = np.concatenate(list(one.tiles(result.threshold, tolerance)), 1)
            write_image(Path(trainer.default_root_dir) / run_folder.EXAMPLES / f"{quote(one.id, safe='')}.png", strip)


def extremes(rows: Sequence[Row], by: str, number: int) -> dict[str, list[str]]:
    """Return the ids of the `worst`, `median` and `best` images by a column; images without a value are ignored."""
    name = MetricKey.parse(by).variant
    better = SCORES[name].better if name in SCORES else "lower"

    def badness(row: Row) -> tuple[float, str]:
        value = float(row[by])
        return {"higher": -value, "lower": value, "one": abs(value - 1)}[better], row["id"]

    ids = [row["id"] for row in sorted((row for row in rows if row.get(by) is not None), key=badness, reverse=True)]
    middle = max(0, (len(ids) - number) // 2)
    return {"worst": ids[:number], "median": ids[middle : middle + number], "best": ids[::-1][:number]} if ids else {}


def _sheet(
    examples: Sequence[Example], titles: Mapping[str, str], threshold: float, tolerance_px: float
) -> pictures.Image:
    """Return one row per image below each other, and the legend of the colours."""
    rows = [one.row(threshold, tolerance_px, titles[one.id]) for one in examples]
    return pictures.stack_rows([*rows, pictures.legend(rows[0].shape[1], tolerance_px)])


def _write_and_log(trainer: pl.Trainer, name: str, picture: pictures.Image, file: str) -> None:
    write_image(Path(trainer.default_root_dir) / run_folder.PANELS / f"{file}.png", picture)
    for logger in trainer.loggers:
        media.log_picture(logger, name, picture, trainer.global_step)


def _title(row: Row, by: str) -> str:
    """Return id and score of an image.

    Example:
        >>> _title({"id": "wall_01", "iou": 0.17}, "iou"), _title({"id": "wall_01", "hd95_px": 108.1}, "hd95_px")
        ('wall_01  IoU 0.170', 'wall_01  hd95_px 108')
    """
    value = row.get(by)
    return f"{row['id']}  {'IoU' if by == 'iou' else by} {'-' if value is None else format(value, '#.3g').rstrip('.')}"
