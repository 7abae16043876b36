"""What a checkpoint holds, how it is read without running code, and how it is written whole."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cracklab import run_folder
from cracklab.errors import RunError
from cracklab.files import atomic_write
from cracklab.version import __version__

KEY = "cracklab"
"""Where the payload lies among Lightning's own entries."""
NET = "net."
"""Prefix of the net's tensors in `state_dict`; a loss may have tensors of its own."""


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

    def to_entry(self) -> dict[str, Any]:
        """Return the entry to store under `KEY`."""
        return {
            "version": self.version,
            "config": self.config,
            "threshold": self.threshold,
            "data": json.dumps(self.data),
        }

    @classmethod
    def from_checkpoint(cls, content: Mapping[str, Any], path: str | Path = "") -> "Payload":
        """Read the payload of a checkpoint.

        Args:
            content: the checkpoint, as `read_checkpoint` returns it.
            path: its file, for error messages.

        Raises:
            RunError: if the checkpoint was written by another program or by a newer version.
        """
        entry = content.get(KEY)
        if entry is None:
            raise RunError(
                f"the checkpoint {path} was not written by cracklab: it lacks the key {KEY!r}".replace("  ", " ")
            )
        version = str(entry.get("version", "0"))
        if _release(version) > _release(__version__):
            raise RunError(
                f"checkpoint {path} was written by cracklab {version}, and this is {__version__}: update cracklab"
            )
        return cls(entry["config"], float(entry["threshold"]), json.loads(entry.get("data", "{}")), version)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint with its tensors on the CPU, refusing anything that would need unpickling.

    Raises:
        RunError: if the file is missing, damaged, or holds more than tensors, strings and numbers.
    """
    if not Path(path).is_file():
        raise RunError(f"checkpoint {path} does not exist: give the path of a file, for instance RUN/{run_folder.BEST}")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise RunError(f"checkpoint {path} is damaged or needs unpickling, which could run code: {reason}") from error
    if not isinstance(content, dict):
        raise RunError(f"checkpoint {path} holds a {type(content).__name__} alone: give one that `cracklab fit` wrote")
    return content


def write_checkpoint(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint whole or not at all."""
    with atomic_write(Path(path)) as temporary:
        torch.save(dict(content), temporary)


def net_weights(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of the net, by their names in the net."""
    state = content.get("state_dict", {})
    return {name.removeprefix(NET): value for name, value in state.items() if name.startswith(NET)}


def _release(version: str) -> tuple[int, ...]:
    """Return major and minor number; checkpoints stay readable within them."""
    return tuple(int(part) for part in version.split(".")[:2])
