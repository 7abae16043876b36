"""A trained model, rebuilt from a checkpoint alone: net, data transform and threshold."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import ArgumentError, ArgumentParser
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cracklab.checkpoint import Payload, load_net, read_checkpoint
from cracklab.data.images import Array
from cracklab.data.layouts import class_names_of
from cracklab.data.resizing import Interpolation
from cracklab.data.transform import EvalTransform
from cracklab.errors import ConfigError, CracklabError, RunError
from cracklab.logits import probabilities
from cracklab.models.rebuild import MORE_VALUES, rebuild
from cracklab.predict.folding import fold_normalisation
from cracklab.predict.memory import PeakMemory
from cracklab.predict.reach import measure_reach
from cracklab.predict.scales import SCALES, default_scales
from cracklab.predict.tiles import Floats
from cracklab.weights import checkpoint_file

MEASURED = 128
"""Side of the images on which memory is measured and a folded net compared, px."""
SAME = 1.001
"""Numbers of operations per pixel that differ by less are the same."""
BLOCK = 8
"""Side of a block of one colour in the latter, px."""


@dataclass
class TrainedModel:
    """A net in evaluation mode, with the data transform and the threshold that its photos and probabilities need.

    Attributes:
        path: file of the checkpoint.
        net: maps normalised images (B, C_in, H, W) to logits (B, C, H, W).
        transform: the transform that photos went through in training.
        class_names: one name for each channel of the net's output.
        threshold: the probability threshold that validation chose.
        config: the configuration of the run.
        payload: the part of the checkpoint that is cracklab's own.
        epoch: the epoch of the checkpoint, from 0.
        memory_format: of the images that the net gets.
        device: where the net is.

    Example:
        >>> transform, payload = EvalTransform(crop=128, resize=32), Payload(config="", threshold=0.4)
        >>> model = TrainedModel("best.ckpt", nn.Identity(), transform, ("crack",), 0.4, {}, payload)
        >>> model.probabilities(torch.zeros(1, 1, 1, 2)).tolist()  # the sigmoid of 0
        [[[[0.5, 0.5]]]]
        >>> model.scale  # 128 px in the photo are 32 px in the net
        (0.25, 0.25)
    """

    path: str | Path
    net: nn.Module
    transform: EvalTransform
    class_names: tuple[str, ...]
    threshold: float
    config: dict[str, Any]
    payload: Payload
    epoch: int | None = None
    memory_format: torch.memory_format = torch.contiguous_format
    device: str = "cpu"
    _folded: nn.Module | None = None

    @property
    def scales(self) -> tuple[float, ...]:
        """Default of the scales at which a photo is scored, relative to `scale`."""
        return default_scales(self.path, self.config.get("model", {}).get("scales"))

    @property
    def interpolation(self) -> Interpolation:
        """How photos are resized to a smaller size."""
        return self.transform.interpolation

    @cached_property
    def reach(self) -> int | None:
        """Reach of the net, px at its scale, measured on first use; see `measure_reach`.

        A net that needs more operations per pixel in larger images, as attention does, has none, however little far pixels matter:
        large tiles would take it longer than small ones, and could fill the memory.
        """
        self.score(blank(MEASURED))  # folds the net, which is not to be counted
        small, large = (self._operations(side) / side**2 for side in (MEASURED, 2 * MEASURED))
        return None if large > SAME * small else measure_reach(self.score)

    def _operations(self, side: int) -> int:
        """Return the number of multiplications and additions for an image of side x side px."""
        fused = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # one operation, which is not counted
        try:
            with FlopCounterMode(display=False) as counter:
                self.score(blank(side))
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
        return int(counter.get_total_flops())

    @cached_property
    def bytes_per_px(self) -> float:
        """Memory that the net needs for each pixel of a tile, measured on first use; workspaces of the operations are not counted."""
        self.score(blank(MEASURED))  # folds the net, which is not to be counted
        with PeakMemory() as memory:
            self.score(blank(MEASURED))
        return float(memory.peak / MEASURED**2)

    @property
    def seen(self) -> Collection[str]:
        """Fingerprints of the images that the net was trained on."""
        return str(self.payload.data.get("seen", "")).split()

    def to(self, device: str | None) -> str:
        """Move the net to a device, by default to a GPU if there is one, and return its type, `cpu` or `cuda`.

        Raises:
            ConfigError: if tensors cannot be made on it.
        """
        wanted = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            torch.zeros(1, device=wanted).item()  # which the device `meta` cannot do
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"device {wanted!r} cannot be used: {str(error).splitlines()[0]}") from error
        self.device, self.memory_format = wanted, torch.channels_last  # a tenth faster on a CPU too
        self._folded = None
        self.net.to(wanted).to(memory_format=self.memory_format)
        return torch.device(wanted).type

    @torch.inference_mode()
    def score(self, tiles: Array) -> Floats:
        """Return the probabilities (B, C, h, w) of tiles (B, h, w, 3) uint8 RGB.

        Normalisations are folded into the convolutions, which changes probabilities by rounding alone.
        """
        planes = torch.from_numpy(np.stack([self.transform.planes(tile) for tile in tiles]))
        image = self.transform.normalise(planes.to(self.device))
        if self._folded is None:
            self._folded = fold_normalisation(self.net, self._example())
        return np.asarray(self.probabilities(image, self._folded).cpu().numpy(), np.float32)

    def _example(self) -> Tensor:
        """Return a normalised image of blocks of every brightness and colour, which shows differences that a dark photo would not."""
        side = MEASURED // BLOCK
        colours = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
        planes = self.transform.planes(colours.repeat(BLOCK, 0).repeat(BLOCK, 1))
        return self.transform.normalise(torch.from_numpy(planes[None]).to(self.device))

    def probabilities(self, image: Tensor, net: nn.Module | None = None) -> Tensor:
        """Return the probabilities (B, C, H, W) of normalised images (B, C_in, H, W), float32.

        Raises:
            RunError: if the net does not give logits of this size and number of classes.
        """
        logits = (net or self.net)(image.contiguous(memory_format=self.memory_format))
        expected = (len(image), self.num_classes, *image.shape[2:])
        if not isinstance(logits, Tensor) or logits.shape != expected:
            found = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
            raise RunError(f"the net of checkpoint {self.path} gives {found} instead of logits of shape {expected}")
        return probabilities(logits.float())

    @property
    def provenance(self) -> dict[str, Any]:
        """Version, epoch and training data of the weights, for files that people read; without fingerprints of images."""
        data = {key: value for key, value in self.payload.data.items() if key != "seen"}
        return {"cracklab": self.payload.version, "epoch": self.epoch, "data": data}

    @property
    def num_classes(self) -> int:
        """Number of classes; 1 for crack or not."""
        return len(self.class_names)

    @property
    def scale(self) -> tuple[float, float]:
        """(vertical, horizontal) scale at which the net saw the training images: px in the net over px in the file.

        With `data.crop` it is `data.resize` over the crop. Without a crop it is the scale that `data.resize` meant for the
        training images, which the checkpoint keeps. A larger photo is not squeezed into the size of the training images.

        Raises:
            RunError: if the checkpoint does not keep the scale, or the scale is absurd.
        """
        scale = self._scale()
        if not all(SCALES[0] <= value <= SCALES[1] for value in scale):
            raise RunError(
                f"checkpoint {self.path} would resize photos by {scale[0]:.3g} and {scale[1]:.3g}, and 1/256 to 16 is accepted"
            )
        return scale

    def _scale(self) -> tuple[float, float]:
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


def blank(side: int) -> Array:
    """Return a batch of one black image of side x side px."""
    return np.zeros((1, side, side, 3), np.uint8)


def restore(checkpoint: str | Path, trust: Collection[str] = ()) -> TrainedModel:
    """Rebuild the net and the data transform from the configuration in a checkpoint, and load the weights.

    A checkpoint is data: only nets of known libraries are built, from plain arguments; see `cracklab.models.rebuild`. Loss,
    optimizer, schedule, layout and augmentation are ignored, so that they need not be installed where photos are predicted.

    Args:
        checkpoint: its file, or `cracklab:cracks` for the model that ships.
        trust: class paths of other nets that the checkpoint may name.

    Raises:
        RunError: if the file is missing, damaged, needs unpickling, is not cracklab's, of a newer version, was trained
            without the command line, or names a net that is unknown, not installed here or has other weights.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".ckpt") as file:
        ...     torch.save({"cracklab": Payload(config="", threshold=0.5).to_entry()}, file.name)
        ...     try:
        ...         restore(file.name)
        ...     except RunError as error:
        ...         print(str(error).partition("cracklab: ")[2])
        train with `cracklab fit`, which keeps it
    """
    checkpoint = checkpoint_file(checkpoint)
    content = read_checkpoint(checkpoint)
    payload = Payload.from_checkpoint(content, checkpoint)
    if not payload.config:
        raise RunError(
            f"checkpoint {checkpoint} holds no configuration of cracklab: train with `cracklab fit`, which keeps it"
        )
    config = payload.read_config(checkpoint)
    try:
        net = rebuild(config["model"].get("net"), Path(checkpoint).stat().st_size + MORE_VALUES, trust)
        transform = _transform(config["data"])
        names = payload.class_names or class_names_of(config["data"].get("layout"))
    except CracklabError as error:
        raise RunError(f"checkpoint {checkpoint} cannot be rebuilt here: {' '.join(str(error).split())}") from error
    name = type(net).__name__
    load_net(
        net,
        content,
        checkpoint,
        f"checkpoint {checkpoint} does not fit the net that its configuration names, {name}, as it is installed here",
    )
    memory_format = torch.channels_last if config["model"].get("channels_last") is True else torch.contiguous_format
    epoch = content.get("epoch")
    return TrainedModel(
        checkpoint,
        net.eval(),
        transform,
        names,
        payload.threshold,
        config,
        payload,
        epoch if isinstance(epoch, int) else None,
        memory_format,
    )


def _transform(data: Mapping[str, Any]) -> EvalTransform:
    """Return the transform of a configuration's group `data`; the types of its fields name no classes.

    Raises:
        RunError: for values that cannot be used.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(EvalTransform, "data")
    names = [field.name for field in fields(EvalTransform)]
    try:
        parsed = parser.parse_object({"data": {name: data[name] for name in names if name in data}})
        transform: EvalTransform = parser.instantiate(parsed).data
    except (ArgumentError, ArithmeticError, TypeError, ValueError) as error:
        raise RunError(str(error)) from error
    return transform
