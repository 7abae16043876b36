"""Mean and standard deviation of the data: given, or those of the checkpoint that a run goes on or starts from."""

import pytest
import torch
import yaml
from support import ROOT, SMALLEST, fit

from cracklab import run_folder
from cracklab.data.transform import MEAN, STD
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
