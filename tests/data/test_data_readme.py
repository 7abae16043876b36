"""The README of the data: it names every layout and policy, and its configurations parse."""

import re
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser

import cracklab.data
from cracklab.data.augment import POLICIES
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts import LAYOUTS

README = (Path(cracklab.data.__file__).parent / "README.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def test_the_readme_names_every_layout_and_policy():
    for name in (*LAYOUTS, *POLICIES):
        assert f"`{name}`" in README


@pytest.mark.parametrize("text", BLOCKS, ids=[yaml.safe_load(text)["data"]["root"] for text in BLOCKS])
def test_the_configurations_of_the_readme_parse(text):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(CrackDataModule, "data")
    data = parser.instantiate(parser.parse_string(text)).data
    assert str(data.root) == yaml.safe_load(text)["data"]["root"]
