"""The README of the losses lists every loss; the examples in it and in CONTRIBUTING.md run."""

import re
from pathlib import Path

import pytest
import torch
from jsonargparse import ArgumentParser

import cracklab.losses
from cracklab.losses import LOSSES, Loss, build_loss

README = (Path(cracklab.losses.__file__).parent / "README.md").read_text()
CONTRIBUTING = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()


def test_every_loss_is_in_both_tables():
    files, health = README.split("## How they behave")
    for name in LOSSES:
        assert f"`{name}`" in files
        assert name == "weighted_sum" or re.search(rf"^{name} ", health, re.MULTILINE)


def test_the_loss_in_contributing_computes_its_formula(monkeypatch):
    code = re.search(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL)[1]
    assert len(code.splitlines()) <= 30
    monkeypatch.setattr(LOSSES, "_classes", dict(LOSSES._classes))
    exec(compile(code, "far_error.py", "exec"), {"__name__": __name__})
    mask = torch.zeros(1, 1, 3, 4)
    maps = {"distance": torch.full((1, 1, 3, 4), 5.0)}
    value = build_loss("far_error", weight=3.0)(torch.zeros(1, 1, 3, 4), mask, maps)
    assert value.item() == pytest.approx(0.25 * 4)


def test_the_configuration_in_the_readme_parses():
    class Experiment:
        def __init__(self, loss: Loss) -> None:
            self.loss = loss

    LOSSES.fill()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Experiment, "model")
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    loss = parser.instantiate(parser.parse_string(text)).model.loss
    assert list(loss.losses) == ["dice", "boundary"]
