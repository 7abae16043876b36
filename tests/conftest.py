"""Fixtures of all tests: real images if they are present; W&B off, few threads."""

import ctypes
import gc
import multiprocessing
import os
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes share the cores
os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import pytest

# processes of tests that inherit nothing are forked from one that has imported these, which takes longer than their work
multiprocessing.set_forkserver_preload(
    ["cracklab.metrics.torchmetrics", "cracklab.data.datamodule", "lightning.pytorch"]
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Folder of the published data sets, each a folder by its name."""


def _real(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"the folder of {name} is missing: {folder}")
    return folder


@pytest.fixture(scope="session")
def deepcrack() -> Path:
    """The folder of DeepCrack as published."""
    return _real("DeepCrack")


@pytest.fixture(scope="session")
def camvid() -> Path:
    """The folder of CamVid, reduced to 240 x 180."""
    return _real("CamVid")


def pytest_collection_finish() -> None:
    """Take what the imports made out of every later search for garbage, which then takes 0.04 s instead of 0.7 s."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let libraries that report leaks at the end of a process see what is garbage."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def release_memory() -> Iterator[None]:
    """Free trainers and nets that refer to each other, which Python itself does by their number and not by their size."""
    yield
    if resident_bytes() > _kept[0] + 200e6:
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
        _kept[0] = resident_bytes()


_kept = [0.0]
"""Resident memory after the last release, bytes."""


def resident_bytes() -> int:
    """Return the resident memory of this process; 0 where the system does not tell."""
    file = Path("/proc/self/statm")
    return int(file.read_text().split()[1]) * resource.getpagesize() if file.exists() else 0


@pytest.fixture(autouse=True)
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no curves in a test, which takes as long as a tiny run; the run folders of fixtures have them."""
    if curves := sys.modules.get("cracklab.callbacks.curves"):
        monkeypatch.setattr(curves.Curves, "_draw", lambda *arguments: None)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a tiny quickstart with a small encoder, fitted and tested; read only."""
    from support import fit

    from cracklab.cli import main

    net = ["--model.net.encoder_name=tu-mobilenetv3_small_050", "--model.net.decoder_channels=[16,16,8,8,8]"]
    out = fit(tmp_path_factory.mktemp("runs") / "tiny", *net)
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
