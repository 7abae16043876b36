"""The predictor: cracks in photos of any size, from one checkpoint or the mean of several."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cracklab.data.image_files import OPENCV_MEGAPIXELS
from cracklab.data.images import Array, read_image, rgb_photo
from cracklab.data.resizing import resize_image
from cracklab.errors import DataError, RunError
from cracklab.predict.masks import connected, mask_of
from cracklab.predict.model import Model
from cracklab.predict.prediction import Prediction, check_scale, checksum_of
from cracklab.predict.reach import check_tiling, choose_tiling
from cracklab.predict.scales import choose_high_threshold, choose_scales
from cracklab.predict.tiles import Floats, Tiling, fused_rows, tiled_probabilities

FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))
"""Axes of (..., H, W) to flip: none, left to right, upside down, both."""


class Predictor:
    """One trained model, or the mean of several, that predicts photos of any size.

    Transform, scale and threshold come from the checkpoints. Photos are scored in overlapping tiles.

    Args:
        models: the trained models; several have to agree in interpolation, scale and classes. Their nets are moved to the
            device.
        device: cpu, cuda, cuda:1, mps; None: cuda if there is a GPU, else cpu.
        flips: score four mirrored forms of each tile and take the mean, at four times the cost.
        tile: largest side of the tiles, px at the net's scale, a multiple of 32; None: what the memory allows.
        overlap: of neighbouring tiles, px; None: twice the net's reach, which is measured before the first photo, at most half a tile.
        batch_size: number of tiles at a time; None: 1, or 8 on a GPU for a net without a reach.
        memory_gb: memory that the net may take for its tiles, 1e9 bytes; None: 3.5, or half of what is free if that is less.
        mm_per_px: scale of the photos; None: cracks are measured in px alone.
        scales: the photo is scored at each of these sizes, and the probabilities are fused by `fused_rows`: 1 is the scale of training,
            0.5 a photo of half the height and width. None: those of its evaluation, `model.scales`; for a model that ships, those of its card.
        high_threshold: a connected piece of crack is kept if one of its pixels has at least this probability (hysteresis; Canny 1986). None: 0,
            so that all are kept.

    Attributes:
        threshold: probability above which a pixel is crack: the mean of the thresholds that validation chose.
        high_threshold: probability that a piece of crack reaches somewhere; 0 for any.
        scale: (vertical, horizontal) scale at which the nets saw the training images, px in the net over px in the photo.
        scales: the scales relative to it at which a photo is scored.
        memory_gb: memory for the tiles that was asked for; None for the default.
        num_classes: number of classes; 1 for crack or not.
        class_names: their names.

    Raises:
        ConfigError: for an option that cannot work.
        RunError: for models whose probabilities cannot be averaged.

    Example:
        >>> import torch
        >>> from cracklab.checkpoint import Payload
        >>> from cracklab.data.transform import EvalTransform
        >>> from cracklab.predict.trained_model import TrainedModel
        >>> class Dark(torch.nn.Module):
        ...     def forward(self, image):
        ...         return -image[:, :1]
        >>> payload = Payload(config="", threshold=0.5)
        >>> model = TrainedModel("best.ckpt", Dark(), EvalTransform(), ("crack",), 0.5, {}, payload)
        >>> wall = np.full((40, 60), 255, np.uint8)
        >>> wall[20, 10:51] = 0
        >>> result = Predictor([model], "cpu", overlap=0).predict(wall)
        >>> np.flatnonzero(result.mask[20])[[0, -1]].tolist(), int((result.mask > 0).sum())  # the dark line of 41 px
        ([10, 50], 41)
    """

    def __init__(
        self,
        models: Sequence[Model],
        device: str | None = None,
        *,
        flips: bool = False,
        tile: int | None = None,
        overlap: int | None = None,
        batch_size: int | None = None,
        memory_gb: float | None = None,
        mm_per_px: float | None = None,
        scales: Sequence[float] | None = None,
        high_threshold: float | None = None,
    ) -> None:
        check_tiling(tile, overlap, batch_size, memory_gb)
        check_scale(mm_per_px)
        self.scales = choose_scales(scales, [model.scales for model in models])
        _check_agreement(models)
        self.models, self.flips, self.mm_per_px = list(models), flips, mm_per_px
        self._tile, self._overlap, self._batch_size, self.memory_gb = tile, overlap, batch_size, memory_gb
        self._on_cpu = {model.to(device) for model in self.models} == {"cpu"}
        first = self.models[0]
        self.scale, self._interpolation = first.scale, first.interpolation
        self.num_classes, self.class_names = len(first.class_names), first.class_names
        self.threshold = fmean(model.threshold for model in self.models)
        self.high_threshold = choose_high_threshold(high_threshold, self.num_classes)

    @cached_property
    def reach(self) -> int | None:
        """The largest reach of the nets, px at their scale; None if one has none. See `measure_reach`."""
        found = [model.reach for model in self.models]
        return None if None in found else max(one or 0 for one in found)

    @cached_property
    def tiling(self) -> Tiling:
        """The tiling of every photo, chosen on first use; see `choose_tiling`."""
        reach = self.reach if self._overlap is None or self._tile is None else None
        by_memory = self._tile is None and reach is not None
        bytes_per_px = max(model.bytes_per_px for model in self.models) if by_memory else math.nan
        return choose_tiling(reach, bytes_per_px, self._tile, self._overlap, self.batch_size, self.memory_gb)

    @cached_property
    def batch_size(self) -> int:
        """Number of tiles at a time; small ones do not fill a GPU."""
        return self._batch_size or (1 if self._on_cpu or self.reach is not None else 8)

    def predict(
        self,
        photo: str | Path | Array,
        *,
        mm_per_px: float | None = None,
        keep_probability: Literal["float32", "uint16"] | None = "float32",
        on_pixels: Callable[[int], None] = lambda pixels: None,
    ) -> Prediction:
        """Return the cracks of a photo.

        Args:
            photo: a file, or an array (H, W, 3) uint8 RGB or (H, W) uint8 grey. A file is turned upright by its EXIF; 16 bits
                become 8. An array is not copied.
            mm_per_px: scale of this photo; None: that of the predictor.
            keep_probability: dtype in which the result keeps probabilities; uint16 takes half the memory, None takes none.
            on_pixels: called with the number of pixels that were scored, at the nets' scale, after each batch of tiles.

        Raises:
            ConfigError: for a scale that is not positive.
            DataError: for a file that cannot be read, an array of another dtype or shape, or a photo that would be too large at
                one of the scales.
        """
        scale = self.mm_per_px if mm_per_px is None else mm_per_px
        check_scale(scale)
        path = Path(photo) if isinstance(photo, str | Path) else None
        checksum = None if path is None else checksum_of(path)
        image = rgb_photo(photo) if path is None else read_image(str(path))
        size = (image.shape[0], image.shape[1])
        mask = np.empty(size, np.uint8)
        kept: NDArray[Any] | None = None if keep_probability is None else np.empty(size, keep_probability)

        def score(tiles: Array) -> Floats:
            scores = self.score(tiles)
            on_pixels(tiles.shape[0] * tiles.shape[1] * tiles.shape[2])
            return scores

        passes = [tiled_probabilities(score, self.at_net_scale(image, one), size, self.tiling) for one in self.scales]
        for rows, scores in fused_rows(passes, size[0]):
            mask[rows] = mask_of(scores, self.threshold, self.high_threshold)
            if kept is not None:
                kept[rows] = np.rint(scores.max(0) * 65535) if keep_probability == "uint16" else scores.max(0)
        mask = mask if self.num_classes > 1 else connected(mask)
        return Prediction(image, mask, kept, self.num_classes, path, scale, checksum)

    def count_pixels(self, height: int, width: int) -> int:
        """Return the number of pixels in all tiles of a photo of this size, px, over all scales."""
        return sum(self.tiling.count_pixels(self.scaled_size(height, width, one)) for one in self.scales)

    def scaled_size(self, height: int, width: int, scale: float = 1.0) -> tuple[int, int]:
        """Return the size, px, at which the nets see a photo of this size, at one of `scales`."""
        return max(1, round(height * self.scale[0] * scale)), max(1, round(width * self.scale[1] * scale))

    def at_net_scale(self, photo: Array, scale: float = 1.0) -> Array:
        """Return a photo (H, W, 3) as the nets see it, at one of `scales`.

        Raises:
            DataError: if it would be larger than OpenCV's largest image.
        """
        size = self.scaled_size(photo.shape[0], photo.shape[1], scale)
        if size[0] * size[1] > OPENCV_MEGAPIXELS * 1e6:
            raise DataError(
                f"the photo of {photo.shape[1]} x {photo.shape[0]} px would become {size[1]} x {size[0]} px, more than "
                f"{OPENCV_MEGAPIXELS:.0f} megapixels, at the scale of the net: cut it into parts, or give smaller scales"
            )
        return resize_image(photo, *size, self._interpolation)

    def score(self, tiles: Array) -> Floats:
        """Return the probabilities (B, C, h, w) of tiles (B, h, w, 3) uint8 RGB: the mean over models and flips."""
        flips = FLIPS if self.flips else FLIPS[:1]
        total: Floats | None = None
        for axes in flips:
            flipped = np.ascontiguousarray(np.flip(tiles, tuple(axis - 1 for axis in axes)))  # the colours come last
            for model in self.models:
                scores = np.flip(model.score(flipped), axes)
                total = scores if total is None else total + scores
        assert total is not None
        return np.asarray(total / np.float32(len(self.models) * len(flips)), np.float32)


def _check_agreement(models: Sequence[Model]) -> None:
    first = models[0]
    for model in models[1:]:
        for what, ours, theirs in (
            ("the interpolation of the photos", first.interpolation, model.interpolation),
            ("the scale of the photos", first.scale, model.scale),
            ("the classes", first.class_names, model.class_names),
        ):
            if ours != theirs:
                raise RunError(
                    f"checkpoints {first.path} and {model.path} differ in {what} ({ours} and {theirs}), so that their "
                    "probabilities cannot be averaged: give checkpoints that were trained on the same data"
                )
