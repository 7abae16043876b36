"""Fixtures of all tests: real images if they are present; W&B off, few threads."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes share the cores
os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def _real(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not at ../shared/data/{name}")
    return folder


@pytest.fixture(scope="session")
def deepcrack() -> Path:
    """The folder of DeepCrack as published."""
    return _real("DeepCrack")


@pytest.fixture(scope="session")
def camvid() -> Path:
    """The folder of CamVid, reduced to 240 x 180."""
    return _real("CamVid")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a tiny quickstart, fitted and tested; read only."""
    from support import fit

    from cracklab.cli import main

    out = fit(tmp_path_factory.mktemp("runs") / "tiny")
    assert main(["test", "--config", str(out / "config.yaml"), "--ckpt_path", str(out / "checkpoints/best.ckpt")]) == 0
    return out
