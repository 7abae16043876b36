"""Weights that an encoder begins with: from the hub, from a file, or none where a checkpoint brings its own."""

import pickle
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cracklab.errors import ConfigError

NONE: Mapping[str, Any] = {"encoder_weights": None, "pretrained": False}
"""Arguments of nets that ask for weights, and their values for none."""

REMEDY = (
    "give a file by --model.net.encoder_weights PATH (.safetensors, or .pth with a state dict of the encoder), or null "
    "for random weights"
)
PREFIXES = ("net.encoder.", "encoder.")
"""What precedes the encoder's names in a checkpoint of cracklab, or in a whole net of segmentation-models-pytorch."""


def build(cls: Callable[..., nn.Module], *args: Any, fresh: bool = True, **kwargs: Any) -> nn.Module:
    """Make a module, whose `encoder_weights` may be a file too.

    Args:
        cls: its class; one without `encoder_weights` and `pretrained` is just made.
        args: of the class.
        fresh: False: a checkpoint brings all weights, so that neither hub nor file is needed.
        kwargs: of the class.

    Raises:
        ConfigError: for a file that is missing or fits nothing, and for a hub that does not answer.
    """
    wanted = {name: kwargs[name] for name in NONE if kwargs.get(name)}
    bare = {**kwargs, **{name: NONE[name] for name in wanted}}
    if not wanted or not fresh:
        return cls(*args, **bare)
    weights = wanted.get("encoder_weights")
    if isinstance(weights, str) and (Path(weights).suffix or "/" in weights or Path(weights).is_file()):
        net = cls(*args, **bare)
        load_encoder(net, Path(weights).expanduser())
        return net
    ask_hub()
    try:
        return cls(*args, **kwargs)
    except OSError as error:
        name, value = next(iter(wanted.items()))
        said = " ".join(str(error).split())
        raise ConfigError(f"{name} {value!r} cannot be had from the hub ({said}): {REMEDY}") from error


def load_encoder(net: nn.Module, path: Path) -> None:
    """Give `net.encoder` the weights of a file.

    Names are those of torchvision, of timm, of the encoder itself, or of a checkpoint of cracklab. A classifier's weights
    are left out; a first convolution of three channels is summed for one, and repeated for more than three.

    Raises:
        ConfigError: where the file is missing, is no file of weights, or fits another encoder.
    """
    encoder = getattr(net, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ConfigError(f"encoder_weights {path}: {type(net).__name__} has no encoder; set it to null")
    own = encoder.state_dict()
    names = {_plain(name): name for name in own}
    state = {names.get(_plain(name), name): tensor for name, tensor in read_weights(path).items()}
    if all(name in state or name.endswith("num_batches_tracked") for name in own):
        state = {name: state[name] for name in own if name in state}  # else the encoder has a way of its own to rename
    try:
        encoder.load_state_dict({name: _with_channels(tensor, own.get(name)) for name, tensor in state.items()})
    except (RuntimeError, KeyError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(
            f"encoder_weights {path} does not fit the encoder of {type(net).__name__} ({said[:300]} ...): give weights of "
            "that encoder, or set model.net.encoder_name to theirs"
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name; of a net's, those of its encoder.

    Raises:
        ConfigError: where the file is missing, or holds none.
    """
    if not path.is_file():
        raise ConfigError(f"encoder_weights {path} is no file: {REMEDY}")
    try:
        content: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        said = str(error).partition("\n")[0]
        raise ConfigError(f"encoder_weights {path} cannot be read ({said}): {REMEDY}") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise ConfigError(f"encoder_weights {path} holds no state dict: {REMEDY}")
    state = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    for prefix in PREFIXES:
        if any(name.startswith(prefix) for name in state):
            return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return state


def ask_hub() -> None:
    """Leave the hub to its cache where it does not answer within three seconds: its library would try for a minute."""
    from huggingface_hub import constants
    from lightning.pytorch.utilities import rank_zero_only

    if constants.HF_HUB_OFFLINE or _answers(constants.ENDPOINT):
        return
    rank_zero_only(print)(
        f"{constants.ENDPOINT} does not answer: pretrained weights come from this machine's cache of it"
    )
    constants.HF_HUB_OFFLINE = True


def _answers(address: str) -> bool:
    """Whether a server says anything, be it that it refuses, or that Python does not know who vouches for it."""
    try:
        urlopen(Request(address, method="HEAD"), timeout=3).close()
    except HTTPError:
        return True
    except OSError as error:
        return isinstance(getattr(error, "reason", None), ssl.SSLError)
    return True


def _plain(name: str) -> str:
    """A name as timm has it for a whole net, and for one that only makes features: `stages.0.x`, `model.stages_0.x`."""
    return name.removeprefix("model.").replace(".", "_")


def _with_channels(tensor: Tensor, own: Tensor | None) -> Tensor:
    """The weight of a first convolution for as many channels as the encoder has."""
    from timm.models import adapt_input_conv

    if own is None or own.ndim != 4 or tensor.ndim != 4 or own.shape[1] == tensor.shape[1] or tensor.shape[1] != 3:
        return tensor
    return adapt_input_conv(own.shape[1], tensor)
