"""Restoring checkpoints: hostile and unsuitable files are refused; provenance, scale and training images are known."""

import pickle
from dataclasses import replace

import pytest
import torch
import yaml
from predict_cases import exit_code, restore
from support import ROOT, TINY, fit

from cracklab import run_folder
from cracklab.cli import main
from cracklab.data.transform import EvalTransform
from cracklab.errors import RunError

TRUST = "--trust=support.TinyNet"


class Hostile:
    """An object that creates a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.fixture
def content(small_run):
    return torch.load(small_run / run_folder.BEST, weights_only=True)


def commands(checkpoint, folder):
    """Return a call of every command that takes a checkpoint."""
    quickstart = ["--config", str(ROOT / "configs" / "quickstart.yaml"), *TINY]
    return [
        ["predict", TRUST, "--ckpt_path", str(checkpoint), "--images", str(folder), "--out", str(folder / "out")],
        ["export", TRUST, "--ckpt_path", str(checkpoint), "--out", str(folder / "out")],
        ["test", *quickstart, "--ckpt_path", str(checkpoint), "--out", str(folder / "out")],
        ["validate", *quickstart, "--ckpt_path", str(checkpoint), "--out", str(folder / "out")],
        ["fit", *quickstart, "--ckpt_path", str(checkpoint), "--out", str(folder / "out")],
    ]


@pytest.mark.parametrize("how", ["torch", "pickle", "within"])
def test_a_hostile_file_is_refused_and_none_of_its_code_runs(tmp_path, capsys, content, how):
    marker, checkpoint = tmp_path / "marker", tmp_path / "hostile.ckpt"
    if how == "pickle":
        checkpoint.write_bytes(pickle.dumps(Hostile(marker)))
    else:
        torch.save(content | {"more": Hostile(marker)} if how == "within" else Hostile(marker), checkpoint)
    image = (ROOT / "tests" / "fixtures" / "release_0_1" / "wall.png").read_bytes()
    (tmp_path / "photo.png").write_bytes(image)
    for arguments in commands(checkpoint, tmp_path):
        assert exit_code(arguments) == 2, arguments[0]
        said = capsys.readouterr().err
        expected = "format of PyTorch before 1.6" if how == "pickle" else "needs unpickling, which could run code"
        assert expected in said, arguments[0]
        assert not marker.exists()
        assert not (tmp_path / "out").exists()
    torch.load(checkpoint, weights_only=False) if how != "pickle" else pickle.loads(checkpoint.read_bytes())
    assert marker.exists(), "the file is harmless, so the test could not fail"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: c["cracklab"].update(version="99.0.0"), r"written by cracklab 99\.0\.0, and this is .*: update"),
        (lambda c: c["cracklab"].update(config=""), "holds no configuration of cracklab"),
        (lambda c: c.pop("cracklab"), "was not written by cracklab"),
        (lambda c: c["state_dict"].pop("net.head.1.bias"), "does not fit the net .* TinyNet.*head.1.bias"),
        (lambda c: c.pop("state_dict"), "does not fit the net"),
        (
            lambda c: _in_config(c, "support.TinyNet", "elsewhere.Net"),
            "cannot be rebuilt here: the class elsewhere.Net is not one of the nets",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, content, change, expected):
    change(content)
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(RunError, match=expected):
        restore(tmp_path / "other.ckpt")


def _in_config(content, old, new):
    assert old in content["cracklab"]["config"]
    content["cracklab"]["config"] = content["cracklab"]["config"].replace(old, new)


@pytest.mark.parametrize("value", [[1, 2], torch.zeros(3), "text"])
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "other.ckpt")
    with pytest.raises(RunError, match=r"holds only a .*: give one that"):
        restore(tmp_path / "other.ckpt")


def test_loss_optimizer_and_schedule_need_not_be_installed(tmp_path, content):
    config = yaml.safe_load(content["cracklab"]["config"])
    config["model"] |= {
        "loss": {"class_path": "gone.Loss"},
        "optimizer": {"class_path": "gone.SGD"},
        "schedule": "gone.Steps",
    }
    content["cracklab"]["config"] = yaml.safe_dump(config)
    torch.save(content, tmp_path / "other.ckpt")
    assert restore(tmp_path / "other.ckpt").threshold == content["cracklab"]["threshold"]


def test_pretrained_weights_are_not_downloaded_again(tmp_path, tiny_run):
    """A checkpoint has its weights, so the net is rebuilt without those of a hub."""
    content = torch.load(tiny_run / run_folder.BEST, weights_only=True)
    _in_config(content, "encoder_weights: null", "encoder_weights: imagenet")
    torch.save(content, tmp_path / "pretrained.ckpt")
    assert restore(tmp_path / "pretrained.ckpt").net is not None


def test_the_provenance_of_a_checkpoint_names_version_epoch_and_data(small_run, content):
    restored = restore(small_run / run_folder.BEST)
    assert restored.provenance["cracklab"] == "0.1.0"
    assert restored.provenance["epoch"] == 0
    assert restored.provenance["data"] == {
        "layout": "synthetic",
        "images": {"train": 24, "val": 5, "test": 7},
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    assert len(restored.payload.data["seen"].split()) == 24


@pytest.mark.parametrize(
    ("crop", "resize", "kept", "expected"),
    [
        (384, 96, None, (0.25, 0.25)),
        (384, (96, 192), None, (0.25, 0.5)),
        (384, None, None, (1.0, 1.0)),
        (None, None, None, (1.0, 1.0)),
        (None, 96, [0.2, 0.3], (0.2, 0.3)),
    ],
)
def test_the_scale_is_that_of_the_training_images(small_run, crop, resize, kept, expected):
    restored = restore(small_run / run_folder.BEST)
    restored.transform = EvalTransform(crop, resize)
    restored.payload = replace(restored.payload, data={"scale": kept} if kept else {})
    assert restored.scale == pytest.approx(expected)


def test_an_unknown_scale_is_an_error(small_run):
    restored = restore(small_run / run_folder.BEST)
    restored.transform = EvalTransform(resize=96)
    with pytest.raises(RunError, match="does not keep the scale"):
        _ = restored.scale


def test_testing_on_training_images_is_refused(small_run, tmp_path, capsys):
    """A run may be tested on the fold that it held out; it was trained on the images of the other folds."""
    folds = ["--data.folds=3", "--data.pool=true", "--model.net=support.TinyNet", "--trainer.max_epochs=1"]
    out = fit(tmp_path / "fold", *folds, "--data.fold=0")
    test = [
        "test",
        "--config",
        str(out / "config.yaml"),
        "--ckpt_path",
        str(out / run_folder.BEST),
        "--out",
        str(tmp_path / "t"),
    ]
    assert main(test) == 0
    capsys.readouterr()
    assert exit_code([*test[:-1], str(tmp_path / "other"), "--data.fold=1"]) == 2
    said = capsys.readouterr().err
    assert "the checkpoint was trained on" in said
    assert "train-0000" in said
    assert not (tmp_path / "other" / "test_metrics.json").exists()


def test_resuming_with_other_images_is_refused(small_run, tmp_path, capsys):
    again = ["fit", "--config", str(small_run / "config.yaml"), "--ckpt_path", str(small_run / run_folder.LAST)]
    again += ["--trainer.max_epochs=2", "--out", str(tmp_path / "out")]
    assert exit_code([*again, "--data.layout.seed=7"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "24 of the 24 training images of this configuration are not among them" in said
