"""The first day of two users, walked from the outside in the shell: an inspector with forty photos, a student with parts of her own.

DAY_ONE=DIR uv run pytest -n 0 -m slow tests/test_day_one.py     # keeps everything in DIR, to look at the pictures
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from support import ROOT

from cracklab.synthetic.draw import draw

pytestmark = pytest.mark.slow  # two trainings, and each command imports for seconds
BASE = ["--config", "cracklab:base"]


def shell(folder: Path, *arguments: str) -> str:
    """Run the command `cracklab` in a folder as a user does; return what it printed."""
    command = Path(sys.executable).with_name("cracklab")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {
        "PYTHONPATH": str(ROOT),
        "WANDB_MODE": "offline",
    }
    done = subprocess.run([str(command), *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with forty labelled photos of 480 x 320 px, and three larger photos of walls."""
    folder = Path(os.environ["DAY_ONE"]) if "DAY_ONE" in os.environ else tmp_path_factory.mktemp("day_one")
    for name in ("walls/images", "walls/masks", "phone"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i in range(40):
        photo, mask = draw(i, (320, 480))
        cv2.imwrite(str(folder / f"walls/images/wall_{i:02d}.jpg"), photo[..., ::-1])
        cv2.imwrite(str(folder / f"walls/masks/wall_{i:02d}.png"), (mask > 0).astype(np.uint8) * 255)
    for i in range(3):
        cv2.imwrite(str(folder / f"phone/{i:03d}.jpg"), draw(100 + i, (900, 1200))[0][..., ::-1])
    return folder


def test_an_inspector_gets_masks_a_plan_a_net_and_tables(home):
    data = ["--data.layout", "folders", "--data.root", "walls"]
    said = shell(home, "check", *BASE, *data, "--out", "check")
    plan = re.search(
        r"plan: (\d+) training images of 480 x 320 px, random crops of 256 px, batches of 8\n  ([\d,]+) steps", said
    )
    assert plan
    assert int(plan[2].replace(",", "")) >= 1500
    assert "to compare runs by: `cracklab kfold` tests on every image" in said

    shell(
        home, "predict", "--images", "phone", "--out", "masks", "--device", "cpu"
    )  # the model that ships, without a label
    tables = ["--mm-per-px", "0.5", "--min-length-mm", "20", "--figures", "png", "--out", "tables"]
    shell(home, "measure", "masks", "--photos", "phone", *tables)
    rows = pd.read_csv(home / "tables/photos.csv", dtype=str)
    assert set(rows.iloc[:, 0]) == {"000", "001", "002"}
    assert (home / "tables/measurements.xlsx").is_file()
    assert len(list((home / "tables").rglob("*_figure.png"))) >= 1

    short = ["--trainer.max_steps", "12", "--trainer.accelerator", "cpu", "--data.num_workers", "0"]
    said = shell(home, "fit", *BASE, "--config", "cracklab:finetune", *data, *short, "--out", "run")
    assert "only 12 steps:" in said
    said = shell(home, "test", "--config", "run/config.yaml", "--ckpt_path", "run/checkpoints/best.ckpt")
    assert re.search(r"IoU +0\.\d{4} .*\n.*Dice", said)
    shell(
        home,
        "predict",
        "--ckpt_path",
        "run/checkpoints/best.ckpt",
        "--images",
        "phone",
        "--out",
        "own",
        "--device",
        "cpu",
    )
    found = [cv2.imread(str(home / folder / "001.png"), 0) > 0 for folder in ("masks", "own")]
    assert (found[0] & found[1]).sum() / (
        found[0] | found[1]
    ).sum() > 0.3  # twelve steps do not turn the net into another


PARTS = '''
import lightning.pytorch as pl
from torch import nn

from cracklab.losses import LOSSES, Loss


@LOSSES.register("my_far")
class MyFar(Loss):
    """Mean squared error."""

    def compute(self, logits, mask, maps, valid):
        return (logits.sigmoid() - mask).square().mean()


class Net(nn.Sequential):
    def __init__(self, in_channels: int = 3, classes: int = 1) -> None:
        super().__init__(nn.Conv2d(in_channels, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, classes, 1))
'''


def test_a_student_trains_her_own_loss_and_net_in_folds(home):
    (home / "my_net.py").write_text(PARTS)
    own = ["--model.net", "my_net.Net", "--model.loss", "my_far", "--import", "my_net.py"]
    data = ["--data.layout", "folders", "--data.root", "walls", "--data.crop", "128", "--data.num_workers", "1"]
    short = ["--trainer.max_steps", "3", "--trainer.accelerator", "cpu"]
    kept = home / "folds.yaml"
    kept.write_text("name: folds\n")
    shell(home, "kfold", *BASE, "--config", str(kept), *own, *data, *short, "--folds", "2", "--out", "folds")
    results = json.loads((home / "folds/summary.json").read_text())
    assert results
    best = "folds/fold_1/checkpoints/best.ckpt"
    shell(
        home,
        "predict",
        "--ckpt_path",
        best,
        "--import",
        "my_net.py",
        "--images",
        "phone/001.jpg",
        "--out",
        "hers",
        "--device",
        "cpu",
    )
    assert cv2.imread(str(home / "hers/001.png"), 0).shape == (900, 1200)
