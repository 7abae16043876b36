"""Resuming a run that has ended or was stopped, or that was killed between two files of its last epoch."""

import csv
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from support import At, fit

from cracklab import run_folder
from cracklab.cli import main

SMALL = ["--model.net=support.TinyNet", "--data.layout.size=[32,32]", "--panels.images=0", "--model.schedule=Constant"]


STEPS = ["--data.layout.train=12", "--data.layout.val=2", "--data.layout.test=2", "--data.batch_size=1"]
"""12 batches an epoch."""


class StopAt(At):
    """Stops the training, as Lightning's Timer does."""

    def act(self, trainer: Any, pl_module: Any) -> None:
        trainer.should_stop = True


def trained(out: Path) -> list[torch.Tensor]:
    """Return what the optimizer has changed: parameters and its moments; statistics of batch normalisation see batches twice."""
    content = torch.load(out / run_folder.LAST, weights_only=True)
    state = content["optimizer_states"][0]["state"]
    moments = [value for one in state.values() for value in one.values()]
    return [
        value for name, value in content["state_dict"].items() if "running" not in name and "num_" not in name
    ] + moments


def epochs(out: Path) -> list[str]:
    return [row["epoch"] for row in csv.DictReader((out / run_folder.METRICS).open())]


def test_resuming_a_run_that_early_stopping_ended_trains_no_further(tmp_path, capsys):
    """A run killed after its last checkpoint, before fit returned, ends as the uninterrupted one without another epoch."""
    call = [*SMALL, "--trainer.max_epochs=6", "--early_stopping.patience=1", "--early_stopping.min_delta=1"]
    out = fit(tmp_path / "run", *call)
    assert epochs(out) == ["0", "1"]
    weights = torch.load(out / run_folder.LAST, weights_only=True)["state_dict"]
    capsys.readouterr()
    fit(out, *call, "--ckpt_path", str(out / run_folder.LAST))
    assert "  18 steps in 6 epochs, validated 6 times; nothing is left to do\n" in capsys.readouterr().out
    assert epochs(out) == ["0", "1"]
    again = torch.load(out / run_folder.LAST, weights_only=True)["state_dict"]
    assert all(torch.equal(weights[name], again[name]) for name in weights)


@pytest.mark.parametrize(("accumulated", "workers"), [pytest.param(1, 1, marks=pytest.mark.slow), (4, 0)])
def test_a_run_that_was_stopped_within_an_epoch_goes_on_as_if_it_had_not_been(tmp_path, accumulated, workers):
    """After six batches and one step of four, the run goes back to the fifth batch; it stops in its last epoch."""
    call = [*SMALL, *STEPS, f"--trainer.accumulate_grad_batches={accumulated}", f"--data.num_workers={workers}"]
    whole = fit(tmp_path / "whole", *call)
    stop = [f"--trainer.callbacks={__name__}.StopAt", "--trainer.callbacks.epoch=1", "--trainer.callbacks.batch=5"]
    out = fit(tmp_path / "run", *call, *stop)
    assert torch.load(out / run_folder.LAST, weights_only=True)["global_step"] == {1: 12 + 6, 4: 3 + 1}[accumulated]
    fit(out, *call, "--ckpt_path=last")
    assert epochs(out) == epochs(whole) == ["0", "1"]
    assert all(torch.equal(one, other) for one, other in zip(trained(out), trained(whole), strict=True))


def test_a_number_of_batches_of_a_step_that_changes_with_the_epoch_holds_after_a_stop(tmp_path):
    scheduler = "--trainer.callbacks+=lightning.pytorch.callbacks.GradientAccumulationScheduler"
    call = [*SMALL, *STEPS, scheduler, "--trainer.callbacks.scheduling={0: 3, 1: 2}"]
    whole = fit(tmp_path / "whole", *call)
    stop = [f"--trainer.callbacks+={__name__}.StopAt", "--trainer.callbacks.epoch=1", "--trainer.callbacks.batch=4"]
    out = fit(tmp_path / "run", *call, *stop)
    fit(out, *call, "--ckpt_path=last")
    assert torch.load(out / run_folder.LAST, weights_only=True)["global_step"] == 4 + 6
    assert all(torch.equal(one, other) for one, other in zip(trained(out), trained(whole), strict=True))


def test_a_run_that_the_limit_of_steps_ended_within_an_epoch_goes_on_there(tmp_path):
    call = [*SMALL, *STEPS, "--trainer.max_epochs=-1"]
    whole = fit(tmp_path / "whole", *call, "--trainer.max_steps=18")
    out = fit(tmp_path / "run", *call, "--trainer.max_steps=15")
    fit(out, *call, "--ckpt_path=last", "--trainer.max_steps=18")
    assert epochs(out) == epochs(whole) == ["0", "1"]
    assert all(torch.equal(one, other) for one, other in zip(trained(out), trained(whole), strict=True))


def test_a_run_that_early_stopping_ended_within_a_step_trains_no_further(tmp_path, capsys):
    """Validations after batches 3, 6 and 9; steps end after batches 4 and 8."""
    call = [*SMALL, *STEPS, "--trainer.accumulate_grad_batches=4", "--trainer.val_check_interval=3"]
    call += ["--early_stopping.patience=2", "--early_stopping.min_delta=1", "--trainer.max_epochs=40"]
    out = fit(tmp_path / "run", *call)
    files = {path: path.read_bytes() for path in (out / run_folder.METRICS, out / run_folder.LAST)}
    capsys.readouterr()
    fit(out, *call, "--ckpt_path=last")
    assert {path: path.read_bytes() for path in files} == files
    assert "in epoch 1 of 1\n" in capsys.readouterr().out


@pytest.mark.parametrize("further", [1, 2])
def test_best_is_restored_if_the_run_was_killed_before_it_was_linked(tmp_path, further):
    call = [*SMALL, "--checkpoint.monitor=val/images"]  # the same in every epoch: the first is the best
    out = fit(tmp_path / "run", *call, "--trainer.max_epochs=1")
    best = torch.load(out / run_folder.BEST, weights_only=True)
    (out / run_folder.BEST).unlink()
    fit(out, *call, f"--trainer.max_epochs={further}", "--ckpt_path", str(out / run_folder.LAST))
    again = torch.load(out / run_folder.BEST, weights_only=True)
    assert again["epoch"] == best["epoch"] == 0
    assert all(torch.equal(best["state_dict"][name], again["state_dict"][name]) for name in best["state_dict"])
    assert torch.load(out / run_folder.LAST, weights_only=True)["epoch"] == further - 1


class SleepAt(At):
    """Lets the time of `trainer.max_time` run out."""

    def act(self, trainer: Any, pl_module: Any) -> None:
        time.sleep(1.5)


@pytest.mark.slow
def test_a_run_that_ran_out_of_time_names_the_command_that_goes_on_to_the_same_weights(tmp_path, capsys):
    """The path has a space, as the shell has to be told."""
    whole = fit(tmp_path / "whole", *SMALL, *STEPS)
    sleep = [f"--trainer.callbacks={__name__}.SleepAt", "--trainer.callbacks.epoch=1", "--trainer.callbacks.batch=5"]
    marker = f"--trainer.callbacks.marker={tmp_path / 'slept'}"
    out = fit(tmp_path / "north wall", *SMALL, *STEPS, *sleep, marker, "--trainer.max_time=00:00:00:01")
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("trainer.max_time ended the run")
    ]
    assert torch.load(out / run_folder.LAST, weights_only=True)["global_step"] < 24
    program, *call = shlex.split(line.partition("resume with ")[2])
    assert program == "cracklab"
    assert main(call) == 0
    assert epochs(out) == epochs(whole) == ["0", "1"]
    assert all(torch.equal(one, other) for one, other in zip(trained(out), trained(whole), strict=True))
    assert "max_time ended" not in capsys.readouterr().out


def test_sigterm_ends_with_a_failing_exit_code(tmp_path):
    """A scheduler sends SIGTERM first; Lightning itself would end with exit code 0."""
    kill = ["support.KillAt", "--trainer.callbacks.epoch=1", "--trainer.callbacks.batch=0", "--trainer.callbacks.by=15"]
    with pytest.raises(SystemExit) as end:
        fit(tmp_path / "run", *SMALL, "--trainer.callbacks", *kill)
    assert end.value.code == 143
    assert epochs(tmp_path / "run") == ["0"]


def test_a_run_that_ended_before_its_first_last_checkpoint_goes_on_from_the_best(tmp_path, capsys):
    """It was validated within its first epoch, at whose end last.ckpt is due."""
    call = [*SMALL, *STEPS, "--trainer.max_epochs=1", "--trainer.val_check_interval=4"]
    whole = fit(tmp_path / "whole", *call)
    kill = ["--trainer.callbacks=support.KillAt", "--trainer.callbacks.epoch=0", "--trainer.callbacks.batch=5"]
    call += [*kill, "--trainer.callbacks.by=15", f"--trainer.callbacks.marker={tmp_path / 'killed'}"]
    out = tmp_path / "run"
    with pytest.raises(SystemExit):
        fit(out, *call)
    assert [path.name for path in (out / run_folder.CHECKPOINTS).iterdir()] == ["best.ckpt"]
    program, *resuming = shlex.split(capsys.readouterr().err.partition("stopped: resume with ")[2])
    assert program == "cracklab"
    with pytest.raises(SystemExit):
        fit(out, *call)
    assert f"resume that run with --ckpt_path {out / run_folder.BEST}" in capsys.readouterr().err
    assert main(resuming) == 0
    assert "  12 steps in 1 epoch; 8 steps to do, about 1 minute here\n" in capsys.readouterr().out
    assert all(torch.equal(one, other) for one, other in zip(trained(out), trained(whole), strict=True))
