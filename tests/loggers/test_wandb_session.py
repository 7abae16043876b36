"""The W&B session: a command leaves the user's environment and no open W&B run behind."""

import os
import sys
from types import SimpleNamespace

import pytest

from cracklab.loggers.wandb import WandbSettings, wandb_logger, wandb_session


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
        wandb_logger(WandbSettings(), tmp_path / "first", "run")
        assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "first" / "wandb")
    with wandb_session():
        wandb_logger(WandbSettings(), tmp_path / "second", "run")
        assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "second" / "wandb")
    monkeypatch.setenv("WANDB_DATA_DIR", "/data/of/the/user")
    with wandb_session():
        wandb_logger(WandbSettings(), tmp_path / "third", "run")
        assert os.environ["WANDB_DATA_DIR"] == "/data/of/the/user"
