"""A loss of a third-party package is found by name; a name that is taken is an error."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from support import QUICKSTART, TINY

PARSE = """
import torch
from jsonargparse import ArgumentParser
from cracklab.losses import LOSSES, Loss
LOSSES.fill()
parser = ArgumentParser()
parser.add_argument("--loss", type=Loss)
loss = parser.instantiate(parser.parse_args(["--loss", "shy", "--loss.scale", "3"])).loss
print(loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).item())
"""


def install(source: Path, target: Path) -> None:
    """Install a package without a network, by pip, or by uv if there is no pip."""
    by_pip = [sys.executable, "-m", "pip", "install", "-q"]
    if subprocess.run([*by_pip[:3], "--version"], capture_output=True).returncode:
        uv = shutil.which("uv")
        if uv is None:
            pytest.skip("neither pip nor uv is installed")
        by_pip = [uv, "pip", "install", "-q", "--python", sys.executable]
    options = ["--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*by_pip, *options, str(source)], check=True, capture_output=True)


def python(target: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(target)}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)


@pytest.fixture
def source(tmp_path):
    return shutil.copytree(Path(__file__).parent / "thirdparty", tmp_path / "source")


@pytest.mark.slow
def test_an_installed_loss_is_listed_examined_and_parsed(source, tmp_path):
    install(source, tmp_path / "site")
    listed = python(tmp_path / "site", "-m", "cracklab", "losses", "shy").stdout
    assert listed == "shy: Mean of (p - y)^2.\n    scale=1.0\n"
    examined = python(tmp_path / "site", "-m", "cracklab", "losses", "--health", "shy", "bce").stdout
    assert [line.split()[0] for line in examined.splitlines()[:3]] == ["loss", "shy", "bce"]
    assert float(python(tmp_path / "site", "-c", PARSE).stdout) == pytest.approx(0.75)


@pytest.mark.slow
def test_an_installed_loss_is_in_the_help_and_trains(source, tmp_path):
    install(source, tmp_path / "site")
    text = python(tmp_path / "site", "-m", "cracklab", "fit", "--help").stdout
    assert re.search(r"--model\.loss LOSS .*? registered: [^)]*\bshy\b", text, re.DOTALL)
    tiny = [*TINY, "--model.loss", "shy", "--model.loss.scale", "3", "--out", str(tmp_path / "run")]
    trained = python(tmp_path / "site", "-m", "cracklab", "fit", "--config", str(QUICKSTART), *tiny)
    assert trained.returncode == 0, trained.stderr
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["model"]["loss"]["init_args"] == {"scale": 3.0}
    losses = pd.read_csv(tmp_path / "run/metrics.csv")["train/loss"]
    assert losses.iloc[-1] < losses.iloc[0]


@pytest.mark.slow
def test_a_name_that_is_taken_is_an_error(source, tmp_path):
    module = source / "cracklab_shy.py"
    module.write_text(module.read_text().replace('@register("shy")', '@register("dice")'))
    install(source, tmp_path / "site")
    result = python(tmp_path / "site", "-m", "cracklab", "losses")
    assert result.returncode == 2
    assert "loss 'dice' is registered twice, by cracklab.losses.region.Dice and cracklab_shy.Shy" in result.stderr
