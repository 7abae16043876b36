"""`model.weights`: training starts from the net of another run."""

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
