"""Run folders that the tests of prediction share; read only."""

import pytest
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
