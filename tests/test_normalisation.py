"""Mean and standard deviation of the data: given, or those of the checkpoint that a run goes on or starts from."""

import warnings

import lightning.pytorch as pl
import pytest
import torch
import yaml
from support import ROOT, SMALLEST, TinyNet, fit

from cracklab import CrackDataModule, CrackModule, run_folder
from cracklab.data.layouts import LAYOUTS
from cracklab.data.transform import MEAN, STD
from cracklab.errors import RunError
from cracklab.predict.trained_model import restore
from cracklab.training.command import CrackCLI

OTHER = (0.5, 0.4, 0.3), (0.25, 0.2, 0.15)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A checkpoint whose run had another normalisation."""
    content = torch.load(ROOT / "tests/fixtures/release_0_1/run/checkpoints/last.ckpt", weights_only=True)
    config = yaml.safe_load(content["cracklab"]["config"])
    config["data"] |= {"mean": list(OTHER[0]), "std": list(OTHER[1])}
    content["cracklab"]["config"] = yaml.safe_dump(config)
    path = tmp_path_factory.mktemp("checkpoints") / "other.ckpt"
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def cli():
    """A command line of fit, whose parsers are built once."""
    return CrackCLI("fit", SMALLEST)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], (MEAN, STD)),
        (["--model.weights={other}"], OTHER),
        (["--ckpt_path={other}"], OTHER),
        (["--ckpt_path={other}", "--model.weights=gone.ckpt"], OTHER),
        (["--model.weights={other}", f"--data.mean={list(MEAN)}", f"--data.std={list(STD)}"], (MEAN, STD)),
        (["--model.weights={other}", f"--data.mean={list(MEAN)}"], (MEAN, OTHER[1])),
        (["--ckpt_path={other}", "--data.std=[1,1,1]"], (OTHER[0], (1, 1, 1))),
    ],
)
def test_a_given_normalisation_is_kept_and_a_missing_one_is_that_of_the_checkpoint(cli, other, more, expected):
    cli.build([*SMALLEST, *(argument.format(other=other) for argument in more)])
    config, transform = cli.config["fit"].data, cli.datamodule.transform
    assert (config.mean, config.std) == (transform.mean, transform.std) == expected


def test_a_test_takes_the_normalisation_of_its_checkpoint(other):
    transform = CrackCLI("test", [*SMALLEST, f"--ckpt_path={other}"]).datamodule.transform
    assert (transform.mean, transform.std) == OTHER


@pytest.fixture(scope="module")
def in_python(tmp_path_factory):
    """A checkpoint of a training in Python with another normalisation."""
    data = CrackDataModule(LAYOUTS["synthetic"](train=4, val=2, test=2, size=(32, 32)), mean=OTHER[0], std=OTHER[1])
    settings = {"enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0}
    trainer = pl.Trainer(max_steps=1, logger=False, enable_checkpointing=False, accelerator="cpu", **settings)
    trainer.fit(CrackModule(TinyNet(), "bce"), data)
    path = tmp_path_factory.mktemp("checkpoints") / "python.ckpt"
    trainer.save_checkpoint(path)
    return path


def test_the_normalisation_of_a_training_in_python_is_that_of_its_checkpoint(cli, in_python, tmp_path):
    """Predict refuses such a checkpoint, from which no net can be rebuilt."""
    cli.build([*SMALLEST, f"--model.weights={in_python}"])
    test = CrackCLI("test", [*SMALLEST, f"--ckpt_path={in_python}"])
    for transform in (cli.datamodule.transform, test.datamodule.transform):
        assert (transform.mean, transform.std) == OTHER
    with pytest.raises(RunError, match="holds no configuration of cracklab: train with `cracklab fit`"):
        restore(in_python)


def test_a_checkpoint_without_a_normalisation_is_a_warning(cli, in_python, tmp_path):
    """As trainings in Python kept none; not if both are given."""
    content = torch.load(in_python, weights_only=True)
    content["cracklab"]["data"] = "{}"
    torch.save(content, path := tmp_path / "old.ckpt")
    call = [*SMALLEST, f"--model.weights={path}"]
    with pytest.warns(
        UserWarning, match=r"old\.ckpt does not keep how its images were normalised: data\.mean and data\.std"
    ):
        cli.build(call)
    assert cli.datamodule.transform.mean == MEAN
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*does not keep how")
        cli.build([*call, f"--data.mean={list(MEAN)}", f"--data.std={list(STD)}"])


def test_a_run_that_started_from_weights_goes_on_by_the_same_arguments(other, tmp_path):
    """As the runs of a kfold that was killed."""
    net = ["--model.net=cracklab.models.UNet", "--model.net.widths=[4,8]", "--model.schedule=Constant"]
    call = [*net, f"--model.weights={other}", "--data.layout.train=8", "--data.layout.size=[32,32]"]
    out = fit(tmp_path / "run", *call, "--trainer.max_epochs=1")
    assert yaml.safe_load((out / run_folder.CONFIG).read_text())["data"]["mean"] == list(OTHER[0])
    fit(out, *call, f"--ckpt_path={out / run_folder.LAST}", "--trainer.max_epochs=2")
    content = torch.load(out / run_folder.LAST, weights_only=True)
    assert content["epoch"] == 1
    assert yaml.safe_load(content["cracklab"]["config"])["data"]["std"] == list(OTHER[1])
