"""Resuming a run that has ended, or that was killed between two files of its last epoch."""

import csv
from pathlib import Path

import pytest
import torch
from support import fit

from cracklab import run_folder

SMALL = ["--model.net=support.TinyNet", "--data.layout.size=[32,32]", "--panels.images=0", "--model.schedule=Constant"]


def epochs(out: Path) -> list[str]:
    return [row["epoch"] for row in csv.DictReader((out / run_folder.METRICS).open())]


def test_resuming_a_run_that_early_stopping_ended_trains_no_further(tmp_path):
    """A run killed after its last checkpoint, before fit returned, ends as the uninterrupted one without another epoch."""
    call = [*SMALL, "--trainer.max_epochs=6", "--early_stopping.patience=1", "--early_stopping.min_delta=1"]
    out = fit(tmp_path / "run", *call)
    assert epochs(out) == ["0", "1"]
    weights = torch.load(out / run_folder.LAST, weights_only=True)["state_dict"]
    fit(out, *call, "--ckpt_path", str(out / run_folder.LAST))
    assert epochs(out) == ["0", "1"]
    again = torch.load(out / run_folder.LAST, weights_only=True)["state_dict"]
    assert all(torch.equal(weights[name], again[name]) for name in weights)


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


def test_sigterm_ends_with_a_failing_exit_code(tmp_path):
    """A scheduler sends SIGTERM first; Lightning itself would end with exit code 0."""
    kill = ["support.KillAt", "--trainer.callbacks.epoch=1", "--trainer.callbacks.batch=0", "--trainer.callbacks.by=15"]
    with pytest.raises(SystemExit) as end:
        fit(tmp_path / "run", *SMALL, "--trainer.callbacks", *kill)
    assert end.value.code == 143
    assert epochs(tmp_path / "run") == ["0"]
