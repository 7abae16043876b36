"""A net in ONNX Runtime, on a CPU: PyTorch is not imported, which takes ten seconds.

It is the model.onnx of a bundle of `cracklab export`, or a model that ships, whose graph is NAME.onnx beside NAME.ckpt and refers to the
weights in that checkpoint; `cracklab.export.linked` writes it.
"""

import os
from collections.abc import Collection
from ctypes.util import find_library
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from cracklab.data.images import Array
from cracklab.data.layouts.base import MAX_CLASSES
from cracklab.data.resizing import Interpolation, planes_of
from cracklab.errors import ConfigError, RunError
from cracklab.files import sha256
from cracklab.predict.reach import LARGEST_REACH
from cracklab.predict.scales import SCALES, Scales
from cracklab.predict.tiles import Floats
from cracklab.scales import check_scales
from cracklab.weights import graph_file

Scale = Annotated[float, Field(ge=SCALES[0], le=SCALES[1])]
GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Devices of the drivers of NVIDIA and AMD, and of Windows' in its Linux; Windows itself has the library nvcuda."""


def checked_scales(scales: Scales) -> Scales:
    """Return scales that photos can be scored at.

    Raises:
        ValueError: for others, as pydantic expects.
    """
    try:
        check_scales(scales)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return scales


class Settings(BaseModel):
    """The metadata of a graph; `cracklab.export.bundle_files.bundle_settings` writes them."""

    threshold: Annotated[float, Field(gt=0, lt=1)] | None
    class_names: tuple[str, ...] = Field(min_length=1, max_length=MAX_CLASSES)
    channels: Literal[1, 3]
    interpolation: Interpolation
    scale: tuple[Scale, Scale]
    scales: Annotated[tuple[float, ...], AfterValidator(checked_scales)]
    reach: Annotated[int, Field(ge=0, le=LARGEST_REACH)] | None
    bytes_per_px: float = Field(gt=0, allow_inf_nan=False)
    provenance: dict[str, Any]
    sha256: str | None = None


class DeployedModel:
    """A net in ONNX Runtime; a `Model`.

    Args:
        path: BUNDLE/model.onnx, or the checkpoint of a model that ships.

    Raises:
        RunError: if the graph is missing or damaged, is not cracklab's, or was made from another checkpoint.

    Example:
        >>> from cracklab.weights import checkpoint_file
        >>> model = DeployedModel(checkpoint_file("cracklab:cracks"))
        >>> model.scale, round(model.threshold, 3), model.score(np.full((1, 64, 96, 3), 200, np.uint8)).shape
        ((1.0, 1.0), 0.578, (1, 1, 64, 96))
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime  # on first use, so that --help does not wait for it

        self.path = path
        graph = path if path.suffix == ".onnx" else graph_file(path)
        remedy = "install cracklab again" if path.suffix == ".ckpt" else "export it again with `cracklab export`"
        if not graph.is_file():
            raise RunError(f"{graph} does not exist: {remedy}")
        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # beside other work it slows both down
        self._run_options: Any = onnxruntime.RunOptions()
        # memory is kept within a tile, but not for tiles of other sizes
        self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        try:
            self._session: Any = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has types of its own
            reason = str(error).strip().splitlines()[0]
            raise RunError(f"{graph} cannot be loaded: {reason}: {remedy}") from error
        settings = self._read(graph, remedy)
        if settings.sha256 not in (None, sha256(path)):
            raise RunError(f"{graph} was made from another file than {path}: {remedy}")
        self.threshold, self.scale, self.scales = settings.threshold or 0.5, settings.scale, settings.scales
        self.class_names, self.interpolation, self._channels = (
            settings.class_names,
            settings.interpolation,
            settings.channels,
        )
        self.reach, self.bytes_per_px, self.provenance = settings.reach, settings.bytes_per_px, settings.provenance
        inputs = {one.name: one.shape[1:2] for one in self._session.get_inputs()}
        outputs = [one.name for one in self._session.get_outputs()]
        if inputs != {"image": [self._channels]} or "probability" not in outputs:
            raise RunError(
                f"{graph} maps {', '.join(inputs)} to {', '.join(outputs)}, and not image (B, {self._channels}, h, w) to "
                f"probability: {remedy}"
            )

    @property
    def seen(self) -> Collection[str]:
        """Fingerprints of the images that the net was trained on; those of the checkpoint, which PyTorch reads.

        Raises:
            RunError: for a bundle, which does not keep them.
        """
        if self.path.suffix == ".onnx":
            raise RunError(f"{self.path} does not say which images it was trained on: give the checkpoint instead")
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

    def _read(self, graph: Path, remedy: str) -> Settings:
        """Return the settings in the metadata of a graph."""
        found = self._session.get_modelmeta().custom_metadata_map.get("cracklab")
        if found is None:
            raise RunError(f"{graph} holds no settings of cracklab: {remedy}")
        try:
            return Settings.model_validate_json(found)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise RunError(f"{graph} holds settings that cannot be used, {where}: {first['msg']}: {remedy}") from error

    def score(self, tiles: Array) -> Floats:
        """Return the probabilities (B, C, h, w) of tiles (B, h, w, 3) uint8 RGB.

        Raises:
            RunError: if the graph does not give probabilities of this size and number of classes.
        """
        planes = np.stack([planes_of(tile, self._channels) for tile in tiles])
        scores: Floats = self._session.run(["probability"], {"image": planes}, self._run_options)[0]
        expected = (len(tiles), len(self.class_names), *tiles.shape[1:3])
        if np.shape(scores) != expected:
            raise RunError(f"{self.path} gives {np.shape(scores)} instead of probabilities of shape {expected}")
        return scores


def gpu_may_be_there() -> bool:
    """Return whether this machine has the driver of a GPU, without importing PyTorch, which then decides."""
    return find_library("nvcuda") is not None or any(map(os.path.exists, GPU_FILES))


def _threads() -> int:
    """Return the number of threads for a net: `OMP_NUM_THREADS`, which PyTorch heeds too, else the cores of this process."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(asked) if asked.isdecimal() and int(asked) else cores
