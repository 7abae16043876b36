"""Pictures that compare runs on the same test images: their predictions at several thresholds, and the weights in their loss.

    python -m cracklab.predict.comparison RUN [RUN ...] --out DIR --thresholds 0.1 0.5 --images 4

writes DIR/predictions.png, with a column per image and a row per run and threshold. For a loss that weights pixels by their
distance to the crack it writes DIR/weights.png too. These are Figures 4 and 1 of Krasniqi and Shehu 2026.

It is for your own runs: their data and nets are built from RUN/config.yaml, and a configuration runs code.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError, ArgumentParser

from cracklab import config_files, pictures, run_folder
from cracklab.command_parser import CommandParser
from cracklab.config_parser import as_config_error
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.loader import collate
from cracklab.errors import ConfigError, CracklabError
from cracklab.files import output_folder, write_image
from cracklab.losses import build_loss
from cracklab.losses.base import Loss
from cracklab.multiscale import multiscale_probabilities
from cracklab.pictures.colours import PREDICTION, TRUTH
from cracklab.pictures.examples import Example, evenly_spaced, example_from_batch
from cracklab.predict.trained_model import TrainedModel, restore
from cracklab.warning_filters import filter_warnings


def prediction_sheet(runs: Mapping[str, Sequence[Example]], thresholds: Sequence[float]) -> pictures.Image:
    """Return photos, their truth in green, and the predictions of each run in red, a row per threshold.

    Args:
        runs: name -> the same images with that run's probabilities.
        thresholds: a pixel is crack if its probability is above the threshold.

    Example:
        >>> import numpy as np
        >>> photo, truth = np.zeros((256, 100, 3), np.uint8), np.zeros((256, 100), bool)
        >>> wall = Example("wall", photo, truth, np.zeros((256, 100), np.float32), None, {})
        >>> prediction_sheet({"bce": [wall, wall]}, [0.1, 0.5]).shape  # 4 rows of 22 px for titles + 256 px + a gap of 4 px
        (1128, 204, 3)
    """
    images = next(iter(runs.values()))
    truths = [pictures.overlay(image.photo, image.truth, TRUTH) for image in images]
    rows = [
        pictures.side_by_side([image.photo for image in images], [image.id for image in images]),
        pictures.side_by_side(truths, ["truth"] * len(images)),
    ]
    for name, examples in runs.items():
        for threshold in thresholds:
            tiles = [pictures.overlay(image.photo, image.prediction(threshold), PREDICTION) for image in examples]
            rows.append(pictures.side_by_side(tiles, [f"{name}, above {threshold:g}"] * len(tiles)))
    return pictures.stack_rows(rows)


def weight_sheet(examples: Sequence[Example]) -> pictures.Image:
    """Return a row per image: photo, truth, distance to the crack over its maximum, and the weight of each pixel in the loss.

    Args:
        examples: images with the maps `distance` and `weight`.

    Example:
        >>> import numpy as np
        >>> photo, truth = np.zeros((256, 100, 3), np.uint8), np.zeros((256, 100), bool)
        >>> zeros = np.zeros((256, 100), np.float32)
        >>> wall = Example("wall", photo, truth, zeros, None, {"distance": zeros, "weight": zeros})
        >>> weight_sheet([wall]).shape
        (282, 412, 3)
    """
    rows = []
    for image in examples:
        distance, weight = image.maps["distance"], image.maps["weight"]
        tiles = [
            image.photo,
            pictures.mask_image(image.truth),
            pictures.heatmap(distance / (distance.max() or 1)),
            pictures.heatmap(weight),
        ]
        titles = [image.id, "truth", "distance, 0 to 1", f"weight, {weight.min():.3g} to {weight.max():.3g}"]
        rows.append(pictures.side_by_side(tiles, titles))
    return pictures.stack_rows(rows)


def predicted_examples(
    model: TrainedModel, data: CrackDataModule, loss: Loss | None, ids: Sequence[str]
) -> list[Example]:
    """Return test images by id, with the model's probabilities and the target maps of the loss.

    Raises:
        ConfigError: for an id that the data lacks.
    """
    position = {record.id: i for i, record in enumerate(data.records)}
    data.maps = () if loss is None else loss.maps
    examples = []
    for name in ids:
        if name not in position:
            raise ConfigError(f"the runs have different test images, one lacks {name!r}: give runs on the same data")
        batch = data.on_after_batch_transfer(collate([data.dataset([position[name]])[0, 0]]), 0)
        with torch.inference_mode():
            once = model.probabilities(batch["image"])
            probabilities = multiscale_probabilities(
                model.probabilities, batch["image"], once, batch["size"], model.scales, model.interpolation
            )
        examples.append(example_from_batch(loss, data, batch, probabilities, 0))
    return examples


def parser() -> CommandParser:
    """Return the parser of the script's arguments.

    Example:
        >>> parser().parse(["RUN", "--out", "figures"]).thresholds
        [0.1, 0.5]
    """
    arguments = CommandParser("predict", (__doc__ or "").partition("\n")[0])
    arguments.prog = "python -m cracklab.predict.comparison"
    arguments.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    arguments.add_argument("--out", required=True, type=output_folder, help="folder for the pictures")
    arguments.add_argument(
        "--thresholds", nargs="+", type=float, default=[0.1, 0.5], help="a row for each (default: 0.1 0.5)"
    )
    arguments.add_argument(
        "--images", type=int, default=4, help="number of test images, evenly spaced in their order (default: 4)"
    )
    return arguments


def main(args: Sequence[str] | None = None) -> None:
    """Write the pictures.

    Args:
        args: the script's arguments; those of the process if None.

    Raises:
        CracklabError: for invalid arguments, folders that are not runs, or runs with different test images.
    """
    options = parser().parse(sys.argv[1:] if args is None else args)
    if options.images < 1:
        raise ConfigError(f"--images is {options.images}: give 1 or more")
    filter_warnings()
    runs: dict[str, list[Example]] = {}
    ids: list[str] = []
    for folder in options.runs:
        config = config_files.read(folder / run_folder.CONFIG)
        data = data_of(config)
        data.setup("test")
        ids = ids or evenly_spaced(data.ids("test"), options.images)
        name, loss = _loss_of(config)
        model = restore(folder / run_folder.BEST, trust=[config["model"]["net"]["class_path"]])
        examples = predicted_examples(model, data, loss, ids)
        runs[name if name not in runs else folder.name] = examples
        if {"distance", "weight"} <= set(examples[0].maps):
            write_image(options.out / "weights.png", weight_sheet(examples))
    write_image(options.out / "predictions.png", prediction_sheet(runs, options.thresholds))


def data_of(config: Mapping[str, Any]) -> CrackDataModule:
    """Return the data module of a run's configuration."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(CrackDataModule, "data")
    try:
        data: CrackDataModule = parser.instantiate(parser.parse_object({"data": config["data"]})).data
    except (ArgumentError, ArithmeticError, AttributeError, ImportError, LookupError, TypeError, ValueError) as error:
        raise as_config_error(error) from error
    return data


def _loss_of(config: Mapping[str, Any]) -> tuple[str, Loss | None]:
    """Return the name of a run's loss, and the loss; None for one of another library."""
    entry = config["model"]["loss"]
    path, options = (entry, {}) if isinstance(entry, str) else (entry["class_path"], entry.get("init_args") or {})
    name = path.rpartition(".")[2]
    return name, build_loss(name, **options) if path.startswith("cracklab.") else None


if __name__ == "__main__":
    try:
        main()
    except CracklabError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
