"""What is done to every photo before a net sees it, in training and in prediction alike."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cracklab.data.images import Array, resize_image, resize_mask
from cracklab.errors import ConfigError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, what pretrained encoders expect; 0 to 1."""


@dataclass(frozen=True)
class EvalTransform:
    """The deterministic part of the way from a file to a net: centre crop, resize, grey, normalise.

    Args:
        crop: side of the square cut from the middle, px; None: the whole photo.
        resize: (height, width) that follows, px, or the length of the shorter side; None: as it is.
        channels: 3 for RGB, 1 for grey.
        mean: subtracted from each channel, 0 to 1; for grey, the mean of it.
        std: divided by, 0 to 1.
        coverage: share of a pixel that has to be crack where a mask shrinks; None: 0.45 of the scale, which keeps
            lines of one pixel whole.

    Raises:
        ConfigError: for a size below 1.
    """

    crop: int | None = None
    resize: int | tuple[int, int] | None = None
    channels: Literal[1, 3] = 3
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    coverage: float | None = None

    def __post_init__(self) -> None:
        sizes = [self.crop, *(self.resize if isinstance(self.resize, tuple) else (self.resize,))]
        if any(size is not None and size < 1 for size in sizes):
            raise ConfigError(
                f"crop {self.crop} and resize {self.resize} must be at least 1 px: correct data.crop and data.resize"
            )
        if self.coverage is not None and not 0 < self.coverage <= 1:
            raise ConfigError(
                f"data.coverage is {self.coverage}: a share of a pixel's area, above 0 and at most 1, is needed"
            )

    def prepare(self, image: Array, mask: Array, num_classes: int = 1) -> tuple[Array, Array]:
        """Crop and resize a photo (H, W, 3) and its mask (H, W), as training and evaluation see them."""
        image, mask = self.cropped(image), self.cropped(mask)
        height, width = self._resized(*image.shape[:2])
        return resize_image(image, height, width), resize_mask(mask, height, width, num_classes, self.coverage)

    def cropped(self, array: Array) -> Array:
        """The middle of a photo or a mask (H, W, ...), a view."""
        if self.crop is None:
            return array
        top, left = (max(0, (side - self.crop) // 2) for side in array.shape[:2])
        return array[top : top + self.crop, left : left + self.crop]

    def prepared_size(self, height: int, width: int) -> tuple[int, int]:
        """Size, px, of a photo of this size after crop and resize."""
        crop = self.crop or max(height, width)
        return self._resized(min(height, crop), min(width, crop))

    def scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """Size, px, at which the net is to see a whole photo of this size: a crop is not taken, its scale is kept."""
        if self.crop is None:
            return self._resized(height, width)
        down, across = self._resized(self.crop, self.crop)
        return max(1, round(height * down / self.crop)), max(1, round(width * across / self.crop))

    def photo(self, image: Array) -> Tensor:
        """A whole photo (H, W, 3) as the net sees it: (C_in, h, w) float32 of size `scaled_size`."""
        return self.normalise(
            torch.from_numpy(self.planes(resize_image(image, *self.scaled_size(*image.shape[:2]))))[None]
        )[0]

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
        scale = self.resize / min(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _levels(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation in grey levels, (1, C_in, 1, 1); on a GPU sent without waiting for it."""
        levels = torch.tensor([self.mean, self.std]) * 255
        levels = levels.mean(dim=1, keepdim=True) if self.channels == 1 else levels
        if device.type == "cuda":
            levels = levels.pin_memory().to(device, non_blocking=True)
        mean, std = levels.to(device)[:, None, :, None, None]
        return mean, std
