"""The net as ONNX, from grey levels to probabilities and masks, and the comparison with PyTorch."""

import copy
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import get_same_padding
from torch import Tensor, nn

from cracklab.errors import CracklabError
from cracklab.logits import probabilities
from cracklab.predict.tiles import GRID
from cracklab.predict.trained_model import TrainedModel
from cracklab.synthetic.draw import draw

OPSET = 18
"""Version of the ONNX operator set."""
SIZES = ((128, 160), (256, 192), (96, 320))
"""Sizes of the synthetic walls on which both are compared, px."""
TOLERANCE = 1e-4
"""Largest difference in probability that is accepted."""


class ExportError(CracklabError):
    """A net that cannot be written as ONNX, or that predicts differently there."""


class Deployed(nn.Module):
    """A net from grey levels to probabilities and masks.

    (B, C_in, H, W) uint8 to (B, C, H, W) float32, and (B, 1, H, W) uint8: 0 / 255, or the most probable class.
    """

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.net, self.transform, self.threshold = model.net, model.transform, model.threshold
        self.memory_format = model.memory_format

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise, compute probabilities, and apply the threshold."""
        image = self.transform.normalise(image).contiguous(memory_format=self.memory_format)
        probability = probabilities(self.net(image).float())
        if probability.shape[1] == 1:
            return probability, (probability > self.threshold).to(torch.uint8) * 255
        return probability, probability.argmax(1, keepdim=True).to(torch.uint8)


def with_constant_padding(deployed: Deployed) -> Deployed:
    """Return a copy whose convolutions with TensorFlow's padding pad by constants.

    timm's `Conv2dSame` computes its padding from the size of its input. For torch's exporter, which keeps sizes as expressions,
    these grow with every such layer, so that EfficientNet-Lite0 takes more than minutes. If the stride divides the side, as it does
    for sides of multiples of 32 px and nets that reduce them at most 32 times, the padding is max(d (k - 1) + 1 - s, 0) for every
    side; `compare` checks it.

    Example:
        >>> from types import SimpleNamespace
        >>> net = nn.Sequential(Conv2dSame(3, 1, 3, stride=2))
        >>> deployed = Deployed(SimpleNamespace(net=net, transform=None, threshold=0.5, memory_format=None))
        >>> image = torch.rand(1, 3, 64, 32)
        >>> with_constant_padding(deployed).net
        Sequential(
          (0): Sequential(
            (0): ZeroPad2d((0, 1, 0, 1))
            (1): Conv2d(3, 1, kernel_size=(3, 3), stride=(2, 2))
          )
        )
        >>> torch.equal(with_constant_padding(deployed).net(image), net(image))
        True
    """
    fixed = copy.deepcopy(deployed)
    for name, conv in list(fixed.named_modules()):
        if isinstance(conv, Conv2dSame):
            parent, _, own = name.rpartition(".")
            setattr(fixed.get_submodule(parent), own, _constant_padding(conv))
    return fixed


def _constant_padding(conv: Conv2dSame) -> nn.Sequential:
    of: Any = conv  # torch gives the sizes of a layer a wider type than its constructor takes
    sizes = zip(of.stride, of.kernel_size, of.stride, of.dilation, strict=True)
    down, across = (get_same_padding(*one) for one in sizes)  # of a side of one stride, and so of every multiple of it
    plain = nn.Conv2d(
        of.in_channels, of.out_channels, of.kernel_size, of.stride, 0, of.dilation, of.groups, of.bias is not None
    )
    plain.load_state_dict(conv.state_dict())
    return nn.Sequential(nn.ZeroPad2d((across // 2, across - across // 2, down // 2, down - down // 2)), plain)


def to_onnx(deployed: Deployed, path: Path, metadata: dict[str, str]) -> None:
    """Write a net as ONNX, for batches of any size and images whose sides are multiples of 32 px.

    Raises:
        ExportError: with the exporter's reason.
    """
    trace(deployed).save(str(path), external_data=False)
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def trace(deployed: Deployed, optimize: bool = True) -> Any:
    """Return a net as a program of torch's exporter.

    Args:
        deployed: the net.
        optimize: join layers where possible, for instance normalisations with the convolutions before them.

    Raises:
        ExportError: with the exporter's reason.
    """
    batch, rows, columns = (torch.export.Dim(name) for name in ("batch", "rows", "columns"))
    example = torch.zeros((2, deployed.transform.channels, *SIZES[0]), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.onnx.export(
                with_constant_padding(deployed),
                (example,),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                optimize=optimize,
                input_names=["image"],
                output_names=["probability", "mask"],
                dynamic_shapes={"image": {0: batch, 2: GRID * rows, 3: GRID * columns}},
            )
    except OSError:  # the disk is full, for instance
        raise
    except Exception as error:  # the exporter raises many types
        said = " ".join(str(error).split())[:400]
        raise ExportError(f"{type(deployed.net).__name__} cannot be written as ONNX: {said}") from error


def compare(deployed: Deployed, path: Path) -> float:
    """Return the largest difference in probability between onnxruntime and PyTorch, on three synthetic walls.

    Raises:
        ExportError: if it is above 1e-4, or a mask differs at a pixel whose probability is not within 2e-4 of the threshold.
    """
    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    largest = 0.0
    for seed, size in enumerate(SIZES):
        image = deployed.transform.planes(draw(seed, size)[0])[None]
        probability, mask = session.run(None, {"image": image})
        with torch.inference_mode():
            expected, expected_mask = (tensor.numpy() for tensor in deployed(torch.from_numpy(image)))
        difference = float(np.abs(probability - expected).max())
        ordered = np.sort(expected, axis=1)
        margin = abs(ordered - deployed.threshold) if len(ordered[0]) == 1 else ordered[:, -1:] - ordered[:, -2:-1]
        if not difference <= TOLERANCE or (mask != expected_mask)[margin > 2 * TOLERANCE].any():
            raise ExportError(
                f"the exported net differs from PyTorch by {difference:.2g} in probability on a synthetic wall of "
                f"{size[1]} x {size[0]} px, and at most {TOLERANCE} is accepted: nothing was written"
            )
        largest = max(largest, difference)
    return largest
