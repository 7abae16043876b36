"""The identity of a run in Weights & Biases: its name, group, job type and tags, and the settings by which runs are told apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cracklab import config_files, run_folder
from cracklab.version import __version__

MAX_NAME, MAX_TAG = 128, 64
"""Longest name, and longest tag and group, that W&B takes."""
VERSION_TAG = f"cracklab {__version__}"
Config = Mapping[str, Any]
"""A resolved configuration."""


@dataclass(frozen=True)
class Identity:
    """The name, group, job type and tags of a W&B run."""

    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]


def config_of_run(folder: Path, current: str) -> Config:
    """Return the configuration of the fit that made a run folder; without one, that of the current command.

    So a test logs the configuration of the run that it continues, whatever its own arguments are.

    Args:
        folder: the run folder.
        current: the configuration of the command, YAML.
    """
    path = folder / run_folder.CONFIG
    return config_files.read(path) if path.is_file() else yaml.safe_load(current) or {}


def settings_of(config: Config) -> dict[str, Any]:
    """Return loss, net, data, fold and seed of a run, for the columns of tables of runs.

    Example:
        >>> net = {"class_path": "segmentation_models_pytorch.Unet", "init_args": {"encoder_name": "resnet18"}}
        >>> model = {"loss": {"class_path": "cracklab.losses.region.dice"}, "net": net}
        >>> settings_of({"model": model, "data": {"layout": "folders", "root": "/data/walls", "fold": 2, "seed": 42}})
        {'loss': 'dice', 'net': 'Unet resnet18', 'data': 'folders walls', 'seed': 42, 'fold': 2}
    """
    model, data = config["model"], config["data"]
    encoder = (model["net"].get("init_args") or {}).get("encoder_name")
    root = Path(data["root"]).name if data.get("root") else None
    found = {
        "loss": _name(model["loss"]),
        "net": " ".join(filter(None, (_name(model["net"]), encoder))),
        "data": " ".join(filter(None, (_name(data["layout"]), root))),
        "seed": data["seed"],
    }
    return found if data["fold"] is None else {**found, "fold": data["fold"]}


def _name(entry: str | Mapping[str, Any]) -> str:
    """Return the name of a class in a configuration."""
    path = entry if isinstance(entry, str) else str(entry["class_path"])
    return path.rpartition(".")[2]


def identity(config: Config, command: str) -> Identity:
    """Return the identity of a run: `quickstart dice seed 42 fold 2/5`, folds numbered from 0 as in `data.fold`.

    Args:
        config: of the run.
        command: `fit`, `validate` or `test`.
    """
    settings, data = settings_of(config), config["data"]
    parts = [config["name"], settings["loss"], f"seed {settings['seed']}"]
    if "fold" in settings:
        parts += [f"split {data['split_seed']}"] if data["split_seed"] else []
        parts += [f"fold {settings['fold']}/{data['folds']}"]
    trained = "fold" if "fold" in settings else "train"
    tags = (settings["loss"], settings["net"], settings["data"], VERSION_TAG)
    return Identity(
        name=" ".join(parts)[:MAX_NAME],
        group=config["name"][:MAX_TAG],
        job_type=trained if command == "fit" else command,
        tags=tuple(dict.fromkeys(tag[:MAX_TAG] for tag in tags)),
    )
