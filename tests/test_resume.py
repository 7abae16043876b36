"""Exact resume: a killed and resumed run ends in the weights of the uninterrupted one, bit for bit."""

import csv
import json
import signal
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from support import run_process

from cracklab import run_folder
from cracklab.callbacks.resume import ENTRY, ExactResume
from cracklab.checkpoint import read_checkpoint
from cracklab.cli import main
from cracklab.errors import RunError
from cracklab.training.resume import check_entry

ROOT = Path(__file__).resolve().parents[1]
SMALL = [
    "fit",
    f"--config={ROOT / 'configs' / 'quickstart.yaml'}",
    "--data.layout.train=40",
    "--data.layout.val=4",
    "--data.layout.test=4",
    "--data.layout.size=[64,64]",
    "--data.batch_size=8",
    "--model.net=support.TinyNet",
    "--trainer.max_epochs=3",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.accelerator=cpu",
    "--checkpoint.every_n_steps=2",
    "--panels.images=0",
]


def killed(out: Path, epoch: int, batch: int, *more: str) -> None:
    """Start a real process that dies by SIGKILL after a batch."""
    kill = [
        "--trainer.callbacks=support.KillAt",
        f"--trainer.callbacks.epoch={epoch}",
        f"--trainer.callbacks.batch={batch}",
    ]
    assert run_process([*SMALL, *more, *kill, "--out", str(out)]) == -signal.SIGKILL


def weights(out: Path, steps: int = 15) -> dict[str, torch.Tensor]:
    content = torch.load(out / run_folder.LAST, weights_only=True)
    assert content["global_step"] == steps
    state = {f"net/{name}": value for name, value in content["state_dict"].items()}
    for index, moments in content["optimizer_states"][0]["state"].items():
        state |= {f"optimizer/{index}/{name}": value for name, value in moments.items()}
    return state


def assert_equal(one: Path, other: Path, steps: int = 15) -> None:
    first, second = weights(one, steps), weights(other, steps)
    assert first.keys() == second.keys()
    assert not [name for name in first if not torch.equal(first[name], second[name])]


@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_a_run_killed_within_an_epoch_resumes_bit_equal(tmp_path, workers):
    """Dropout on the device and flips in the workers both continue as in the uninterrupted run."""
    more = [f"--data.num_workers={workers}"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main([*SMALL, *more, "--out", str(whole)]) == 0
    killed(cut, 1, 3, *more)
    assert (
        torch.load(cut / run_folder.LAST, weights_only=True)["global_step"] == 5 + 2
    )  # died before the next was written
    assert main([*SMALL, *more, "--out", str(cut), "--ckpt_path", str(cut / run_folder.LAST)]) == 0
    assert_equal(whole, cut)
    assert [row["epoch"] for row in csv.DictReader((cut / run_folder.METRICS).open())] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "length",
    [pytest.param([], marks=pytest.mark.slow), ["--trainer.max_epochs=null", "--trainer.max_steps=15"]],
    ids=["epochs", "steps"],
)
def test_a_run_resumed_from_an_epoch_end_is_bit_equal(tmp_path, length):
    """Killed before the first checkpoint of an epoch, the run resumes from the end of the previous epoch."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    more = ["--checkpoint.every_n_steps=null", *length]
    assert main([*SMALL, *more, "--out", str(whole)]) == 0
    killed(cut, 2, 0, *more)
    assert torch.load(cut / run_folder.LAST, weights_only=True)["global_step"] == 10
    assert main([*SMALL, *more, "--out", str(cut), "--ckpt_path", str(cut / run_folder.LAST)]) == 0
    assert_equal(whole, cut)
    tables = [list(csv.DictReader((folder / run_folder.METRICS).open())) for folder in (whole, cut)]
    for one, other in zip(*tables, strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}
        assert 0 <= float(other["seconds"]) < 100


@pytest.mark.slow
def test_a_run_killed_between_the_batches_of_a_step_resumes_bit_equal(tmp_path):
    """Gradients that are still accumulated are in no checkpoint, so none is written there."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    more = ["--trainer.accumulate_grad_batches=2", "--checkpoint.every_n_steps=1", "--data.batch_size=4"]
    assert main([*SMALL, *more, "--out", str(whole)]) == 0
    killed(cut, 1, 5, *more)
    assert torch.load(cut / run_folder.LAST, weights_only=True)["global_step"] == 5 + 2
    assert main([*SMALL, *more, "--out", str(cut), "--ckpt_path", str(cut / run_folder.LAST)]) == 0
    assert_equal(whole, cut)
    last = list(csv.DictReader((cut / run_folder.METRICS).open()))[1]
    assert 0 <= float(last["seconds"]) < 100  # Lightning starts no epoch where it resumes within one


def test_a_run_resumes_with_its_own_samples_alone(tmp_path, capsys):
    out = tmp_path / "run"
    first = [*SMALL, "--trainer.max_epochs=1", "--model.schedule=Constant", "--seed_everything=true", "--out", str(out)]
    assert main(first) == 0
    resumed = [*first, "--ckpt_path", str(out / run_folder.LAST)]
    with pytest.raises(SystemExit):
        main([*resumed, "--trainer.max_epochs=2", "--data.batch_size=4"])
    assert "data.batch_size is 4, but the run began with 8: leave it as in RUN/config.yaml" in capsys.readouterr().err
    assert main([*resumed, "--trainer.max_epochs=2"]) == 0  # with the seed that it drew at first
    assert torch.load(out / run_folder.LAST, weights_only=True)["global_step"] == 10


OLD = ROOT / "tests" / "fixtures" / "release_0_1" / "run"
VALIDATION = {"scores": {"val/iou": 0.5}, "threshold": 0.5, "complete": True}


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ([1], "cracklab_resume is a list"),
        ({"within_step": "x"}, "within_step is 'x'"),
        ({"within_step": -1}, "within_step is -1"),
        ({"within_step": 4}, "within_step is 4"),  # of an epoch of three batches
        ({"validation": None}, "validation is None"),
        ({"validation": VALIDATION | {"scores": None}}, "validation.scores is None"),
        ({"validation": VALIDATION | {"scores": {"val/iou": "x"}}}, "scores.val/iou is 'x'"),
        ({"validation": VALIDATION | {"threshold": 2.0}}, "threshold is 2.0"),
        ({"validation": VALIDATION | {"complete": 3}}, "complete is 3"),
    ],
)
def test_a_damaged_entry_for_resumed_runs_is_named(entry, named):
    content = read_checkpoint(OLD / run_folder.BEST)
    check_entry(content, "old.ckpt")
    check_entry(content | {ENTRY: {"within_step": False, "validation": VALIDATION}}, "own.ckpt")
    with pytest.raises(RunError, match="is damaged") as error:
        check_entry(content | {ENTRY: entry}, "own.ckpt")
    assert named in str(error.value)


def test_a_damaged_entry_for_resumed_runs_is_refused_before_anything_is_written(tmp_path, capsys):
    torch.save(read_checkpoint(OLD / run_folder.BEST) | {ENTRY: {"validation": 3}}, tmp_path / "own.ckpt")
    call = ["fit", f"--config={OLD / run_folder.CONFIG}", f"--ckpt_path={tmp_path / 'own.ckpt'}"]
    with pytest.raises(SystemExit):
        main([*call, "--trainer.max_epochs=3", f"--out={tmp_path / 'run'}"])
    assert "cracklab_resume.validation is 3" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("patience", "waited", "stops"), [(0, 0, False), (0, 1, True), (2, 1, False), (2, 2, True)])
def test_a_run_that_early_stopping_has_ended_stays_ended(patience, waited, stops):
    stopping = EarlyStopping("val/iou", patience=patience)
    stopping.wait_count = waited
    trainer = pl.Trainer(callbacks=[stopping], logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.ckpt_path = "last.ckpt"
    ExactResume().on_train_start(trainer, pl.LightningModule())
    assert trainer.should_stop is stops


def test_a_finished_run_resumes_with_more_epochs(tmp_path):
    out = tmp_path / "run"
    assert main([*SMALL, "--trainer.max_epochs=2", "--model.schedule=Constant", "--out", str(out)]) == 0
    assert (
        main([*SMALL, "--model.schedule=Constant", "--out", str(out), "--ckpt_path", str(out / run_folder.LAST)]) == 0
    )
    whole = tmp_path / "whole"
    assert main([*SMALL, "--model.schedule=Constant", "--out", str(whole)]) == 0
    assert_equal(whole, out)


def planned(out: Path) -> set[str]:
    return set(json.loads((out / run_folder.ENVIRONMENT).read_text())["planned"])


@pytest.mark.slow
def test_a_run_resumed_with_its_own_config_still_tells_what_followed_from_the_data(tmp_path):
    """Early stopping has ended it after two epochs of one batch."""
    out, other = tmp_path / "run", tmp_path / "other"
    auto = [
        "--data.layout.size=[32,32]",
        "--data.layout.train=12",
        "--data.batch_size=auto",
        "--trainer.max_epochs=null",
        "--trainer.limit_train_batches=1",
    ]
    ends = ["--model.schedule=Constant", "--early_stopping.patience=1", "--early_stopping.min_delta=1"]
    assert main([*SMALL, *auto, *ends, f"--out={out}"]) == 0
    chosen = planned(out)
    assert {"data.batch_size", "trainer.max_epochs"} <= chosen
    resumed = ["fit", f"--config={out / run_folder.CONFIG}", f"--ckpt_path={out / run_folder.LAST}"]
    assert main([*resumed, f"--out={out}"]) == 0
    assert planned(out) == chosen
    assert main([*resumed, f"--out={other}", "--trainer.max_epochs=9"]) == 0
    assert planned(other) == chosen - {"trainer.max_epochs"}
