"""The deterministic preparation of every photo for a net, the same in training, evaluation and prediction."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Gt, Le
from numpy.typing import NDArray
from torch import Tensor

from cracklab.bounds import FiniteFloat, PositiveFloat, SidePx, bounded
from cracklab.data.images import IGNORE, Array
from cracklab.data.resizing import Interpolation, planes_of, resize_image, resize_mask

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet, which pretrained encoders expect, 0 to 1."""

Levels = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Deviations = tuple[PositiveFloat, PositiveFloat, PositiveFloat]
Coverage = Annotated[float, Gt(0), Le(1)]
"""Share of the area of a pixel."""


@bounded
@dataclass(frozen=True)
class EvalTransform:
    """The deterministic preparation of photos and masks: centre crop, resize, pad, grey, normalise.

    Args:
        crop: side of the square cut from the centre, px; None: the whole photo.
        resize: (height, width) after the crop, px, or the length of one side; None: the size is kept.
        channels: 3 for RGB, 1 for grey.
        mean: mean of each channel, subtracted, 0 to 1; grey images use its average.
        std: standard deviation of each channel, divided by, 0 to 1; grey images use its average.
        coverage: share of a pixel that must be crack in a mask resized to a smaller size; None: 0.45 times the scale, which
            keeps lines one pixel wide connected.
        resize_side: the side that a single number in `resize` refers to.
        interpolation: interpolation of photos resized to a smaller size; masks follow `coverage`.
        pad: (height, width) up to which images are padded, black, at the bottom and the right, px, or one number for both;
            None: no padding.
        padding: whether padding pixels are background or ignored.

    Raises:
        ConfigError: for a value out of its bounds.
    """

    crop: SidePx | None = None
    resize: SidePx | tuple[SidePx, SidePx] | None = None
    channels: Literal[1, 3] = 3
    mean: Levels = MEAN
    std: Deviations = STD
    coverage: Coverage | None = None
    resize_side: Literal["shorter", "longer"] = "shorter"
    interpolation: Interpolation = "area"
    pad: SidePx | tuple[SidePx, SidePx] | None = None
    padding: Literal["background", "ignored"] = "ignored"

    def prepare(self, image: Array, mask: Array, num_classes: int = 1) -> tuple[Array, Array]:
        """Crop, resize and pad a photo (H, W, 3) and its mask (H, W).

        Example:
            >>> image, mask = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
            >>> EvalTransform(crop=32, resize=16, pad=(16, 20)).prepare(image, mask)[1].shape
            (16, 20)
        """
        image, mask = self.cropped(image), self.cropped(mask)
        height, width = self._resized(*image.shape[:2])
        image = resize_image(image, height, width, self.interpolation)
        mask = resize_mask(mask, height, width, num_classes, self.coverage)
        if self.pad is None:
            return image, mask
        down, across = (after - side for after, side in zip(self.padded_size(height, width), mask.shape, strict=True))
        outside = 0 if self.padding == "background" else IGNORE
        return (
            np.pad(image, ((0, down), (0, across), (0, 0))),
            np.pad(mask, ((0, down), (0, across)), constant_values=outside),
        )

    def cropped(self, array: Array) -> Array:
        """Return the centre crop of a photo or a mask (H, W, ...), as a view."""
        if self.crop is None:
            return array
        top, left = (max(0, (side - self.crop) // 2) for side in array.shape[:2])
        return array[top : top + self.crop, left : left + self.crop]

    def prepared_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width), px, of a photo of this size after crop and resize, before padding.

        Example:
            >>> EvalTransform(resize=100, resize_side="longer").prepared_size(300, 400)
            (75, 100)
        """
        crop = self.crop or max(height, width)
        return self._resized(min(height, crop), min(width, crop))

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width), px, of a photo after padding, from those before it.

        Example:
            >>> EvalTransform(pad=(90, 90)).padded_size(75, 100)
            (90, 100)
        """
        down, across = _height_and_width(self.pad)
        return max(height, down or 0), max(width, across or 0)

    def planes(self, image: Array) -> Array:
        """Convert an image (H, W, 3) uint8 RGB to (C_in, H, W), grey for one channel."""
        return planes_of(image, self.channels)

    def normalise(self, image: Tensor) -> Tensor:
        """Convert images (B, C_in, H, W) uint8 to float32, (x / 255 - mean) / std, on their device."""
        mean, std = self._levels(image.device)
        return image.float().sub_(mean).div_(std)

    def denormalise(self, image: Tensor) -> NDArray[np.uint8]:
        """Convert a normalised image (C_in, H, W) back to a picture (H, W, 3) uint8 RGB."""
        mean, std = self._levels(image.device)
        levels = (image.float() * std[0] + mean[0]).round().clamp(0, 255).byte().expand(3, -1, -1)
        return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.resize is None:
            return height, width
        if isinstance(self.resize, tuple):
            return self.resize
        scale = self.resize / (min if self.resize_side == "shorter" else max)(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _levels(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation in grey levels, (1, C_in, 1, 1); the copy to a GPU does not block."""
        levels = torch.tensor([self.mean, self.std]) * 255
        levels = levels.mean(dim=1, keepdim=True) if self.channels == 1 else levels
        if device.type == "cuda":
            levels = levels.pin_memory().to(device, non_blocking=True)
        mean, std = levels.to(device)[:, None, :, None, None]
        return mean, std


def _height_and_width(size: int | tuple[int, int] | None) -> tuple[int | None, int | None]:
    """Return (height, width) from a pair or from one number for both."""
    return size if isinstance(size, tuple) else (size, size)
