"""A trained model, rebuilt from a checkpoint alone: net, data transform and threshold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser
from torch import Tensor, nn

from cracklab.checkpoint import KEY, Payload, net_weights, read_checkpoint
from cracklab.config_parser import as_config_error
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.transform import EvalTransform
from cracklab.errors import RunError
from cracklab.logits import probabilities
from cracklab.models.pretrained import without_downloads


@dataclass
class TrainedModel:
    """A net in evaluation mode, with the data transform and the threshold that its photos and probabilities need.

    Attributes:
        path: file of the checkpoint.
        net: maps normalised images (B, C_in, H, W) to logits (B, C, H, W).
        data: the data module of the run, for its transform and its classes.
        threshold: the probability threshold that validation chose.
        config: the configuration of the run.
        payload: the part of the checkpoint that is cracklab's own.
        epoch: the epoch of the checkpoint, from 0.
        memory_format: of the images that the net gets.

    Example:
        >>> from cracklab.data.layouts.synthetic import Synthetic
        >>> data = CrackDataModule(Synthetic(), crop=128, resize=32)
        >>> model = TrainedModel("best.ckpt", nn.Identity(), data, 0.4, {}, Payload(config="", threshold=0.4))
        >>> model.probabilities(torch.zeros(1, 1, 1, 2)).tolist()  # the sigmoid of 0
        [[[[0.5, 0.5]]]]
        >>> model.scale  # 128 px in the photo are 32 px in the net
        (0.25, 0.25)
    """

    path: str | Path
    net: nn.Module
    data: CrackDataModule
    threshold: float
    config: dict[str, Any]
    payload: Payload
    epoch: int | None = None
    memory_format: torch.memory_format = torch.contiguous_format

    def probabilities(self, image: Tensor) -> Tensor:
        """Return the probabilities (B, C, H, W) of normalised images (B, C_in, H, W), float32."""
        return probabilities(self.net(image.contiguous(memory_format=self.memory_format)).float())

    @property
    def provenance(self) -> dict[str, Any]:
        """Version, epoch and training data of the weights, for files that people read; without fingerprints of images."""
        data = {key: value for key, value in self.payload.data.items() if key != "seen"}
        return {"cracklab": self.payload.version, "epoch": self.epoch, "data": data}

    @property
    def transform(self) -> EvalTransform:
        """The transform that photos went through in training."""
        return self.data.transform

    @property
    def scale(self) -> tuple[float, float]:
        """(vertical, horizontal) scale at which the net saw the training images: px in the net over px in the file.

        With `data.crop` it is `data.resize` over the crop. Without a crop it is the scale that `data.resize` meant for the
        training images, which the checkpoint keeps. A larger photo is not squeezed into the size of the training images.

        Raises:
            RunError: if the checkpoint does not keep the scale.
        """
        if self.transform.resize is None:
            return 1.0, 1.0
        if self.transform.crop is not None:
            down, across = self.transform.prepared_size(self.transform.crop, self.transform.crop)
            return down / self.transform.crop, across / self.transform.crop
        kept = self.payload.data.get("scale")
        if kept is None:
            raise RunError(
                "the checkpoint does not keep the scale of its training images: train again, or set data.crop"
            )
        return float(kept[0]), float(kept[1])


def restore(checkpoint: str | Path) -> TrainedModel:
    """Rebuild the net and the data transform from the configuration in a checkpoint, and load the weights.

    Loss, optimizer and schedule are ignored, so that they need not be installed where photos are predicted.

    Raises:
        RunError: if the file is missing, damaged, needs unpickling, is not cracklab's, of a newer version, was trained
            without the command line, or names a net that is not installed here or has other weights.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".ckpt") as file:
        ...     torch.save({"state_dict": {}}, file.name)
        ...     try:
        ...         restore(file.name)
        ...     except RunError as error:
        ...         print(str(error).partition("cracklab: ")[2])
        train with `cracklab fit`, which keeps it
    """
    content = read_checkpoint(checkpoint)
    if not (content.get(KEY) or {}).get("config"):
        raise RunError(
            f"checkpoint {checkpoint} holds no configuration of cracklab: train with `cracklab fit`, which keeps it"
        )
    payload = Payload.from_checkpoint(content, checkpoint)
    config = yaml.safe_load(payload.config)
    net, data = _build(config, checkpoint)
    try:
        net.load_state_dict(net_weights(content))
    except RuntimeError as error:
        raise RunError(
            f"checkpoint {checkpoint} does not fit the net that its configuration names, {type(net).__name__}, as it is "
            f"installed here: {' '.join(str(error).split())[:300]}"
        ) from error
    memory_format = torch.channels_last if config["model"].get("channels_last") else torch.contiguous_format
    epoch = content.get("epoch")
    return TrainedModel(checkpoint, net.eval(), data, payload.threshold, config, payload, epoch, memory_format)


def _build(config: Mapping[str, Any], checkpoint: str | Path) -> tuple[nn.Module, CrackDataModule]:
    """Return the net, without its pretrained weights, and the data module."""
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
