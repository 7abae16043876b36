"""The fold of a run: named to every logger, and its images in the run folder."""

import json
from pathlib import Path

import lightning.pytorch as pl
import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger
from support import TinyNet

from cracklab import run_folder
from cracklab.callbacks import KFold
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts import LAYOUTS
from cracklab.errors import DataError
from cracklab.module import CrackModule


def fit(folder, fold, callback):
    data = CrackDataModule(
        LAYOUTS["synthetic"](train=10, val=2, test=3, size=(32, 32)), batch_size=4, fold=fold, folds=3, pool=True
    )
    trainer = pl.Trainer(
        max_steps=1, limit_val_batches=0, default_root_dir=folder, callbacks=[callback], logger=CSVLogger(folder),
        accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(CrackModule(TinyNet(), "dice"), data)
    return data, trainer


def test_the_fold_and_its_images_are_written_and_logged(tmp_path):
    data, trainer = fit(tmp_path, 1, KFold(1, 3))
    written = json.loads((tmp_path / run_folder.FOLD).read_text())
    assert (written["fold"], written["folds"]) == (1, 3)
    held_out = {data.records[i].id for i, fold in data.fold_of.items() if fold == 1}
    assert set(written["images"]["held_out"]) == held_out
    everything = [name for side in written["images"].values() for name in side]
    assert len(everything) == len(set(everything)) == 15  # 10 + 2 + 3 images, each on one side
    trainer.logger.save()
    assert yaml.safe_load((Path(trainer.log_dir) / "hparams.yaml").read_text())["fold"] == 1


def test_a_fold_that_the_data_does_not_hold_out_is_refused(tmp_path):
    with pytest.raises(DataError, match="names fold 2, but the data holds out another one"):
        fit(tmp_path, 1, KFold(2, 3))
    assert not (tmp_path / run_folder.FOLD).exists()
