"""Fixtures of all tests: real images if they are present; W&B off, few threads."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium that keeps what pages log and request."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="selenium is not installed: CONTRIBUTING.md has the command"
    )
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not installed: CONTRIBUTING.md has the command")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()
