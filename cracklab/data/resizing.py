"""Resizing of photos and masks that keeps thin cracks, and the planes that nets see."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.data.images import IGNORE, Array

Interpolation = Literal["area", "bicubic"]
"""How photos are resized."""

JPEG_SIDE = 65_500
"""Largest width and height of a JPEG, px."""

COVERAGE = 0.45
"""A pixel of a mask resized by a scale s below 1 is crack if at least this share, times s, of its area was crack."""


def planes_of(image: Array, channels: int) -> Array:
    """Convert an image (H, W, 3) uint8 RGB to (channels, H, W), grey for one channel."""
    if channels == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)[None]
    planes = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(image, [planes[0], planes[1], planes[2]])
    return planes


def resize_image(image: Array, height: int, width: int, interpolation: Interpolation = "area") -> Array:
    """Resize a photo: by area averaging to a smaller size and bilinear to a larger one, or bicubic for both.

    Bicubic interpolation reads 4 x 4 pixels at every scale, so a thin crack can be missed in a much smaller image.

    Example:
        >>> resize_image(np.array([[[0, 0, 0], [100, 50, 0]]], np.uint8), 1, 1)
        array([[[50, 25,  0]]], dtype=uint8)
    """
    size = (image.shape[0], image.shape[1])
    if size == (height, width):
        return image
    flags = flags_of(size, (height, width), interpolation)
    return np.asarray(cv2.resize(image, (width, height), interpolation=flags), np.uint8)


def flags_of(size: tuple[int, int], new: tuple[int, int], interpolation: Interpolation) -> int:
    """Return OpenCV's interpolation for a photo of size (height, width) that is resized."""
    if interpolation == "bicubic":
        return cv2.INTER_CUBIC
    return cv2.INTER_AREA if new[0] * new[1] < size[0] * size[1] else cv2.INTER_LINEAR


def fit_jpeg(picture: Array) -> Array:
    """Return a picture (H, W, 3), made smaller if it is too large for a JPEG.

    Example:
        >>> fit_jpeg(np.zeros((3, 131_000, 3), np.uint8)).shape
        (2, 65500, 3)
    """
    height, width = picture.shape[:2]
    scale = JPEG_SIDE / max(height, width)
    if scale >= 1:
        return picture
    return resize_image(picture, max(1, round(height * scale)), max(1, round(width * scale)))


def resize_mask(mask: Array, height: int, width: int, num_classes: int = 1, coverage: float | None = None) -> Array:
    """Resize a mask by the area that each class covers, because nearest-neighbour sampling breaks thin cracks.

    At a scale s below 1, a line one pixel wide covers a share s of the pixels that it runs through, or s / 2 of each pixel
    on both sides if it runs between two rows. A threshold a little below s / 2 keeps it connected (tests/benchmarks/README.md
    has tables).

    Args:
        mask: (H, W) uint8 class index, `IGNORE` for ignored pixels.
        height: new height, px.
        width: new width, px.
        num_classes: 1 for crack or not; with more classes, a pixel gets the class that covers most of it.
        coverage: share of a pixel's area that must be crack for the pixel to be crack, at a smaller size; None:
            `COVERAGE` times the scale. At a larger size the threshold is one half.

    Example:
        >>> resize_mask(np.array([[0, 0, 1, 0], [0, 0, 1, 0]], np.uint8), 1, 2)  # the right half has a share of 0.5 > 0.45 / 2
        array([[0, 1]], dtype=uint8)
    """
    if mask.shape == (height, width):
        return mask
    shrinks = height * width < mask.shape[0] * mask.shape[1]
    flags = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR

    def share(where: NDArray[np.bool_]) -> NDArray[np.float32]:
        resized = cv2.resize(where.astype(np.float32), (width, height), interpolation=flags)
        return np.asarray(resized, np.float32)

    if num_classes == 1:
        scale = min(height / mask.shape[0], width / mask.shape[1])
        threshold = 0.5 if not shrinks else COVERAGE * scale if coverage is None else coverage
        result = (share(mask == 1) >= threshold).astype(np.uint8)
    else:
        result = np.argmax(np.stack([share(mask == index) for index in range(num_classes)]), axis=0).astype(np.uint8)
    ignored = mask == IGNORE
    if ignored.any():
        result[share(ignored) > 0.5] = IGNORE
    return result
