"""Callbacks and settings of Lightning that users bring along do what they do elsewhere."""

import json
import os
import signal
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from support import SMALLEST, At

from cracklab import run_folder
from cracklab.callbacks.progress import Progress
from cracklab.cli import main

LIGHTNING = "lightning.pytorch.callbacks"
QUICK = [
    *SMALLEST,
    "--panels.images=0",
    "--model.evaluation.groups=[]",
    "--data.layout.train=40",
    "--early_stopping.monitor=val/loss",
]


class Terminated(At):
    """Gets SIGTERM as a process of a group: a process that prepares samples ends first."""

    def act(self, trainer, pl_module):
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated. ")


def fit(out: Path, *more: str) -> Path:
    assert main(["fit", *QUICK, *more, "--out", str(out)]) == 0
    return out


def last(out: Path) -> dict:
    return torch.load(out / run_folder.LAST, weights_only=True)


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = (last(folder)["state_dict"] for folder in (one, other))
    assert all(torch.equal(first[name], second[name]) for name in first)


def callbacks(folder: Path, **classes: dict) -> str:
    """Write an overlay with callbacks of Lightning; return it as an argument."""
    listed = [{"class_path": f"{LIGHTNING}.{name}", "init_args": options} for name, options in classes.items()]
    path = folder / "callbacks.yaml"
    path.write_text(yaml.safe_dump({"trainer": {"callbacks": listed}}))
    return f"--config={path}"


def refusal(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["fit", *QUICK, *arguments])
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.slow
def test_the_learning_rate_that_is_found_is_the_highest_of_the_schedule(tmp_path):
    """A run of the rate that was found, given as `optimizer.lr`, ends in the same weights, encoder included."""
    more = ["--model.encoder_lr_factor=0.5", "--trainer.max_epochs=3"]
    finder = callbacks(tmp_path, LearningRateFinder={"num_training_steps": 25, "min_lr": 1e-5})
    found = fit(tmp_path / "found", *more, finder)
    rest, encoder = last(found)["optimizer_states"][0]["param_groups"]
    assert rest["max_lr"] != 3e-3  # that of the quickstart
    assert encoder["max_lr"] == 0.5 * rest["max_lr"]
    assert last(found)["lr_schedulers"][0]["total_steps"] == 30
    assert not list(found.glob(".lr_find*"))
    given = fit(tmp_path / "given", *more, f"--model.optimizer.lr={rest['max_lr']!r}")
    assert_same_weights(found, given)


@pytest.mark.slow
def test_the_batch_size_that_is_found_plans_the_steps_and_is_kept_by_a_resumed_run(tmp_path):
    more = ["--model.schedule=Constant", "--data.batch_size=2"]
    finder = callbacks(tmp_path, BatchSizeFinder={"max_trials": 3, "steps_per_trial": 1})
    found = fit(tmp_path / "found", *more, finder, "--trainer.max_epochs=1")
    assert last(found)["CrackDataModule"] == {"batch_size": 8}
    assert last(found)["global_step"] == 5
    fit(found, *more, finder, "--ckpt_path=last", "--trainer.max_epochs=2")
    given = fit(tmp_path / "given", *more, "--data.batch_size=8", "--trainer.max_epochs=2")
    assert last(found)["global_step"] == last(given)["global_step"] == 10
    assert_same_weights(found, given)


def test_last_without_a_run_folder_is_refused(capsys):
    assert "--ckpt_path last needs the folder of its run: --out RUN" in refusal(capsys, "--ckpt_path=last")


def test_a_search_that_the_run_is_too_short_for_is_refused(tmp_path, capsys):
    line = refusal(capsys, callbacks(tmp_path, LearningRateFinder={}), f"--out={tmp_path / 'run'}")
    assert "num_training_steps is 100, but the run has 20 steps" in line
    assert not (tmp_path / "run").exists()


def test_a_dev_run_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "runs" / "mine"
    fit(out, "--trainer.fast_dev_run=true")
    assert main(["fit", *QUICK, "--trainer.fast_dev_run=2"]) == 0
    assert "nothing is kept" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_limits_precision_and_profiler_mean_what_they_say(tmp_path, capsys):
    """Of 20 batches 3 are taken, 2 a step; of 4 images of validation and test one batch of 2."""
    profiler, options = tmp_path / "profiler.yaml", {"dirpath": str(tmp_path), "filename": "times"}
    simple = {"class_path": "lightning.pytorch.profilers.SimpleProfiler", "init_args": options}
    profiler.write_text(yaml.safe_dump({"trainer": {"profiler": simple}}))
    more = [
        "--data.batch_size=2",
        "--data.eval_batch_size=2",
        "--trainer.limit_val_batches=1",
        "--trainer.limit_test_batches=0.5",
    ]
    more += ["--trainer.limit_train_batches=3", "--trainer.accumulate_grad_batches=2", f"--config={profiler}"]
    more += ["--trainer.precision=bf16-mixed", "--trainer.deterministic=true", "--trainer.enable_progress_bar=true"]
    out = fit(tmp_path / "run", *more)
    assert "epoch 2/2 " in capsys.readouterr().out
    assert "run_training_batch" in (tmp_path / "fit-times.txt").read_text()
    assert last(out)["global_step"] == last(out)["lr_schedulers"][0]["total_steps"] == 4
    table = pd.read_csv(out / run_folder.METRICS)
    assert table["step"].tolist() == [2, 4]
    assert table["val/images"].tolist() == [2, 2]
    environment = json.loads((out / run_folder.ENVIRONMENT).read_text())
    assert environment["device"]["precision"] == "bf16-mixed"
    assert environment["determinism"]["tier"] == "bitwise"
    assert main(["test", f"--config={out / run_folder.CONFIG}", "--ckpt_path=best", f"--out={out}"]) == 0
    assert json.loads((out / run_folder.TEST_METRICS).read_text())["test/images"] == 2
    torch.use_deterministic_algorithms(False)


def test_a_run_may_be_as_long_as_its_steps_alone_say(tmp_path):
    out = fit(tmp_path / "run", "--trainer.max_epochs=null", "--trainer.max_steps=10", "--data.batch_size=auto")
    assert last(out)["global_step"] == 10
    assert yaml.safe_load((out / run_folder.CONFIG).read_text())["data"]["batch_size"] == 16


def test_overfit_batches_repeats_one_batch_until_the_last_step(tmp_path):
    """Without random parts, the loss of the one batch falls in every epoch."""
    more = ["--data.augment=none", "--model.net.dropout=0", "--model.schedule=Constant", "--trainer.max_epochs=8"]
    out = fit(tmp_path / "run", *more, "--trainer.overfit_batches=1", "--trainer.max_steps=6")
    table = pd.read_csv(out / run_folder.METRICS)
    assert table["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["train/loss"].is_monotonic_decreasing
    assert last(out)["global_step"] == 6


def test_a_run_without_validation_keeps_its_last_checkpoint(tmp_path, capsys):
    out = fit(tmp_path / "run", "--trainer.limit_val_batches=0")
    assert f"the last one is {out / run_folder.LAST}" in capsys.readouterr().out
    assert not (out / run_folder.BEST).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--trainer.limit_val_batches=0.1"],
            "trainer.limit_val_batches is 0.1, which leaves none of the 1 val batches",
        ),
        (["--trainer.limit_train_batches=0"], "trainer.limit_train_batches is 0: give a whole number of at least 1"),
        (["--trainer.max_steps=3"], "trainer.max_steps is 3, but an epoch has 10 steps"),
    ],
)
def test_limits_that_leave_nothing_are_refused_before_anything_is_written(tmp_path, capsys, arguments, message):
    assert message in refusal(capsys, *arguments, f"--out={tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()


def test_a_second_early_stopping_has_its_own_monitor(tmp_path, capsys):
    """The number of images never changes, so that the second one stops after its patience; the first one would go on."""
    more = ["--trainer.max_epochs=9"]
    second = callbacks(tmp_path, EarlyStopping={"monitor": "val/images", "patience": 2, "mode": "max"})
    out = fit(tmp_path / "run", *more, second)
    assert pd.read_csv(out / run_folder.METRICS)["epoch"].tolist() == [0, 1, 2]
    assert set(last(out)["callbacks"]) >= {
        "EarlyStopping{'monitor': 'val/images', 'mode': 'max'}",
        "EarlyStopping{'monitor': 'val/loss', 'mode': 'max'}",
    }
    same = callbacks(tmp_path, EarlyStopping={"monitor": "val/loss", "mode": "max"})
    assert "trainer.callbacks has a second EarlyStopping{'monitor': 'val/loss'" in refusal(capsys, same)
    misspelt = callbacks(tmp_path, EarlyStopping={"monitor": "val/iuo"})
    assert "trainer.callbacks, EarlyStopping.monitor 'val/iuo' is not a metric" in refusal(capsys, misspelt)


@pytest.mark.parametrize("kind", ["support.KillAt", "test_lightning_habits.Terminated"])
def test_sigterm_ends_in_one_line_that_names_the_command_that_goes_on(tmp_path, capsys, kind):
    """A scheduler sends SIGTERM first; Lightning itself would end with exit code 0."""
    stop = [f"--trainer.callbacks={kind}", "--trainer.callbacks.epoch=1", "--trainer.callbacks.batch=0"]
    stop += ["--trainer.callbacks.by=15"] if kind == "support.KillAt" else []
    out = tmp_path / "run"
    with pytest.raises(SystemExit) as end:
        main(["fit", *QUICK, *stop, f"--out={out}"])
    assert end.value.code == 128 + signal.SIGTERM
    again = f"cracklab fit --config {out / 'config.yaml'} --ckpt_path {out / run_folder.LAST} --out {out}"
    assert capsys.readouterr().err.strip() == f"stopped: resume with {again}"
    assert last(out)["global_step"] == 10
    assert pd.read_csv(out / run_folder.METRICS)["epoch"].tolist() == [0]


def test_the_number_of_epochs_follows_from_the_number_of_steps():
    class Trainer:
        num_training_batches, accumulate_grad_batches, max_epochs = 5, 2, -1

    progress = Progress()
    progress._last = 7  # of 3 steps an epoch
    assert progress.num_epochs(Trainer()) == 3
