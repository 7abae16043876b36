"""Configurations by name, and that every one of them resolves."""

import pytest
import yaml

from cracklab import config_files
from cracklab.errors import ConfigError


def test_resolve_replaces_a_name_by_its_file():
    path = str(config_files.folder() / "quickstart.yaml")
    given = ["fit", "--config", "cracklab:quickstart", "--config=cracklab:quickstart", "--data.seed", "3"]
    assert config_files.resolve(given) == ["fit", f"--config={path}", f"--config={path}", "--data.seed", "3"]


def test_resolve_finds_names_in_subfolders():
    assert "data/deepcrack" in config_files.names()
    assert config_files.resolve(["--config", "cracklab:data/deepcrack"])[0].endswith("data/deepcrack.yaml")


def test_an_unknown_name_and_a_missing_file_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'quickstart'"):
        config_files.resolve(["--config", "cracklab:quikstart"])
    with pytest.raises(ConfigError, match=r"nothing.yaml does not exist"):
        config_files.resolve(["--config=nothing.yaml"])


@pytest.mark.parametrize("name", config_files.names())
def test_every_shipped_configuration_is_a_mapping_with_a_heading(name):
    text = (config_files.folder() / f"{name}.yaml").read_text()
    assert text.startswith("# ")
    assert isinstance(yaml.safe_load(text), dict)
