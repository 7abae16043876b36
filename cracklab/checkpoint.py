"""The content of a checkpoint; reading it without running code, and writing it whole."""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from cracklab import plain_yaml, run_folder
from cracklab.checkpoint_checks import NET, VERSION, check_archive, check_finite, damaged, first_not_finite, release
from cracklab.errors import RunError, RunFailure
from cracklab.files import atomic_write
from cracklab.version import __version__
from cracklab.weights import checkpoint_file

KEY = "cracklab"
"""Where the payload lies among Lightning's own entries."""
MAX_NAMES = 1000
"""Largest number of class names, and of characters of one."""


@dataclass(frozen=True)
class Payload:
    """The part of a checkpoint that is cracklab's own, kept as plain strings and numbers.

    Predict, test and export rebuild the net and the data transform from it.
    """

    config: str
    """The resolved configuration as YAML; empty for a run that was trained without the command line."""
    threshold: float
    """The probability threshold that validation chose."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Provenance of the training data; see `cracklab.data.provenance`."""
    version: str = __version__
    """The version of cracklab that wrote the checkpoint."""

    class_names: tuple[str, ...] | None = None
    """One name for each channel of the net's output; None in checkpoints of cracklab 0.1.0."""

    def to_entry(self) -> dict[str, Any]:
        """Return the entry to store under `KEY`."""
        names = {} if self.class_names is None else {"class_names": list(self.class_names)}
        return {
            "version": self.version,
            "config": self.config,
            "threshold": self.threshold,
            "data": json.dumps(self.data),
            **names,
        }

    @classmethod
    def from_checkpoint(cls, content: Mapping[str, Any], path: str | Path = "") -> "Payload":
        """Read the payload of a checkpoint.

        Args:
            content: the checkpoint, as `read_checkpoint` returns it.
            path: its file, for error messages.

        Raises:
            RunError: if the checkpoint was written by another program or by a newer version, or the payload is damaged.
        """
        entry = content.get(KEY)
        if entry is None:
            raise RunError(
                f"the checkpoint {path} was not written by cracklab: it lacks the key {KEY!r}".replace("  ", " ")
            )
        if not isinstance(entry, Mapping):
            raise damaged(path, f"the entry {KEY!r}", entry, "names and values")
        version: Any = entry.get("version")
        threshold: Any = entry.get("threshold")
        names: Any = entry.get("class_names")
        if not isinstance(version, str) or not VERSION.fullmatch(version):
            raise damaged(path, "the version", version, "a version such as 0.1.0")
        if release(version) > release(__version__):
            raise RunError(
                f"checkpoint {path} was written by cracklab {version}, and this is {__version__}: update cracklab"
            )
        if not isinstance(entry.get("config"), str):
            raise damaged(path, "the configuration", entry.get("config"), "text")
        if type(threshold) not in (int, float) or not 0 <= threshold <= 1:
            raise damaged(path, "the threshold", threshold, "a number from 0 to 1")
        if names is not None and not _are_names(names):
            raise damaged(path, "the list of class names", names, "texts")
        return cls(
            entry["config"],
            float(threshold),
            _data_of(entry.get("data", "{}"), path),
            version,
            None if names is None else tuple(names),
        )

    def read_config(self, path: str | Path = "") -> dict[str, Any]:
        """Read the configuration, with its groups `model` and `data`; empty for a run that was trained without the command line.

        Args:
            path: the checkpoint, for error messages.

        Raises:
            RunError: if the configuration is damaged.

        Example:
            >>> Payload("{model: {}, data: [1]}", 0.5).read_config("last.ckpt")
            Traceback (most recent call last):
            cracklab.errors.RunError: checkpoint last.ckpt is damaged: the group 'data' of the configuration is a list, expected keys and values: give one that `cracklab fit` wrote
        """
        if not self.config:
            return {}
        try:
            config = plain_yaml.load(self.config)
        except yaml.YAMLError as error:
            said = " ".join(str(error).split())[:200]
            raise RunError(
                f"checkpoint {path} is damaged: its configuration cannot be read ({said}): give one that `cracklab fit` wrote"
            ) from error
        if not isinstance(config, dict):
            raise damaged(path, "the configuration", config, "keys and values")
        for group in ("model", "data"):
            if not isinstance(config.get(group), dict):
                raise damaged(path, f"the group {group!r} of the configuration", config.get(group), "keys and values")
        return config


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint with its tensors on the CPU, refusing anything that would need unpickling.

    Args:
        path: its file, or `cracklab:NAME`, see `checkpoint_file`.

    Raises:
        RunError: if the file is missing, damaged, or holds more than tensors, strings and numbers, or weights that are not
            finite.
    """
    path = checkpoint_file(path)
    advice = f"give the path of a file, for instance RUN/{run_folder.BEST}"
    if not Path(path).is_file():
        raise RunError(f"checkpoint {path} {'is a folder' if Path(path).is_dir() else 'does not exist'}: {advice}")
    try:
        check_archive(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(content, dict):
            check_finite(content, path)
    except RunError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunError(f"checkpoint {path} is damaged or needs unpickling, which could run code: {reason}") from error
    if not isinstance(content, dict):
        raise RunError(f"checkpoint {path} holds only a {type(content).__name__}: give one that `cracklab fit` wrote")
    return content


def write_checkpoint(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint whole or not at all.

    Raises:
        RunFailure: if weights of the net are not finite, so that no such checkpoint becomes the best or the last.
        OSError: if the file cannot be written.
    """
    if (name := first_not_finite(content.get("state_dict", {}))) is not None:
        raise RunFailure(
            f"the weights are not finite ({name}), since training diverged; {path} is not written: lower the learning rate"
        )
    with atomic_write(Path(path)) as temporary:
        try:
            torch.save(dict(content), temporary)
        except RuntimeError as error:  # PyTorch's writer has no error of its own for a full disk
            _probe(temporary)
            raise OSError(errno.EIO, " ".join(str(error).split())[:200], str(path)) from error


def _probe(path: Path) -> None:
    """Write a block to the end of a file, which raises the error of the system that a library did not name."""
    with path.open("ab") as file:
        file.write(bytes(1 << 20))
        os.fsync(file.fileno())


def net_weights(content: Mapping[str, Any], path: str | Path = "") -> dict[str, Tensor]:
    """Return the tensors of the net, by their names in the net.

    Raises:
        RunError: if the checkpoint holds anything but tensors there; a loss may keep other entries of its own.
    """
    state = content.get("state_dict", {})
    if not isinstance(state, Mapping):
        raise damaged(path, "the entry 'state_dict'", state, "tensors by name")
    if not all(isinstance(name, str) for name in state):
        raise damaged(path, "the entry 'state_dict'", state, "tensors by name")
    found = {name.removeprefix(NET): value for name, value in state.items() if name.startswith(NET)}
    for tensor in found.values():
        if not isinstance(tensor, Tensor) or tensor.layout is not torch.strided:
            raise damaged(path, "an entry of 'state_dict'", tensor, "a dense tensor with its name")
    return found


def load_net(net: nn.Module, content: Mapping[str, Any], path: str | Path, refusal: str) -> None:
    """Load the weights of a checkpoint into a net.

    Args:
        net: the net.
        content: the checkpoint.
        path: its file, for error messages.
        refusal: beginning of the error message.

    Raises:
        RunError: if names or shapes differ.
    """
    try:
        net.load_state_dict(net_weights(content, path))
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise RunError(f"{refusal}: {' '.join(str(error).split())[:300]}") from error


def _data_of(text: Any, path: str | Path) -> dict[str, Any]:
    """Return the provenance of the training data."""
    try:
        data = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise damaged(path, "the description of the data", text, "JSON") from None
    if not isinstance(data, dict):
        raise damaged(path, "the description of the data", data, "names and values")
    kinds = {"layout": str, "images": dict, "seen": str, "mean": list, "std": list, "scale": list}
    for name, kind in kinds.items():
        if name in data and not isinstance(data[name], kind):
            raise damaged(path, f"{name!r} of the data", data[name], f"a {kind.__name__}")
    scale = data.get("scale", [1, 1])
    if len(scale) != 2 or not all(type(value) in (int, float) and 0 < value < 1e6 for value in scale):
        raise damaged(path, "the scale of the data", scale, "two positive numbers")
    return data


def _are_names(names: Any) -> bool:
    return (
        isinstance(names, Sequence)
        and not isinstance(names, str)
        and 1 <= len(names) <= MAX_NAMES
        and all(isinstance(name, str) and len(name) <= MAX_NAMES for name in names)
    )


def initialise_net(net: nn.Module, path: str | Path, content: Mapping[str, Any]) -> None:
    """Load a net that was configured from a checkpoint.

    Args:
        net: the net.
        path: the file.
        content: of the file.

    Raises:
        RunError: for a checkpoint that is not cracklab's, or that is of another net.
    """
    Payload.from_checkpoint(content, path)
    refusal = f"does not fit {type(net).__name__} as it is configured, set model.net to that of the checkpoint's run"
    load_net(net, content, path, f"checkpoint {path} {refusal}")
