"""Two processes: training in bf16, metrics that count each image once, and a stop of both."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import pytest

from cracklab import run_folder
from cracklab.cli import main

ROOT = Path(__file__).resolve().parents[1]
SMALL = [
    "--data.resize=48",  # so that the files have another size
    "--data.layout.train=16",
    "--data.layout.val=5",
    "--data.layout.test=7",
    "--data.layout.size=[64,64]",
    "--data.batch_size=4",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.accelerator=cpu",
    "--trainer.precision=bf16-mixed",
    "--model.net=support.TinyNet",
]
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]


def started(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a real process, since Lightning starts the command line again for the second one."""
    environment = os.environ | {
        "WANDB_MODE": "disabled",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
    }
    call = [sys.executable, "-m", "cracklab", *arguments]
    return subprocess.run(call, env=environment, capture_output=True, text=True, timeout=300, **options)


def cracklab(*arguments: str) -> None:
    """Run the command, which has to end well."""
    done = started(*arguments)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow  # five starts of a process; the evaluator and the metric classes have faster tests with two processes
def test_two_processes_score_an_odd_number_of_images_like_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quickstart = str(ROOT / "configs" / "quickstart.yaml")
    cracklab("fit", "--config", quickstart, *SMALL, *TWO, "--trainer.max_epochs=2", "--name=two")
    out = tmp_path / "runs" / "two" / "0"  # chosen by the first process, known to both
    assert sorted(folder.name for folder in (tmp_path / "runs" / "two").iterdir()) == ["0"]
    test = ["test", "--config", str(out / run_folder.CONFIG), "--ckpt_path", str(out / run_folder.BEST)]
    cracklab(*test, "--out", str(tmp_path / "by two"))
    assert main([*test, "--out", str(tmp_path / "by one"), "--trainer.devices=1", "--trainer.strategy=auto"]) == 0
    two, one = (json.loads((tmp_path / name / run_folder.TEST_METRICS).read_text()) for name in ("by two", "by one"))
    assert two.keys() == one.keys()
    assert two == pytest.approx(one, abs=1e-6)
    assert one["native/crack_share"] != pytest.approx(one["test/crack_share"], rel=1e-3)
    for table in (run_folder.PER_IMAGE, run_folder.PER_IMAGE_NATIVE):
        assert len((tmp_path / "by two" / table).read_text().splitlines()) == 1 + 7


class SlowSecond(pl.Callback):
    """Lets the first process wait for the gradients of the second; the first one stops the group in its fourth step."""

    def on_before_backward(self, trainer, module, loss):
        if trainer.global_rank == 1:
            time.sleep(0.2)
        elif trainer.global_step == 3:
            threading.Timer(0.1, os.killpg, (os.getpgrp(), signal.SIGTERM)).start()


@pytest.mark.slow  # starts of processes
def test_sigterm_to_both_processes_ends_both(tmp_path):
    """The first one waits for gradients at that moment: news of the signal must not be exchanged before these."""
    arguments = [*SMALL, *TWO, "--data.batch_size=2", f"--trainer.callbacks={__name__}.SlowSecond"]
    call = ["fit", "--config", str(ROOT / "configs" / "quickstart.yaml"), *arguments, f"--out={tmp_path / 'run'}"]
    ended = started(*call, start_new_session=True)
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr[-3000:]
    assert ended.stderr.rstrip().splitlines()[-1].startswith("stopped: ")  # in the first epoch or after it


@pytest.mark.slow  # starts of processes
@pytest.mark.parametrize("validated", [["--trainer.val_check_interval=2"], []], ids=["within epochs", "at their ends"])
def test_two_processes_end_in_a_partial_epoch(tmp_path, validated):
    """With 4 batches an epoch and 6 steps; neither process waits for means that the other does not reduce."""
    out = tmp_path / "run"
    arguments = [*SMALL, *TWO, *validated, "--data.batch_size=2", "--trainer.max_steps=6", "--trainer.max_epochs=5"]
    cracklab("fit", "--config", str(ROOT / "configs" / "quickstart.yaml"), *arguments, "--out", str(out))
    table = pd.read_csv(out / run_folder.METRICS)
    assert table["step"].tolist() == [4, 6]
    assert table["val/iou"].notna().tolist() == [True, bool(validated)]
