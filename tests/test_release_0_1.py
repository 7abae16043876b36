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
from cracklab.errors import RunError
from cracklab.losses import Loss, WeightSchedule
from cracklab.study.aggregate import aggregate
from cracklab.study.folder import Study
from cracklab.training.resume import check_scales

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


def test_a_threshold_that_was_chosen_at_other_scales_is_a_warning(old_run):
    """A checkpoint without the key was evaluated at one scale."""
    checkpoint = old_run / "checkpoints/best.ckpt"
    threshold = read_checkpoint(checkpoint)["cracklab"]["threshold"]
    call = ["validate", "--config", str(old_run / "config.yaml"), "--ckpt_path", str(checkpoint), "--panels.images=0"]
    with pytest.warns(UserWarning, match="was chosen at") as warned:
        assert main([*call, "--model.scales=[1.0,0.5]", "--model.evaluation.groups=[]", "--verbose=false"]) == 0
    (text,) = {str(one.message) for one in warned if "was chosen at" in str(one.message)}
    assert text.startswith(f"model.scales is [1.0, 0.5], but the threshold {threshold:g} of checkpoint {checkpoint} ")
    assert "validate with '--model.scales=[1.0]', or" in text


def test_a_threshold_that_was_given_is_right_at_all_scales(recwarn):
    """So are several classes, the most probable of which needs no threshold."""
    chosen, given = (
        f"{{model: {{scales: [0.5, 1.0], evaluation: {{threshold: {threshold}}}}}, data: {{}}}}"
        for threshold in ("dice", 0.5)
    )
    check_scales("test", Payload(given, 0.5), "last.ckpt", (1.0,))
    check_scales("test", Payload("{model: {}, data: {}}", 0.5, class_names=("wall", "crack")), "last.ckpt", (0.5,))
    check_scales("test", Payload("", 0.5), "last.ckpt", (0.5,))  # trained in Python
    for command in ("fit", "test"):
        check_scales(command, Payload(chosen, 0.5), "last.ckpt", (1, 0.5))
    assert not recwarn.list
    check_scales("test", Payload(chosen, 0.5), "last.ckpt", (1.0,))
    assert len(recwarn.list) == 1
    with pytest.raises(RunError, match=r"resume with '--model\.scales=\[0\.5,1\.0\]'"):
        check_scales("fit", Payload(given, 0.5), "last.ckpt", (1.0,))


@pytest.mark.parametrize("scales", ["x", "[x]", "[0]", "{a: 1}", "[.nan]"])
def test_damaged_scales_in_a_checkpoint_are_named(scales):
    payload = Payload(f"{{model: {{scales: {scales}}}, data: {{}}}}", 0.5)
    with pytest.raises(RunError, match=r"checkpoint last\.ckpt is damaged: model\.scales of its configuration is"):
        check_scales("test", payload, "last.ckpt", (1.0,))


def test_a_run_goes_on_at_its_own_scales_alone(old_run, capsys):
    """The best score of an old run is one at a single scale, and today's configs/finetune.yaml has three."""
    last = old_run / "checkpoints/last.ckpt"
    before = last.read_bytes(), (old_run / "config.yaml").read_bytes()
    call = ["--config", str(old_run / "config.yaml"), "--ckpt_path", str(last), "--out", str(old_run)]
    with pytest.raises(SystemExit) as end:
        main(["fit", *call, "--model.scales=[1.0,0.5,0.25]", "--trainer.max_epochs=3", "--model.schedule=Constant"])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert "model.scales is [1.0, 0.5, 0.25], but the run began with [1.0], whose best score does not compare" in error
    assert (last.read_bytes(), (old_run / "config.yaml").read_bytes()) == before


def test_fit_resumes_an_old_run_to_the_same_weights(old_run, capsys):
    last = old_run / "checkpoints/last.ckpt"
    before = read_checkpoint(last)["state_dict"]
    assert main(["fit", "--config", str(old_run / "config.yaml"), "--ckpt_path", str(last), "--out", str(old_run)]) == 0
    assert "validated 2 times; nothing is left to do\n" in capsys.readouterr().out
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
