"""Pictures of a few images: the same ones while a run trains; the worst, median and best ones after a test."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import lightning.pytorch as pl
import numpy as np

from cracklab import pictures, run_folder
from cracklab.batch import Batch
from cracklab.errors import ConfigError
from cracklab.files import write_image
from cracklab.loggers import media
from cracklab.metrics.aggregate import Row
from cracklab.metrics.scores import SCORES
from cracklab.pictures.examples import Example, evenly_spaced, example_from_batch, predict_examples
from cracklab.registry import nearest


class Panels(pl.Callback):
    """Photo, truth, probability, errors and maps of a few images, to disk and to every logger that takes pictures.

    Args:
        images: how many images; of the validation images spread evenly, of the test images so many of each kind.
        every_n_epochs: epochs between two pictures; the last epoch always gives one.
        by: the column of per_image.csv that says which test images are the worst, median and best: a score, also
            `NAME@THRESHOLD` or `NAME/CLASS`, or `loss`.
    """

    def __init__(self, images: int = 4, every_n_epochs: int = 5, by: str = "iou") -> None:
        known = [*SCORES, "loss"]
        if by.partition("@")[0].partition("/")[0] not in known:
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
        """Draw them at the threshold that this validation chose."""
        examples = [self._examples[name] for name in sorted(self._examples)]
        self._examples = {}
        if examples:
            rows = {row["id"]: row for row in pl_module.result.rows}
            picture = _sheet(
                examples, pl_module, {one.id: f"{one.id}  IoU {_text(rows[one.id], 'iou')}" for one in examples}
            )
            _show(trainer, "val/panels", picture, f"epoch_{trainer.current_epoch + 1:04d}")
            media.log_examples(trainer, "val/images", examples, rows, pl_module.result.threshold)

    def on_test_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Draw the worst, the median and the best images; and some spread evenly, which are the same for all runs.

        Raises:
            ConfigError: where the test did not compute what `by` names.
        """
        if not self.images or not trainer.is_global_zero or getattr(trainer, "datamodule", None) is None:
            return
        rows = {row["id"]: row for row in pl_module.result.rows}
        if not any(self.by in row for row in rows.values()):
            columns = [
                name for name in next(iter(rows.values()), {}) if name.partition("@")[0].partition("/")[0] in SCORES
            ]
            raise ConfigError(f"panels.by: the test did not compute {self.by!r}{nearest(self.by, columns)}")
        for kind, chosen in extremes(pl_module.result.rows, self.by, self.images).items():
            examples = predict_examples(trainer, pl_module, chosen)
            titles = {name: f"{name}  {self.by} {_text(rows[name], self.by)}" for name in chosen}
            _show(
                trainer, f"test/{kind}", _sheet(examples, pl_module, titles), f"test_{kind}_{self.by.replace('/', '_')}"
            )
            media.log_examples(trainer, f"test/{kind}_images", examples, rows, pl_module.result.threshold)
        for one in predict_examples(trainer, pl_module, evenly_spaced(sorted(rows), self.images)):
            strip = np.concatenate(list(one.tiles(pl_module.result.threshold, pl_module.evaluation.tolerance_px)), 1)
            write_image(Path(trainer.default_root_dir) / run_folder.EXAMPLES / f"{quote(one.id, safe='')}.png", strip)


def extremes(rows: list[Row], by: str, number: int) -> dict[str, list[str]]:
    """Ids of the `worst`, `median` and `best` images by a column; those without a value are none of them."""
    base = by.partition("@")[0].partition("/")[0]
    better = SCORES[base].better if base in SCORES else "lower"

    def badness(row: Row) -> tuple[float, str]:
        value = float(row[by])
        return {"higher": -value, "lower": value, "one": abs(value - 1)}[better], row["id"]

    ids = [row["id"] for row in sorted((row for row in rows if row.get(by) is not None), key=badness, reverse=True)]
    middle = max(0, (len(ids) - number) // 2)
    return {"worst": ids[:number], "median": ids[middle : middle + number], "best": ids[::-1][:number]} if ids else {}


def _sheet(examples: list[Example], pl_module: Any, titles: dict[str, str]) -> pictures.Image:
    tolerance = pl_module.evaluation.tolerance_px
    rows = [one.row(pl_module.result.threshold, tolerance, titles[one.id]) for one in examples]
    return pictures.stack_rows([*rows, pictures.legend(rows[0].shape[1], tolerance)])


def _show(trainer: pl.Trainer, name: str, picture: pictures.Image, file: str) -> None:
    write_image(Path(trainer.default_root_dir) / run_folder.PANELS / f"{file}.png", picture)
    media.log_picture(trainer, name, picture)


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return "-" if value is None else f"{value:.3g}"
