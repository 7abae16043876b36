"""Reading photos and masks."""

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.data.encodings import Values, binarise
from cracklab.data.image_files import MAX_MEGAPIXELS, PNG, TIFF, check_size, is_cut, open_image, read_bytes, truncated
from cracklab.errors import DataError

Array = NDArray[np.uint8]

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""File extensions of images, in lower case; case is ignored."""

LOSSY = (".jpg", ".jpeg", ".webp")
"""File extensions of formats that change pixel values a little."""

IGNORE = 255
"""Mask value of pixels that are ignored everywhere: in losses, maps, scores and statistics."""

MAX_VALUE = 65535
"""Largest value of a mask of 16 bits; in a file of floating-point numbers, larger ones are no labels."""

ORIENTATION_TAG = 0x0112


def crack_pixels(mask: Array) -> NDArray[np.bool_]:
    """Return where a mask of class indices shows a crack: any class but 0, and not `IGNORE`.

    Example:
        >>> crack_pixels(np.array([[0, 1, 255, 2]], np.uint8))
        array([[False,  True, False,  True]])
    """
    return np.asarray((mask > 0) & (mask != IGNORE), np.bool_)


def orientation(data: bytes) -> int:
    """Return the EXIF orientation of an image file, 1 (upright) to 8; 1 if it has none."""
    try:
        with open_image(BytesIO(data)) as image:
            return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # Pillow raises many types for damaged tags
        return 1


def _decode(data: bytes, path: str, flags: int, max_megapixels: float = MAX_MEGAPIXELS) -> Values:
    check_size(data, path, max_megapixels)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        reason = f" ({' '.join(str(error.err).split())})"
        raise DataError(f"{path!r} cannot be decoded as an image{reason}: remove it or convert it to PNG") from None
    if image is None:
        raise DataError(f"{path!r} cannot be decoded as an image: remove it or convert it to PNG")
    if is_cut(data, image):
        raise truncated(path, data)
    return image


def read_image(path: str, max_megapixels: float = MAX_MEGAPIXELS) -> Array:
    """Read a photo as (H, W, 3) uint8 RGB, rotated upright; 16-bit values are divided by 256, and transparency is dropped.

    Args:
        path: the file.
        max_megapixels: a larger photo is refused before it takes memory, 1e6 px.

    Raises:
        DataError: if the file is missing, truncated, too large or not an image.
    """
    image = _decode(read_bytes(path), path, cv2.IMREAD_COLOR, max_megapixels)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def rgb_photo(photo: Any) -> Array:
    """Return an array of a photo as (H, W, 3) uint8 RGB.

    Raises:
        DataError: for anything but uint8 of shape (H, W, 3), or of shape (H, W), which is grey.

    Example:
        >>> rgb_photo(np.zeros((4, 5), np.uint8)).shape
        (4, 5, 3)
        >>> rgb_photo(np.zeros((4, 5, 3), np.float32))
        Traceback (most recent call last):
        cracklab.errors.DataError: the photo is float32 of shape (4, 5, 3): give uint8, 0 to 255, of shape (height, width, 3) for RGB or (height, width) for grey
    """
    expected = "uint8, 0 to 255, of shape (height, width, 3) for RGB or (height, width) for grey"
    if not isinstance(photo, np.ndarray):
        raise DataError(f"the photo is a {type(photo).__name__}: give a path, or a NumPy array of {expected}")
    if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or photo.shape[2:] not in ((), (3,)) or not photo.size:
        raise DataError(f"the photo is {photo.dtype} of shape {photo.shape}: give {expected}")
    if photo.ndim == 2:
        return np.asarray(cv2.cvtColor(photo, cv2.COLOR_GRAY2RGB), np.uint8)
    return np.ascontiguousarray(photo)


def _read_unchanged(data: bytes, path: str, max_megapixels: float) -> Values:
    """Return the stored values of a mask, rotated upright; OpenCV itself rotates TIFF files, whatever the flags."""
    values = _whole_numbers(_decode(data, path, cv2.IMREAD_UNCHANGED, max_megapixels), path)
    return values if data.startswith(TIFF) else upright(values, orientation(data))


def upright(image: Values, exif: int) -> Values:
    """Flip and rotate an image (H, W, ...) by its EXIF orientation, so that it is upright.

    Example:
        >>> upright(np.array([[1, 2], [3, 4]]), exif=6)  # stored a quarter turn anticlockwise
        array([[3, 1],
               [4, 2]])
    """
    if exif in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if exif in (2, 3, 6, 7):
        image = image[:, ::-1]
    if exif in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def read_values(path: str, max_megapixels: float = MAX_MEGAPIXELS) -> Values:
    """Read the stored values of a mask, rotated upright: (H, W), or (H, W, C) with the channels blue, green, red.

    Raises:
        DataError: if the file is missing, truncated, too large or not an image, or holds values that are no whole numbers.
    """
    return _read_unchanged(read_bytes(path), path, max_megapixels)


def _whole_numbers(values: Values, path: str) -> Values:
    """Return the values of a mask, of type float as integers."""
    if values.dtype.kind != "f":
        return values
    wrong = values[~(np.abs(values) <= MAX_VALUE) | (values != np.rint(values))]
    if wrong.size:
        raise DataError(
            f"mask {path!r} has the value {wrong[0]:g}, and whole numbers are expected: save it with 0 for background and 255 "
            "for crack"
        )
    high = values.max(initial=0)
    return values.astype(np.int32 if values.min(initial=0) < 0 else np.uint16 if high > 255 else np.uint8)


def read_mask(path: str, invert: bool = False, max_megapixels: float = MAX_MEGAPIXELS) -> Array:
    """Read a crack mask of any encoding as (H, W) uint8, 0 and 1.

    Args:
        path: the file.
        invert: whether the file shows dark cracks on a bright background.
        max_megapixels: a larger mask is refused before it takes memory, 1e6 px.

    Raises:
        DataError: if the file cannot be decoded, or its values are ambiguous.
    """
    mask, _ = binarise(read_values(path, max_megapixels), path, lossy=Path(path).suffix.lower() in LOSSY)
    return np.asarray(1 - mask, np.uint8) if invert else mask


def read_classes(
    path: str, num_classes: int, ignore: int | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> Array:
    """Read a mask of class indices as (H, W) uint8, with `IGNORE` for ignored pixels.

    Palette images are read by their indices, not by their colours.

    Args:
        path: the file.
        num_classes: number of classes; indices run from 0 to num_classes - 1.
        ignore: another value to ignore, besides 255.
        max_megapixels: a larger mask is refused before it takes memory, 1e6 px.

    Raises:
        DataError: if the file cannot be decoded, has colours, or holds an index outside the classes.
    """
    data = read_bytes(path)
    if data.startswith(PNG) and data[25:26] == b"\x03":
        values = _palette_indices(data, path, max_megapixels)
    else:
        values = _read_unchanged(data, path, max_megapixels)
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise DataError(f"mask {path!r} has colours where class indices are expected: convert it to indices")
        values = values[..., 0]
    mask = np.where(values == ignore, IGNORE, values) if ignore is not None else values
    wrong = np.unique(mask[((mask >= num_classes) | (mask < 0)) & (mask != IGNORE)])
    if wrong.size:
        raise DataError(
            f"mask {path!r} has the value {wrong[0]}, but there are {num_classes} classes, 0 to {num_classes - 1}, and "
            f"{IGNORE if ignore is None else ignore} to ignore: set the number of classes or the value to ignore"
        )
    return mask.astype(np.uint8)


def _palette_indices(data: bytes, path: str, max_megapixels: float) -> Values:
    check_size(data, path, max_megapixels)
    try:
        with open_image(BytesIO(data)) as image:
            return upright(np.asarray(image), orientation(data))
    except Exception as error:  # Pillow raises many types for damaged files
        raise DataError(f"{path!r} cannot be decoded as an image ({error}): remove it or convert it to PNG") from None
