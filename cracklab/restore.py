"""Net, data transform and threshold from a checkpoint alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser
from torch import nn

from cracklab import __version__
from cracklab.callbacks.checkpoints import read_checkpoint
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.transform import EvalTransform
from cracklab.errors import RunError
from cracklab.messages import as_config_error
from cracklab.module import CrackModule


@dataclass
class Restored:
    """What a checkpoint holds, rebuilt: the net in evaluation mode, and the data module whose transform it was trained with."""

    module: CrackModule
    data: CrackDataModule
    config: dict[str, Any]
    """The configuration of the run."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from: `cracklab` (version), `epoch`, and `data`, what `cracklab.data.origin` noted."""

    @property
    def threshold(self) -> float:
        """The threshold that validation chose."""
        return float(self.module.evaluator.threshold)

    @property
    def transform(self) -> EvalTransform:
        """How photos were prepared in training."""
        return self.data.transform

    @property
    def scale(self) -> tuple[float, float]:
        """(vertical, horizontal) scale at which the net saw the training images: px in the net over px in the file.

        With `data.crop` that is `data.resize` over the crop. Without, it is what `data.resize` made of the training
        images, whatever their size was, which the checkpoint keeps: a larger photo is not squeezed into their size.

        Raises:
            RunError: for a checkpoint that does not keep it.
        """
        if self.transform.resize is None:
            return 1.0, 1.0
        if self.transform.crop is not None:
            down, across = self.transform.prepared_size(self.transform.crop, self.transform.crop)
            return down / self.transform.crop, across / self.transform.crop
        kept = self.origin["data"].get("scale")
        if kept is None:
            raise RunError(
                "the checkpoint does not keep the scale of its training images: train again, or set data.crop"
            )
        return float(kept[0]), float(kept[1])


def restore(checkpoint: str | Path) -> Restored:
    """Rebuild net and data transform from the configuration in a checkpoint, and load the weights.

    Loss, optimizer and schedule are left alone: what scored training need not be installed where photos are predicted.

    Raises:
        RunError: where the file is missing, damaged, needs unpickling, is not cracklab's, of a newer version, was trained
            without the command line, or names a net that is not installed here or has other weights.
    """
    content = read_checkpoint(checkpoint)
    own = content.get("cracklab") or {}
    if not own.get("config"):
        raise RunError(
            f"checkpoint {checkpoint} holds no configuration of cracklab: train with `cracklab fit`, which keeps it"
        )
    if _release(str(own.get("version", "0"))) > _release(__version__):
        raise RunError(
            f"checkpoint {checkpoint} was written by cracklab {own['version']}, and this is {__version__}: update cracklab"
        )
    config = yaml.safe_load(own["config"])
    net, data = _built(config, checkpoint)
    weights = {name[4:]: value for name, value in content.get("state_dict", {}).items() if name.startswith("net.")}
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"checkpoint {checkpoint} does not fit the net that its configuration names, {type(net).__name__}, as it is "
            f"installed here: {' '.join(str(error).split())[:300]}"
        ) from error
    module = CrackModule(net, nn.BCEWithLogitsLoss(), channels_last=bool(config["model"].get("channels_last")))
    module.on_load_checkpoint(content)
    origin = {"cracklab": own["version"], "epoch": content.get("epoch"), "data": json.loads(own.get("data", "{}"))}
    return Restored(module.eval(), data, config, origin)


def _built(config: Mapping[str, Any], checkpoint: str | Path) -> tuple[nn.Module, CrackDataModule]:
    """The net, without its pretrained weights, and the data module."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(nn.Module, "net")
    parser.add_class_arguments(CrackDataModule, "data")
    try:
        parsed = parser.parse_object({"net": without_downloads(config["model"]["net"]), "data": config["data"]})
        built = parser.instantiate(parsed)
    except (ArgumentError, ArithmeticError, AttributeError, ImportError, LookupError, TypeError, ValueError) as error:
        said = " ".join(str(error).split()) if isinstance(error, ArgumentError) else as_config_error(error)
        raise RunError(f"checkpoint {checkpoint} cannot be rebuilt here: {said}") from error
    return built.net, built.data


def without_downloads(net: Mapping[str, Any]) -> dict[str, Any]:
    """A net's configuration with pretrained weights switched off, since the checkpoint brings its own."""
    off = {"encoder_weights": None, "pretrained": False}

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: off[key] if key in off else clean(item) for key, item in value.items()}
        return value

    cleaned: dict[str, Any] = clean(net)
    return cleaned


def _release(version: str) -> tuple[int, ...]:
    """Major and minor number, within which checkpoints stay readable."""
    return tuple(int(part) for part in version.split(".")[:2])
