"""Weights that an encoder starts from: from the hub, a package or a file, or none if a checkpoint holds them."""

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
from cracklab.models.packaged import PACKAGED, packaged_weights

NO_DOWNLOADS: Mapping[str, Any] = {"encoder_weights": None, "pretrained": False}
"""Arguments that make a net download weights -> values for which it does not."""

REMEDY = (
    "give a file by --model.net.encoder_weights PATH (.safetensors, or .pth with a state dict of the encoder), or null "
    "for random weights"
)
PREFIXES = ("net.encoder.", "encoder.")
"""Prefixes of the encoder's names in a checkpoint of cracklab and in a net of segmentation-models-pytorch."""


def without_downloads(net: Mapping[str, Any]) -> dict[str, Any]:
    """Return a net's configuration, or its arguments, with pretrained weights switched off, nested nets included.

    Example:
        >>> without_downloads({"class_path": "Unet", "init_args": {"encoder_weights": "imagenet", "classes": 1}})
        {'class_path': 'Unet', 'init_args': {'encoder_weights': None, 'classes': 1}}
    """
    copied = {key: without_downloads(value) if isinstance(value, Mapping) else value for key, value in net.items()}
    return copied | {key: off for key, off in NO_DOWNLOADS.items() if key in net}


def build(cls: Callable[..., nn.Module], *args: Any, fresh: bool = True, **kwargs: Any) -> nn.Module:
    """Build a module whose `encoder_weights` may also be a file, or `packaged`.

    Args:
        cls: the class; one without `encoder_weights` and `pretrained` is simply called.
        args: positional arguments of the class.
        fresh: False if a checkpoint provides all weights, so that neither hub nor package nor file is needed.
        kwargs: keyword arguments of the class.

    Raises:
        ConfigError: if the file or the package is missing or does not fit, or the weights cannot be downloaded from the hub.
    """
    if not fresh:
        return cls(*args, **without_downloads(kwargs))
    wanted = {name: kwargs[name] for name in NO_DOWNLOADS if kwargs.get(name)}
    if not wanted:
        return cls(*args, **kwargs)
    weights = wanted.get("encoder_weights")
    if weights == PACKAGED:
        state = packaged_weights(str(kwargs.get("encoder_name")))
    elif isinstance(weights, str) and (Path(weights).suffix or "/" in weights or Path(weights).is_file()):
        state = read_weights(Path(weights).expanduser())
    else:
        return _from_hub(cls, args, kwargs, wanted)
    net = cls(*args, **without_downloads(kwargs))
    load_encoder(net, state, str(weights))
    return net


def _from_hub(
    cls: Callable[..., nn.Module], args: tuple[Any, ...], kwargs: dict[str, Any], wanted: Mapping[str, Any]
) -> nn.Module:
    """Build a module that downloads the weights in `wanted` itself."""
    use_cache_if_offline()
    try:
        return cls(*args, **kwargs)
    except OSError as error:
        name, value = next(iter(wanted.items()))
        said = " ".join(str(error).split())
        raise ConfigError(f"{name} {value!r} cannot be downloaded from the hub ({said}): {REMEDY}") from error


def load_encoder(net: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict into `net.encoder`.

    The names may be those of torchvision, of timm, of the encoder itself, or of a checkpoint of cracklab. The weights of
    a classifier are ignored. A first convolution of three channels is summed for an image of one channel, and repeated
    for more than three.

    Args:
        net: the net.
        weights: the state dict.
        source: the value of `encoder_weights`, for error messages.

    Raises:
        ConfigError: if the net has no encoder, or the weights fit another one.
    """
    encoder = getattr(net, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ConfigError(f"encoder_weights {source}: {type(net).__name__} has no encoder; set it to null")
    own = encoder.state_dict()
    names = {_plain(name): name for name in own}
    state = {names.get(_plain(name), name): tensor for name, tensor in weights.items()}
    if all(name in state or name.endswith("num_batches_tracked") for name in own):
        state = {name: state[name] for name in own if name in state}  # else the encoder renames them itself
    try:
        encoder.load_state_dict({name: _with_channels(tensor, own.get(name)) for name, tensor in state.items()})
    except (RuntimeError, KeyError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(
            f"encoder_weights {source} does not fit the encoder of {type(net).__name__} ({said[:300]} ...): give weights of "
            "that encoder, or set model.net.encoder_name to that of the file"
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a state dict by name; of a whole net's state dict, only those of its encoder.

    Raises:
        ConfigError: if the file is missing or holds no state dict.
    """
    if not path.is_file():
        raise ConfigError(f"encoder_weights {path} is not a file: {REMEDY}")
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


def use_cache_if_offline() -> None:
    """Restrict the hub's library to its cache if the hub does not answer within 3 s: it would retry for a minute."""
    from huggingface_hub import constants
    from lightning.pytorch.utilities import rank_zero_only

    if constants.HF_HUB_OFFLINE or _is_reachable(constants.ENDPOINT):
        return
    rank_zero_only(print)(f"{constants.ENDPOINT} does not answer: pretrained weights are taken from its local cache")
    constants.HF_HUB_OFFLINE = True


def _is_reachable(address: str) -> bool:
    """Return whether a server is reachable; HTTP and TLS errors count as reachable."""
    try:
        urlopen(Request(address, method="HEAD"), timeout=3).close()
    except HTTPError:
        return True
    except OSError as error:
        return isinstance(getattr(error, "reason", None), ssl.SSLError)
    return True


def _plain(name: str) -> str:
    """Return one form of a name for timm's whole nets, `stages.0.x`, and its feature extractors, `model.stages_0.x`."""
    return name.removeprefix("model.").replace(".", "_")


def _with_channels(tensor: Tensor, own: Tensor | None) -> Tensor:
    """Return the weight of a first convolution adapted to the encoder's number of channels; other weights unchanged."""
    from timm.models import adapt_input_conv

    if own is None or own.ndim != 4 or tensor.ndim != 4 or own.shape[1] == tensor.shape[1] or tensor.shape[1] != 3:
        return tensor
    return adapt_input_conv(own.shape[1], tensor)
