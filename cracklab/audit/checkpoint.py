"""The labelled data of a configuration, with the probabilities of a checkpoint that was not trained on it."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]  # not listed in its __all__

from cracklab import config_files, plugins, run_folder
from cracklab.audit.labelled import Labelled, one_class
from cracklab.audit.options import AuditOptions, keep_list
from cracklab.config_parser import ConfigParser
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.duplicates import thumbnail
from cracklab.data.photos import Photo
from cracklab.data.provenance import image_fingerprint
from cracklab.data.samples import Record, raise_faults
from cracklab.errors import DataError, RunError
from cracklab.files import output_folder, remove_leftovers, write_image, write_json
from cracklab.predict import settings
from cracklab.predict.load import load
from cracklab.predict.prediction import is_done
from cracklab.predict.predictor import Predictor
from cracklab.predict.tiles import Tiling
from cracklab.progress import Progress
from cracklab.weights import checkpoint_file

IMAGES = "images.json"
"""Id -> image file, its size in bytes and its time of change in ns, of the probabilities in a folder."""


def parse(args: Sequence[str], description: str) -> tuple[Labelled, Path, AuditOptions]:
    """Read the data of a configuration, and predict it."""
    imported, others = plugins.take(args)
    nets = plugins.import_nets(imported)
    parser = ConfigParser(prog="cracklab audit", description=description, allow_abbrev=False)
    parser.add_argument(
        "-c", "--config", action=ActionConfigFile, help="a configuration; only its data section is used"
    )
    parser.add_class_arguments(CrackDataModule, "data")
    parser.add_argument("--ckpt_path", nargs="+", type=str, required=True, help="checkpoints that are averaged")
    parser.add_argument("--out", type=str, required=True, help="folder of the results")
    parser.add_argument("--device", type=str | None, default=None, help="cpu, cuda, cuda:1, mps")
    parser.add_argument("--trust", nargs="+", type=str, default=[], help="class paths of nets of your own")
    parser.add_argument(f"--{plugins.KEY}", type=str, help=plugins.HELP)
    AuditOptions.add_to(parser.add_argument)
    parser.arguments = args
    parsed = parser.parse_args(config_files.replace(others, config_files.data_section))
    options = AuditOptions.of(parsed)
    out = output_folder(parsed.out)
    data: CrackDataModule = parser.instantiate_classes(parsed).data
    keep_list(out, data.exclude)
    predictor = load([checkpoint_file(path) for path in parsed.ckpt_path], parsed.device, trust=[*parsed.trust, *nets])
    return labelled_by_checkpoint(data, predictor, out), out, options


def labelled_by_checkpoint(data: CrackDataModule, predictor: Predictor, out: Path) -> Labelled:
    """Predict every image of a data set that the checkpoints were not trained on.

    Probabilities are written as `probabilities/ID.png`, 8 bit, 255 for 1. A second start predicts missing images only.

    Args:
        data: the data set; its splits, crop and resize do not matter.
        predictor: of one or several checkpoints.
        out: folder of the audit.

    Raises:
        DataError: for faults of the data, several classes, or if the checkpoints were trained on all images.
        RunError: if the folder holds probabilities of other checkpoints, or of other images with the same ids.
    """
    one_class(data.layout)
    one_class(predictor)
    records, problems = data.index()
    raise_faults(problems)
    seen = {
        mark for model in predictor.models for mark in model.seen
    }  # before anything is written: bundles do not keep it
    folder = out / run_folder.PROBABILITIES
    kept = settings.settings_of(folder, predictor, None, None)
    _claim(out, records)
    predictor.tiling = Tiling(kept["tile"], kept["overlap"], predictor.batch_size)
    print(settings.as_text(kept), flush=True)
    remove_leftovers(folder)
    unseen = _predict(data, predictor, records, out, seen)
    if len(unseen) < len(records):
        print(f"{len(records) - len(unseen)} of {len(records)} images are left out: the checkpoint was trained on them")
    if not unseen:
        raise DataError("the checkpoint was trained on all of these images: run `cracklab kfold --keep_probabilities`")
    files = {record.id: [run_folder.probability_file(out, record.id)] for record in unseen}
    return Labelled(data.layout, unseen, files, dict.fromkeys(files, predictor.threshold), exclude=data.exclude)


def _claim(out: Path, records: Sequence[Record]) -> None:
    """Record the image file of each id, and remove probabilities of images that have been replaced.

    Raises:
        RunError: if an earlier run used the same ids for other files.
    """
    path = out / run_folder.PROBABILITIES / IMAGES
    images = {record.id: _state(Path(record.image).absolute()) for record in records}
    try:
        before = dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
        if any(isinstance(state, str) for state in before.values()):
            raise TypeError("an earlier version of cracklab wrote it")
        changed = [name for name in before.keys() & images.keys() if before[name] != images[name]]
        moved = [name for name in changed if before[name][0] != images[name][0]]
    except (ValueError, TypeError, LookupError) as error:
        raise RunError(f"{path} cannot be read ({error}): choose another --out") from error
    if moved:
        was, now = before[moved[0]][0], images[moved[0]][0]
        raise RunError(
            f"{path.parent} holds probabilities of {was!r}, and {moved[0]!r} is {now!r} now: choose another --out"
        )
    for name in changed:  # a copy may be older than the probabilities
        run_folder.probability_file(out, name).unlink(missing_ok=True)
    if not images.items() <= before.items():
        write_json(path, before | images)


def _state(image: Path) -> list[str | int]:
    """Return path, size and time of change of an image; zeros if it is not a file."""
    found = image.stat() if image.is_file() else None
    return [str(image), found.st_size if found else 0, found.st_mtime_ns if found else 0]


def _predict(
    data: CrackDataModule, predictor: Predictor, records: Sequence[Record], out: Path, seen: Collection[str]
) -> list[Record]:
    """Write the probabilities of the images that no checkpoint was trained on, and return these."""
    unseen = _unseen(data, records, seen)
    work = [_work_of(record, predictor, out) for record in unseen]
    with Progress(work, "images") as progress:
        for record, pixels in zip(unseen, work, strict=True):
            if pixels:
                photo, _ = data.layout.read(record)  # at the size of the mask, as the net was trained on it
                probability = predictor.predict(photo, on_pixels=progress.advance).probability
                file = run_folder.probability_file(out, record.id)
                write_image(file, np.rint(probability * 255).astype(np.uint8))
            progress.finish_item()
    return unseen


def _unseen(data: CrackDataModule, records: Sequence[Record], seen: Collection[str]) -> list[Record]:
    """Return the images that no checkpoint was trained on; they are read first, so that the time left is known while they are predicted."""
    if not seen:
        return list(records)
    unseen = []
    with Progress([1] * len(records), "images compared with the training images") as progress:
        for record in records:
            if image_fingerprint(thumbnail(data.layout.read(record)[0])) not in seen:
                unseen.append(record)
            progress.finish_item()
    return unseen


def _work_of(record: Record, predictor: Predictor, out: Path) -> int:
    """Return the number of pixels to score, 0 if the probabilities of the image exist."""
    image = Path(record.image)
    if is_done(image, [run_folder.probability_file(out, record.id)]):
        return 0
    return predictor.count_pixels(*Photo(image, record.id).size())
