"""The labelled data of a configuration, with the probabilities of a checkpoint that was not trained on it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cracklab import run_folder
from cracklab.audit.labelled import Labelled, one_class
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.duplicates import thumbnail
from cracklab.data.provenance import image_fingerprint
from cracklab.data.samples import Record, raise_faults
from cracklab.errors import DataError
from cracklab.files import remove_leftovers, write_image
from cracklab.predict import settings
from cracklab.predict.prediction import is_done
from cracklab.predict.predictor import Predictor
from cracklab.predict.tiles import Tiling
from cracklab.progress import Progress


def labelled_by_checkpoint(data: CrackDataModule, predictor: Predictor, out: Path) -> Labelled:
    """Predict every image of a data set that the checkpoints were not trained on.

    Probabilities are written as `probabilities/ID.png`, 8 bit, 255 for 1. A second start predicts missing images only.

    Args:
        data: the data set; its splits, crop and resize do not matter.
        predictor: of one or several checkpoints.
        out: folder of the audit.

    Raises:
        DataError: for faults of the data, several classes, or if the checkpoints were trained on all images.
        RunError: if the folder holds probabilities of other checkpoints.
    """
    one_class(data.layout)
    one_class(predictor)
    records, problems = data.index()
    raise_faults(problems)
    folder = out / run_folder.PROBABILITIES
    kept = settings.settings_of(folder, predictor, None, None)
    predictor.tiling = Tiling(kept["tile"], kept["overlap"], predictor.batch_size)
    print(settings.as_text(kept), flush=True)
    remove_leftovers(folder)
    unseen = _predict(data, predictor, records, out)
    if len(unseen) < len(records):
        print(f"{len(records) - len(unseen)} of {len(records)} images are left out: the checkpoint was trained on them")
    if not unseen:
        raise DataError("the checkpoint was trained on all of these images: run `cracklab kfold --keep_probabilities`")
    files = {record.id: [run_folder.probability_file(out, record.id)] for record in unseen}
    return Labelled(data.layout, unseen, files, dict.fromkeys(files, predictor.threshold))


def _predict(data: CrackDataModule, predictor: Predictor, records: Sequence[Record], out: Path) -> list[Record]:
    """Write the probabilities of the images that no checkpoint was trained on, and return these."""
    seen = {mark for model in predictor.models for mark in str(model.payload.data.get("seen", "")).split()}
    unseen = []
    with Progress(len(records), "images") as progress:
        for record in records:
            file = run_folder.probability_file(out, record.id)
            photo = data.layout.read_image(record)
            if image_fingerprint(thumbnail(photo)) not in seen:
                unseen.append(record)
                if not is_done(Path(record.image), [file]):
                    probability = predictor.predict(photo).probability
                    write_image(file, np.rint(probability * 255).astype(np.uint8))
            progress.finish_item()
    return unseen
