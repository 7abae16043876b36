"""What is done to every photo before a net sees it, in training and in prediction alike."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cracklab.data.images import IGNORE, Array, Interpolation, resize_image, resize_mask
from cracklab.errors import ConfigError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, what pretrained encoders expect; 0 to 1."""


@dataclass(frozen=True)
class EvalTransform:
    """The deterministic part of the way from a file to a net: centre crop, resize, pad, grey, normalise.

    Args:
        crop: side of the square cut from the middle, px; None: the whole photo.
        resize: (height, width) that follows, px, or the length of one side; None: as it is.
        channels: 3 for RGB, 1 for grey.
        mean: subtracted from each channel, 0 to 1; for grey, the mean of it.
        std: divided by, 0 to 1.
        coverage: share of a pixel that has to be crack where a mask shrinks; None: 0.45 of the scale, which keeps
            lines of one pixel whole.
        resize_side: the side whose length `resize` is, where it is one number.
        interpolation: of the photo, where it shrinks; masks go by `coverage`.
        pad: (height, width) that images are filled up to, black, at the bottom and the right, px, or one number for both;
            None: not at all.
        padding: pixels of the padding are background, or count nowhere.

    Raises:
        ConfigError: for a size below 1.
    """

    crop: int | None = None
    resize: int | tuple[int, int] | None = None
    channels: Literal[1, 3] = 3
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    coverage: float | None = None
    resize_side: Literal["shorter", "longer"] = "shorter"
    interpolation: Interpolation = "area"
    pad: int | tuple[int, int] | None = None
    padding: Literal["background", "ignored"] = "ignored"

    def __post_init__(self) -> None:
        sizes = [self.crop, *_both(self.resize), *_both(self.pad)]
        if any(size is not None and size < 1 for size in sizes):
            raise ConfigError(
                f"crop {self.crop}, resize {self.resize} and pad {self.pad} must be at least 1 px: correct data.crop, "
                "data.resize and data.pad"
            )
        if self.coverage is not None and not 0 < self.coverage <= 1:
            raise ConfigError(
                f"data.coverage is {self.coverage}: a share of a pixel's area, above 0 and at most 1, is needed"
            )

    def prepare(self, image: Array, mask: Array, num_classes: int = 1) -> tuple[Array, Array]:
        """Crop, resize and pad a photo (H, W, 3) and its mask (H, W), as training and evaluation see them."""
        image, mask = self.cropped(image), self.cropped(mask)
        height, width = self._resized(*image.shape[:2])
        image = resize_image(image, height, width, self.interpolation)
        mask = resize_mask(mask, height, width, num_classes, self.coverage)
        if self.pad is None:
            return image, mask
        down, across = (max(0, (wanted or 0) - side) for wanted, side in zip(_both(self.pad), mask.shape, strict=True))
        outside = 0 if self.padding == "background" else IGNORE
        return (
            np.pad(image, ((0, down), (0, across), (0, 0))),
            np.pad(mask, ((0, down), (0, across)), constant_values=outside),
        )

    def cropped(self, array: Array) -> Array:
        """The middle of a photo or a mask (H, W, ...), a view."""
        if self.crop is None:
            return array
        top, left = (max(0, (side - self.crop) // 2) for side in array.shape[:2])
        return array[top : top + self.crop, left : left + self.crop]

    def prepared_size(self, height: int, width: int) -> tuple[int, int]:
        """Size, px, of a photo of this size after crop and resize, before padding."""
        crop = self.crop or max(height, width)
        return self._resized(min(height, crop), min(width, crop))

    def planes(self, image: Array) -> Array:
        """(H, W, 3) RGB as (C_in, H, W)."""
        if self.channels == 1:
            return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)[None]
        planes = np.empty((3, *image.shape[:2]), np.uint8)
        cv2.split(image, [planes[0], planes[1], planes[2]])
        return planes

    def normalise(self, image: Tensor) -> Tensor:
        """(B, C_in, H, W) uint8 to float32, (x / 255 - mean) / std, on the image's device."""
        mean, std = self._levels(image.device)
        return image.float().sub_(mean).div_(std)

    def photograph(self, image: Tensor) -> NDArray[np.uint8]:
        """The way back from a normalised image (C_in, H, W) to (H, W, 3) uint8 RGB, to be looked at."""
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
        """Mean and standard deviation in grey levels, (1, C_in, 1, 1); on a GPU sent without waiting for it."""
        levels = torch.tensor([self.mean, self.std]) * 255
        levels = levels.mean(dim=1, keepdim=True) if self.channels == 1 else levels
        if device.type == "cuda":
            levels = levels.pin_memory().to(device, non_blocking=True)
        mean, std = levels.to(device)[:, None, :, None, None]
        return mean, std


def _both(size: int | tuple[int, int] | None) -> tuple[int | None, int | None]:
    """Height and width."""
    return size if isinstance(size, tuple) else (size, size)
