"""A model that ships, run by ONNX Runtime on a processor: PyTorch is not imported, which takes ten seconds.

The graph of the net is NAME.onnx beside NAME.ckpt, and its weights are those in the checkpoint; `cracklab.export.linked` writes it.
"""

import json
import os
from collections.abc import Collection
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np

from cracklab.data.images import Array
from cracklab.data.resizing import Interpolation, planes_of
from cracklab.errors import ConfigError, RunError
from cracklab.files import sha256
from cracklab.predict.tiles import Floats
from cracklab.weights import graph_file

GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Devices of the drivers of NVIDIA and AMD, and of Windows' in its Linux; Windows itself has the library nvcuda."""


class DeployedModel:
    """A model that ships, in ONNX Runtime; a `Model`.

    Args:
        path: its checkpoint.

    Raises:
        RunError: if the graph is missing or damaged, or was made from another checkpoint.

    Example:
        >>> from cracklab.weights import checkpoint_file
        >>> model = DeployedModel(checkpoint_file("cracklab:cracks"))
        >>> model.scale, round(model.threshold, 3), model.score(np.full((1, 64, 96, 3), 200, np.uint8)).shape
        ((1.0, 1.0), 0.578, (1, 1, 64, 96))
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime  # on first use, so that --help does not wait for it

        self.path = path
        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # beside other work it slows both down
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(graph_file(path)), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has types of its own
            reason = str(error).strip().splitlines()[0]
            raise RunError(f"{graph_file(path)} cannot be loaded: {reason}: install cracklab again") from error
        self._settings = json.loads(self._session.get_modelmeta().custom_metadata_map["cracklab"])
        if self._settings["sha256"] != sha256(path):
            raise RunError(f"{graph_file(path)} was made from another file than {path}: install cracklab again")
        self.threshold: float = self._settings["threshold"]
        self.class_names: tuple[str, ...] = tuple(self._settings["class_names"])
        self._channels: int = self._settings["channels"]
        self.interpolation: Interpolation = self._settings["interpolation"]
        self.scale: tuple[float, float] = (self._settings["scale"][0], self._settings["scale"][1])
        self.scales: tuple[float, ...] = tuple(self._settings["scales"])
        self.reach: int | None = self._settings["reach"]
        self.provenance: dict[str, Any] = self._settings["provenance"]

    @property
    def seen(self) -> Collection[str]:
        """Fingerprints of the images that the net was trained on; those of the checkpoint, which PyTorch reads."""
        from cracklab.predict.trained_model import restore

        return restore(self.path).seen

    def to(self, device: str | None) -> str:
        """Stay on the processor.

        Raises:
            ConfigError: for any other device.
        """
        if device not in (None, "cpu"):
            raise ConfigError(f"device {device!r} cannot be used by ONNX Runtime here: give cpu")
        return "cpu"

    def score(self, tiles: Array) -> Floats:
        """Return the probabilities (B, C, h, w) of tiles (B, h, w, 3) uint8 RGB."""
        planes = np.stack([planes_of(tile, self._channels) for tile in tiles])
        scores: Floats = self._session.run(["probability"], {"image": planes})[0]
        return scores


def gpu_may_be_there() -> bool:
    """Return whether this machine has the driver of a GPU, without importing PyTorch, which then decides."""
    return find_library("nvcuda") is not None or any(map(os.path.exists, GPU_FILES))


def _threads() -> int:
    """Return the number of threads for a net: `OMP_NUM_THREADS`, which PyTorch heeds too, else the cores of this process."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(asked) if asked.isdecimal() and int(asked) else cores
