"""The W&B session: a command leaves the user's environment and no open W&B run behind."""

import os
import sys
from types import SimpleNamespace

import pytest

import cracklab
from cracklab.loggers.identity import Identity, identity
from cracklab.loggers.wandb import WandbSettings, open_run, run_identity, wandb_logger, wandb_session

DEFAULT = Identity("name", "group", "train", ("dice", "Unet"))


@pytest.fixture
def user(monkeypatch):
    """The user has set WANDB_MODE and nothing else."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_SILENT", raising=False)
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)


@pytest.fixture
def closed(monkeypatch):
    """A W&B with an open run; yields the runs that were closed."""
    closed: list[str] = []
    module = SimpleNamespace(run="run", finish=lambda: closed.append("run"))
    monkeypatch.setitem(sys.modules, "wandb", module)
    return closed


def wandb_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}


def test_a_session_restores_the_users_variables_even_after_an_error(user, closed):
    @wandb_session()
    def command() -> None:
        os.environ |= {"WANDB_MODE": "dryrun", "WANDB_SILENT": "true", "WANDB_DATA_DIR": "/runs/0/wandb"}
        raise ValueError("of the command")

    before = wandb_variables()
    with pytest.raises(ValueError, match="of the command"):
        command()
    assert wandb_variables() == before
    assert closed == ["run"]


def test_nested_sessions_restore_the_mode_in_between_and_close_the_run_once(user, closed):
    """As fit and test in one process."""
    with wandb_session():
        for _ in ("fit", "test"):
            assert os.environ["WANDB_MODE"] == "offline"
            with wandb_session():
                os.environ["WANDB_MODE"] = "dryrun"  # as Lightning does for an offline run
        assert not closed
    assert closed == ["run"]
    with wandb_session():
        pass
    assert closed == ["run", "run"], "a session after a closed one is an outermost one again"


def test_files_wait_for_sync_in_the_run_folder_unless_the_user_chose_another(user, monkeypatch, tmp_path):
    with wandb_session():
        wandb_logger(WandbSettings(), tmp_path / "first", DEFAULT)
        assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "first" / "wandb")
    with wandb_session():
        wandb_logger(WandbSettings(), tmp_path / "second", DEFAULT)
        assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "second" / "wandb")
    monkeypatch.setenv("WANDB_DATA_DIR", "/data/of/the/user")
    with wandb_session():
        wandb_logger(WandbSettings(), tmp_path / "third", DEFAULT)
        assert os.environ["WANDB_DATA_DIR"] == "/data/of/the/user"


def config(**data) -> dict:
    layout = {"class_path": "cracklab.data.layouts.synthetic.synthetic", "init_args": {}}
    data = {"layout": layout, "root": None, "fold": None, "folds": 5, "split_seed": 0, "seed": 7} | data
    net = {"class_path": "segmentation_models_pytorch.Unet", "init_args": {"encoder_name": "resnet18"}}
    loss = {"class_path": "cracklab.losses.region.dice", "init_args": {}}
    return {"name": "walls", "model": {"loss": loss, "net": net}, "data": data}


@pytest.mark.parametrize(
    ("data", "command", "name", "job_type"),
    [
        ({}, "fit", "walls dice seed 7", "train"),
        ({}, "test", "walls dice seed 7", "test"),
        ({"fold": 0}, "fit", "walls dice seed 7 fold 0/5", "fold"),
        ({"fold": 4, "split_seed": 2}, "fit", "walls dice seed 7 split 2 fold 4/5", "fold"),
    ],
)
def test_a_run_is_named_after_its_settings_and_typed_after_its_role(data, command, name, job_type):
    found = identity(config(**data), command)
    assert (found.name, found.group, found.job_type) == (name, "walls", job_type)
    assert found.tags == ("dice", "Unet resnet18", "synthetic", f"cracklab {cracklab.__version__}")


def test_a_setting_then_a_variable_of_the_user_replaces_a_default(user, monkeypatch, tmp_path):
    for variable in ("NAME", "RUN_GROUP"):
        monkeypatch.delenv(f"WANDB_{variable}", raising=False)
    for variable, value in {"JOB_TYPE": "ablation", "TAGS": "mine,paper", "PROJECT": "bridge"}.items():
        monkeypatch.setenv(f"WANDB_{variable}", value)
    with wandb_session():
        logger = wandb_logger(WandbSettings(name="own", tags=["first"]), tmp_path, DEFAULT)
        open_run(logger)
        run = logger.experiment
        assert (run.name, run.group, run.job_type, run.tags) == ("own", "group", "ablation", ("first",))
        assert run.project == "bridge"
    for variable in ("JOB_TYPE", "TAGS"):
        monkeypatch.delenv(f"WANDB_{variable}")
    later = run_identity(tmp_path, WandbSettings(), Identity("name", "group", "test", ("bce",)))
    assert later == {"name": "own", "group": "group", "job_type": "ablation", "tags": ["first"]}, (
        "a run keeps its identity"
    )
