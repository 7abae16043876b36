"""Several runs on the same test images: what each predicts at several thresholds, and how its loss weighs pixels.

    python -m cracklab.predict.comparison RUN [RUN ...] --out DIR --thresholds 0.1 0.5 --images 4

writes DIR/predictions.png, images side by side and runs below each other, and DIR/weights.png where a loss weighs pixels by
their distance: Figures 4 and 1 of Krasniqi and Shehu 2026.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cracklab import pictures, run_folder
from cracklab.data.dataset import Collate
from cracklab.data.maps import compute_maps
from cracklab.errors import ConfigError, CracklabError
from cracklab.files import write_image
from cracklab.losses import build_loss
from cracklab.losses.distance import WeightedLoss, relative
from cracklab.pictures.colours import PREDICTION, TRUTH
from cracklab.pictures.examples import Example, evenly_spaced, example_from_batch
from cracklab.predict.trained_model import TrainedModel, restore
from cracklab.warning_filters import filter_warnings


def predictions(runs: Mapping[str, Sequence[Example]], thresholds: Sequence[float]) -> pictures.Image:
    """Photos, their truth in green, and what each run predicts in red, a row for each threshold.

    Args:
        runs: name -> the same images with that run's probabilities.
        thresholds: probabilities above which a pixel is crack.
    """
    images = next(iter(runs.values()))
    rows = [
        pictures.side_by_side([one.photo for one in images], [one.id for one in images]),
        pictures.side_by_side(
            [pictures.overlay(one.photo, one.truth, TRUTH) for one in images], ["truth"] * len(images)
        ),
    ]
    for name, examples in runs.items():
        for threshold in thresholds:
            tiles = [pictures.overlay(one.photo, one.prediction(threshold), PREDICTION) for one in examples]
            rows.append(pictures.side_by_side(tiles, [f"{name}, above {threshold:g}"] * len(tiles)))
    return pictures.stack_rows(rows)


def weights(images: Sequence[Example], loss: WeightedLoss) -> pictures.Image:
    """Photo, truth, distance to the crack over its maximum, and the weight that a loss gives each pixel, in rows."""
    rows = []
    for one in images:
        maps = {name: torch.from_numpy(map)[None] for name, map in compute_maps(one.truth, loss.maps).items()}
        distance, weight = relative(maps["distance"])[0, 0], loss.weigh(maps)[0, 0].detach()
        tiles = [
            one.photo,
            pictures.mask_image(one.truth),
            pictures.heatmap(distance.numpy()),
            pictures.heatmap(weight.numpy()),
        ]
        titles = [one.id, "truth", "distance, 0 to 1", f"weight, {weight.min():.3g} to {weight.max():.3g}"]
        rows.append(pictures.side_by_side(tiles, titles))
    return pictures.stack_rows(rows)


def images_of(restored: TrainedModel, ids: Sequence[str]) -> list[Example]:
    """Images by name, as a run's net sees them, and its probabilities."""
    data, place = restored.data, {record.id: i for i, record in enumerate(restored.data.records)}
    found = []
    for name in ids:
        if name not in place:
            raise ConfigError(f"the runs are not of the same images: one has no {name!r}")
        batch = data.on_after_batch_transfer(Collate()([data.dataset([place[name]])[0, 0]]), 0)
        with torch.inference_mode():
            probabilities = restored.probabilities(batch["image"])
        found.append(example_from_batch(None, data, batch, probabilities, 0))
    return found


def main(args: Sequence[str] | None = None) -> None:
    """Write both pictures.

    Raises:
        CracklabError: for folders that are no runs, or runs of different images.
    """
    parser = argparse.ArgumentParser(
        prog="python -m cracklab.predict.comparison", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("runs", nargs="+", type=Path, help="run folders")
    parser.add_argument("--out", required=True, type=Path, help="folder of the pictures")
    parser.add_argument("--thresholds", nargs="+", type=float, default=[0.1, 0.5])
    parser.add_argument("--images", type=int, default=4, help="so many test images, spread evenly")
    given = parser.parse_args(args)
    filter_warnings()
    runs: dict[str, list[Example]] = {}
    ids: list[str] = []
    for folder in given.runs:
        restored = restore(folder / run_folder.BEST)
        restored.data.setup("test")
        ids = ids or evenly_spaced(restored.data.ids("test"), given.images)
        name, loss = _loss_of(restored.config)
        runs[name if name not in runs else folder.name] = images_of(restored, ids)
        if isinstance(loss, WeightedLoss) and "distance" in loss.maps:
            write_image(given.out / "weights.png", weights(images_of(restored, ids), loss))
    write_image(given.out / "predictions.png", predictions(runs, given.thresholds))


def _loss_of(config: Mapping[str, Any]) -> tuple[str, Any]:
    """Name of a run's loss, and the loss; None for one of another library."""
    given = config["model"]["loss"]
    path, options = (given, {}) if isinstance(given, str) else (given["class_path"], given.get("init_args") or {})
    name = path.rpartition(".")[2]
    return name, build_loss(name, **options) if path.startswith("cracklab.") else None


if __name__ == "__main__":
    try:
        main()
    except CracklabError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
