"""Run folders that the tests of prediction share, read only; crafted checkpoints."""

import socket

import pytest
import torch
from crafted import OLD
from predict_cases import fit_three_classes
from support import fit


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A run of TinyNet, whose reach is 3 px."""
    return fit(tmp_path_factory.mktemp("runs") / "small", "--model.net=support.TinyNet", "--trainer.max_epochs=1")


@pytest.fixture(scope="session")
def grey_run(tmp_path_factory):
    """A run of TinyNet on grey images."""
    out = tmp_path_factory.mktemp("runs") / "grey"
    return fit(out, "--data.channels=1", "--model.net=support.TinyNet", "--trainer.max_epochs=1")


@pytest.fixture(scope="session")
def classes_run(tmp_path_factory):
    """A run of TinyNet on three classes."""
    return fit_three_classes(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def craft(tmp_path):
    """Return a function that changes the checkpoint of a release, and writes it to a file."""

    def craft(change):
        content = torch.load(OLD / "run" / "checkpoints" / "last.ckpt", weights_only=True)
        change(content)
        torch.save(content, tmp_path / "crafted.ckpt")
        return tmp_path / "crafted.ckpt"

    return craft


@pytest.fixture
def connections(monkeypatch):
    """Addresses that anything tried to reach."""
    tried = []

    def refuse(self, address):
        tried.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: refuse(None, host))
    return tried
