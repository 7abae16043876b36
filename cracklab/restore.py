"""Net, transform and threshold from a checkpoint alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser

from cracklab.callbacks.checkpoints import read_checkpoint
from cracklab.data.datamodule import CrackDataModule
from cracklab.errors import RunError
from cracklab.losses import LOSSES
from cracklab.module import CrackModule


@dataclass
class Restored:
    """What a checkpoint holds, rebuilt: the module in evaluation mode, and the data module whose transform it was trained with."""

    module: CrackModule
    data: CrackDataModule
    config: dict[str, Any]


def restore(checkpoint: str | Path) -> Restored:
    """Rebuild what was trained from the configuration in a checkpoint, and load its weights.

    Raises:
        RunError: where the file is missing, damaged, not cracklab's, or was trained without the command line.
    """
    content = read_checkpoint(checkpoint)
    own = content.get("cracklab") or {}
    if not own.get("config"):
        raise RunError(
            f"checkpoint {checkpoint} holds no configuration of cracklab: train with `cracklab fit`, which keeps it"
        )
    config = yaml.safe_load(own["config"])
    LOSSES.fill()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(CrackModule, "model")
    parser.add_class_arguments(CrackDataModule, "data")
    parsed = parser.parse_object({"model": without_downloads(config["model"]), "data": config["data"]})
    built = parser.instantiate(parsed)
    module: CrackModule = built.model
    module.load_state_dict(content["state_dict"])
    module.on_load_checkpoint(content)
    return Restored(module.eval(), built.data, config)


def without_downloads(model: Mapping[str, Any]) -> dict[str, Any]:
    """The model's configuration with pretrained weights switched off, since the checkpoint brings its own."""
    off = {"encoder_weights": None, "pretrained": False}

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: off[key] if key in off else clean(item) for key, item in value.items()}
        return value

    cleaned: dict[str, Any] = clean(model)
    return cleaned
