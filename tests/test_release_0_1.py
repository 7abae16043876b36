"""What release 0.1 wrote is still read: a run with its checkpoint, and the folder of a k-fold.

tests/fixtures/release_0_1 was made by that release: `fit` and `test` of a two-level U-Net on twelve drawn images of
48 x 48 px, `predict --probability` of one photo with its best checkpoint, and `kfold --folds 2`, without its checkpoints.
"""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch.loggers import Logger

from cracklab.checkpoint import Payload, read_checkpoint
from cracklab.cli import main
from cracklab.losses import Loss, WeightSchedule
from cracklab.study.aggregate import aggregate
from cracklab.study.folder import Study

OLD = Path(__file__).parent / "fixtures" / "release_0_1"


DICE_THEN_BOUNDARY = {
    "class_path": "cracklab.losses.weighted.weighted_sum",
    "init_args": {
        "losses": [
            [{"class_path": "cracklab.losses.region.dice"}, 1.0],
            [
                {"class_path": "cracklab.losses.distance.boundary"},
                {
                    "class_path": "cracklab.losses.weighted.Schedule",
                    "init_args": {"start": 0.0, "end": 0.1, "last_epoch": 5, "first_epoch": 0},
                },
            ],
        ]
    },
}
"""As in the config.yaml of a run with configs/loss/dice_then_boundary.yaml."""


@pytest.fixture
def old_run(tmp_path):
    return Path(shutil.copytree(OLD / "run", tmp_path / "run"))


def test_the_payload_of_an_old_checkpoint_is_read():
    payload = Payload.from_checkpoint(read_checkpoint(OLD / "run/checkpoints/best.ckpt"))
    assert payload.version == "0.1.0"
    assert payload.data["images"] == {"train": 12, "val": 4, "test": 4}
    assert 0 < payload.threshold < 1


def test_class_paths_of_old_configurations_that_have_moved_are_still_read():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Loss, "loss")
    parser.add_subclass_arguments(Logger, "logger")
    logger = {"class_path": "cracklab.loggers.TensorBoard", "init_args": {"log_graph": False}}
    parsed = parser.parse_object({"loss": DICE_THEN_BOUNDARY, "logger": logger})
    assert parser.instantiate(parsed).loss.weights["boundary"] == WeightSchedule(start=0.0, end=0.1, last_epoch=5)


def test_predict_writes_the_mask_that_the_old_release_wrote(tmp_path):
    call = ["predict", "--ckpt_path", str(OLD / "run/checkpoints/best.ckpt"), "--images", str(OLD / "wall.png")]
    assert main([*call, "--out", str(tmp_path), "--probability"]) == 0
    for new, old in (("wall.png", "wall_mask.png"), ("wall_probability.png", "wall_probability.png")):
        written, expected = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (tmp_path / new, OLD / old))
        np.testing.assert_array_equal(written, expected)


def test_test_finds_and_prints_the_metrics_that_the_old_release_found(old_run, capsys):
    before = json.loads((old_run / "test_metrics.json").read_text())
    (old_run / "test_metrics.json").unlink()
    call = ["--config", str(old_run / "config.yaml"), "--ckpt_path", str(old_run / "checkpoints/best.ckpt")]
    assert main(["test", *call]) == 0
    assert "\nhd95_px " in capsys.readouterr().out  # without a terminal, too
    found = json.loads((old_run / "test_metrics.json").read_text())
    assert {name: value for name, value in found.items() if name in before} == pytest.approx(before, abs=1e-6)
    assert {name.partition("/")[0] for name in found.keys() - before.keys()} == {"native"}  # new since


def test_fit_resumes_an_old_run_to_the_same_weights(old_run):
    last = old_run / "checkpoints/last.ckpt"
    before = read_checkpoint(last)["state_dict"]
    assert main(["fit", "--config", str(old_run / "config.yaml"), "--ckpt_path", str(last), "--out", str(old_run)]) == 0
    after = read_checkpoint(last)["state_dict"]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)  # both epochs had been trained


def test_tables_of_an_old_kfold_are_reproduced_byte_by_byte(tmp_path):
    folder = Path(shutil.copytree(OLD / "kfold", tmp_path / "kfold"))
    tables = ("runs.csv", "out_of_fold.csv")
    for name in tables:
        (folder / name).unlink()
    assert aggregate(Study(folder)) == 2
    for name in tables:
        assert (folder / name).read_bytes() == (OLD / "kfold" / name).read_bytes()


def test_report_reads_an_old_kfold(tmp_path):
    assert main(["report", str(OLD / "kfold"), "--out", str(tmp_path / "report")]) == 0
    assert "fold_1" in (tmp_path / "report/report.html").read_text()
