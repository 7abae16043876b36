"""Resuming around validations: killed before, during and after one, and in epochs without one."""

import csv
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from support import SMALLEST

from cracklab import run_folder
from cracklab.cli import main

BATCHES = 3
CALL = ["fit", *SMALLEST, "--data.layout.train=12", "--panels.images=0", "--model.schedule=Constant"]
COPIES = f"--trainer.callbacks={__name__}.Copies"
NO_SECOND = ["--early_stopping.min_delta=1"]
"""No validation after the first is an improvement."""


class Copies(pl.Callback):
    """Copies the run folder at each hook, as a kill would leave it: RUN_HOOK_BATCHES, the number of all batches so far."""

    def copy(self, trainer: pl.Trainer, hook: str) -> None:
        run, batches = Path(trainer.default_root_dir), trainer.fit_loop.epoch_loop.total_batch_idx + 1
        if not trainer.sanity_checking:
            shutil.copytree(run, run.with_name(f"{run.name}_{hook}_{batches}"), dirs_exist_ok=True)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.copy(trainer, "epoch")

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.copy(trainer, "batch")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.copy(trainer, "validation")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.copy(trainer, "end")


class Saves(pl.Callback):
    """Lists the number of batches of the epoch at each write of a checkpoint."""

    batches: list[int] = []  # noqa: RUF012 - one list for the test

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self.batches.append(trainer.fit_loop.epoch_loop.batch_idx + 1)


def rows(run: Path) -> list[dict[str, str]]:
    """Return the rows of epochs without their duration and means over batches, which lack those before a resume."""
    kept = csv.DictReader((run / run_folder.METRICS).open())
    return [{k: v for k, v in row.items() if k != "seconds" and not k.startswith("train/")} for row in kept]


def checkpoint(run: Path, name: str = run_folder.LAST) -> dict[str, Any]:
    return torch.load(run / name, weights_only=True)


def assert_same(one: Path, other: Path) -> None:
    """Compare weights and steps of both checkpoints, what early stopping counted, and the table."""
    for name in (run_folder.LAST, run_folder.BEST):
        first, second = checkpoint(one, name), checkpoint(other, name)
        assert (first["epoch"], first["global_step"]) == (second["epoch"], second["global_step"])
        assert all(torch.equal(value, second["state_dict"][key]) for key, value in first["state_dict"].items())
    assert stopping(one) == stopping(other)
    assert rows(one) == rows(other)


def stopping(run: Path) -> list[dict[str, Any]]:
    return [state for name, state in checkpoint(run)["callbacks"].items() if name.startswith("EarlyStopping")]


def resume(run: Path, *more: str, name: str = run_folder.LAST) -> Path:
    assert main([*CALL, *more, "--out", str(run), "--ckpt_path", str(run / name)]) == 0
    return run


def whole(tmp_path: Path, *more: str) -> Path:
    assert main([*CALL, *more, COPIES, "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("more", "waits"),
    [
        (NO_SECOND, [0]),
        ([*NO_SECOND, "--early_stopping.check_on_train_epoch_end=true", "--trainer.val_check_interval=2"], [0]),
        (["--early_stopping.monitor=train/loss", "--trainer.val_check_interval=2"], [1]),
    ],
    ids=["score", "at the end of epochs", "train"],
)
def test_a_partial_last_epoch_without_validation_is_no_failed_one(tmp_path, more, waits):
    """`train/loss` has a value there, and falls, which is no improvement for `early_stopping.mode: max`."""
    steps = [*more, f"--trainer.max_steps={BATCHES + 1}", "--trainer.max_epochs=-1"]
    run = whole(tmp_path, *steps)
    cut = resume(tmp_path / f"run_epoch_{BATCHES}", *steps)
    assert_same(run, cut)
    assert [state["wait_count"] for state in stopping(run)] == waits
    assert [row["step"] for row in rows(cut)] == [f"{BATCHES}", f"{BATCHES + 1}"]


def test_early_stopping_of_the_configuration_and_one_given_beside_it_count_the_same(tmp_path):
    given = ["EarlyStopping", "--trainer.callbacks.monitor=val/loss", "--trainer.callbacks.min_delta=1"]
    steps = [*NO_SECOND, f"--trainer.max_steps={2 * BATCHES + 1}", "--trainer.max_epochs=-1"]
    call = [*steps, f"--trainer.callbacks={given[0]}", *given[1:], f"--trainer.callbacks+={__name__}.Copies"]
    assert main([*CALL, *call, "--out", str(tmp_path / "run")]) == 0
    cut = resume(tmp_path / f"run_epoch_{2 * BATCHES}", *call)
    assert_same(tmp_path / "run", cut)
    assert [state["wait_count"] for state in stopping(cut)] == [1, 1]


@pytest.mark.parametrize("killed", ["validation_2", "batch_3"])
def test_no_validation_is_lost_within_an_epoch(tmp_path, killed):
    """The first validation is the best, since all are equal; the table has its scores at the end of the epoch."""
    every = ["--trainer.val_check_interval=2", "--checkpoint.every_n_steps=1", "--checkpoint.monitor=val/images"]
    run = whole(tmp_path, *every, "--early_stopping.check_on_train_epoch_end=true")
    cut = tmp_path / f"run_{killed}"
    assert checkpoint(cut)["global_step"] == {"validation_2": 1, "batch_3": 2}[killed]
    assert_same(run, resume(cut, *every, "--early_stopping.check_on_train_epoch_end=true"))
    assert checkpoint(run, run_folder.BEST)["global_step"] == 2


@pytest.mark.parametrize(
    "more",
    [
        [f"--trainer.max_steps={BATCHES + 2}", "--trainer.max_epochs=-1"],
        [*NO_SECOND, "--early_stopping.patience=1", "--trainer.val_check_interval=2"],
    ],
    ids=["steps", "early stopping"],
)
def test_a_run_killed_before_the_table_of_its_last_epoch_writes_it_when_it_resumes(tmp_path, more):
    run = whole(tmp_path, *more, "--checkpoint.every_n_steps=1")
    last = checkpoint(run)["global_step"]
    assert_same(run, resume(tmp_path / f"run_end_{last}", *more, "--checkpoint.every_n_steps=1"))
    assert int(rows(run)[-1]["step"]) == last == BATCHES + 2


@pytest.mark.parametrize(
    "averaging",
    [["EMAWeightAveraging", "decay=0.5"], ["StochasticWeightAveraging", "swa_lrs=0.01", "swa_epoch_start=1"]],
)
@pytest.mark.parametrize("schedule", ["Constant", "OneCycle"])
def test_averages_of_weights_go_on_within_an_epoch(tmp_path, averaging, schedule):
    """Averages over epochs have a learning rate of their own, and a last epoch for the statistics of batch normalisation.

    The run goes on with its own config.yaml, as the message of a stopped run says.
    """
    name, *options = averaging
    call = ["--checkpoint.every_n_steps=1", f"--model.schedule={schedule}"]
    call += [f"--trainer.callbacks=lightning.pytorch.callbacks.{name}"]
    call += [f"--trainer.callbacks.{option}" for option in options]
    run, copies = tmp_path / "run", COPIES.replace("callbacks=", "callbacks+=")
    assert main([*CALL, *call, copies, "--out", str(run)]) == 0
    cut = tmp_path / f"run_batch_{BATCHES + 2}"
    assert checkpoint(cut)["global_step"] == BATCHES + 1
    assert main(["fit", f"--config={cut / run_folder.CONFIG}", "--ckpt_path=last", f"--out={cut}"]) == 0
    assert_same(run, cut)


@pytest.mark.parametrize(("every", "accumulated"), [(5, 3), (2, 3), (3, 1)])
def test_every_n_steps_is_the_first_end_of_a_step_at_or_after_each_multiple(tmp_path, every, accumulated):
    Saves.batches.clear()
    call = ["--data.layout.train=56", "--trainer.max_epochs=1", "--trainer.limit_val_batches=0"]
    call += [f"--checkpoint.every_n_steps={every}", f"--trainer.accumulate_grad_batches={accumulated}"]
    assert main([*CALL, *call, f"--trainer.callbacks={__name__}.Saves", "--out", str(tmp_path / "run")]) == 0
    ends = {min(n for n in (*range(accumulated, 14, accumulated), 14) if n >= m) for m in range(every, 14, every)}
    assert Saves.batches == sorted({*ends, 14})


def test_a_checkpoint_between_the_batches_of_a_step_is_a_result_and_not_resumed_from(tmp_path, capsys):
    """The validation after the first of two batches is the best, since all are equal."""
    call = ["--trainer.accumulate_grad_batches=2", "--trainer.val_check_interval=1", "--checkpoint.monitor=val/images"]
    run = whole(tmp_path, *call)
    assert checkpoint(run, run_folder.BEST)["global_step"] == 0
    with pytest.raises(SystemExit):
        resume(run, *call, name=run_folder.BEST)
    said = capsys.readouterr().err
    last = f"resume with --ckpt_path {run / run_folder.LAST}, or start"
    assert f"was written between the batches of one step, without their gradients: {last}" in said
    alone = shutil.copy(run / run_folder.BEST, tmp_path / "last.ckpt")
    with pytest.raises(SystemExit):
        resume(tmp_path, *call, name=alone.name)
    assert f"without their gradients: start a new run with --model.weights {alone}" in capsys.readouterr().err
    assert_same(run, resume(tmp_path / f"run_batch_{BATCHES + 1}", *call))
