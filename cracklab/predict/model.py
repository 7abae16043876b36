"""The interface of a model for a predictor, whichever library runs its net."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

from cracklab.data.images import Array
from cracklab.data.resizing import Interpolation
from cracklab.predict.tiles import Floats


class Model(Protocol):
    """A net with the settings that its photos and probabilities need."""

    @property
    def path(self) -> str | Path:
        """File of the checkpoint."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name for each channel of the probabilities."""

    @property
    def threshold(self) -> float:
        """The probability threshold that validation chose."""

    @property
    def scale(self) -> tuple[float, float]:
        """(vertical, horizontal) scale at which the net saw the training images: px in the net over px in the file."""

    @property
    def scales(self) -> tuple[float, ...]:
        """Default of the scales at which a photo is scored, relative to `scale`."""

    @property
    def interpolation(self) -> Interpolation:
        """How photos are resized to a smaller size."""

    @property
    def reach(self) -> int | None:
        """Reach of the net, px at its scale; None if it has none. See `measure_reach`."""

    @property
    def bytes_per_px(self) -> float:
        """Memory that the net needs for each pixel of a tile."""

    @property
    def seen(self) -> Collection[str]:
        """Fingerprints of the images that the net was trained on."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Version, epoch and training data of the weights, for files that people read."""

    def to(self, device: str | None) -> str:
        """Move the net to a device, by default to a GPU if there is one, and return its type, `cpu` or `cuda`.

        Raises:
            ConfigError: if the device cannot be used.
        """

    def score(self, tiles: Array) -> Floats:
        """Return the probabilities (B, C, h, w) of tiles (B, h, w, 3) uint8 RGB."""
