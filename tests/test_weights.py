"""`model.weights`: training starts from the net of another run."""

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from support import QUICKSTART, TINY, TinyNet, fit

from cracklab import run_folder
from cracklab.cli import main
from cracklab.errors import ConfigError
from cracklab.module import CrackModule

NET = ["--model.net=support.TinyNet", "--model.schedule=Constant"]


def state(path):
    content = torch.load(path, weights_only=True)
    return {name: value for name, value in content["state_dict"].items() if name.startswith("net.")}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("runs") / "first", *NET) / run_folder.LAST


def test_a_run_takes_only_the_weights_of_the_net(first, tmp_path):
    still = [*NET, "--model.optimizer.lr=0", "--model.optimizer.weight_decay=0", "--trainer.max_epochs=1"]
    second = fit(tmp_path / "second", *still, f"--model.weights={first}", "--seed_everything=7") / run_folder.LAST
    before, after = state(first), state(second)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before if "running" not in name and "num" not in name)
    content = torch.load(second, weights_only=True)
    assert (content["epoch"], content["global_step"]) == (0, 3)


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_statistics_of_normalisation_are_those_of_the_weights_after_validation_too(first, tmp_path, frozen):
    call = [*NET, "--trainer.max_epochs=2", f"--model.weights={first}", f"--model.freeze_norm={frozen}"]
    before, after = state(first), state(fit(tmp_path / "second", *call) / run_folder.LAST)
    same = {name for name in before if torch.equal(before[name], after[name])}
    statistics = {name for name in before if "running" in name or "num_batches" in name}
    assert statistics
    assert same == (statistics if frozen else set())


class CopyWithinEpoch(pl.Callback):
    """Keeps a copy of the last checkpoint before the last batch of the second epoch, where a power cut could leave it."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (1, 2):
            last = Path(trainer.default_root_dir) / run_folder.LAST
            copy = last.parents[1] / "copy" / run_folder.LAST
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(last.read_bytes())


def test_a_run_resumed_within_an_epoch_keeps_frozen_statistics_and_the_weights_of_its_loss(first, tmp_path):
    """The rest of that epoch is as without the interruption: neither mode of the layers nor epoch of the loss is in a checkpoint."""
    loss = '{"class_path": "cracklab.losses.Dice"}', '{"class_path": "cracklab.losses.BCE"}'
    schedule = '{"class_path": "cracklab.losses.weighted.WeightSchedule", "init_args": {"start": 0, "end": 5, "last_epoch": 2}}'
    weighted = f'{{"class_path": "weighted_sum", "init_args": {{"losses": [[{loss[0]}, 1], [{loss[1]}, {schedule}]]}}}}'
    call = [*NET, f"--model.loss={weighted}", f"--model.weights={first}", "--model.freeze_norm=true"]
    every = ["--checkpoint.every_n_steps=2", f"--trainer.callbacks={__name__}.CopyWithinEpoch"]
    whole = fit(tmp_path / "whole", *call, *every)
    copy = whole / "copy"
    assert (
        main(
            [
                "fit",
                "--config",
                str(whole / "config.yaml"),
                "--ckpt_path",
                str(copy / run_folder.LAST),
                "--out",
                str(copy),
            ]
        )
        == 0
    )
    once, resumed = state(whole / run_folder.LAST), state(copy / run_folder.LAST)
    assert [name for name in once if not torch.equal(once[name], resumed[name])] == []


def test_statistics_can_be_frozen_only_if_weights_are_given():
    with pytest.raises(ConfigError, match=r"freeze_norm keeps the statistics of model.weights, which is not set"):
        CrackModule(TinyNet(), "dice", freeze_norm=True)


def test_a_run_that_has_started_no_longer_needs_the_file(first, tmp_path):
    copy = tmp_path / "weights.ckpt"
    copy.write_bytes(first.read_bytes())
    second = fit(tmp_path / "second", *NET, f"--model.weights={copy}", "--trainer.max_epochs=1")
    copy.unlink()
    call = ["--config", str(second / run_folder.CONFIG), "--ckpt_path", str(second / run_folder.LAST)]
    assert main(["test", *call]) == 0
    assert main(["fit", *call, "--out", str(second), "--trainer.max_epochs=2"]) == 0


@pytest.mark.parametrize(
    ("net", "weights", "said"),
    [([], "{first}", "does not fit Unet"), (NET, "{first}.gone", "does not exist")],
)
def test_weights_that_are_missing_or_do_not_fit_are_one_message(first, tmp_path, capsys, net, weights, said):
    out = tmp_path / "second"
    call = ["fit", "--config", str(QUICKSTART), *TINY, *net, f"--model.weights={weights.format(first=first)}"]
    with pytest.raises(SystemExit) as refused:
        main([*call, "--out", str(out)])
    assert refused.value.code == 2
    assert said in capsys.readouterr().err
    if "gone" in weights:
        assert not out.exists()
