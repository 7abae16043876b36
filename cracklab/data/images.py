"""Reading photos and masks, and detecting the encoding of a mask."""

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.data.image_files import MAX_MEGAPIXELS, PNG, check_size, is_cut, open_image, read_bytes, truncated
from cracklab.errors import DataError

Array = NDArray[np.uint8]
Values = NDArray[Any]
"""Stored values of any integer type."""

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
    data = read_bytes(path)
    values = _whole_numbers(_decode(data, path, cv2.IMREAD_UNCHANGED, max_megapixels), path)
    return upright(values, orientation(data))


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


def binarise(values: Values, name: str, lossy: bool = False) -> tuple[Array, str]:
    """Detect the encoding of a crack mask, and decode it.

    Supported are one value besides 0 (0/1, 0/255 and the like); bright on dark with grey edges, as interpolation and JPEG
    leave them; each of these as RGB or 16-bit; one colour on black, palettes included; and cracks drawn on a transparent
    background.

    Args:
        values: (H, W) or (H, W, C) of any integer type or bool.
        name: name of the mask in error messages.
        lossy: whether values near 0 and 255 are compression noise rather than labels.

    Returns:
        (H, W) uint8 with 1 for crack, and the name of the encoding.

    Raises:
        DataError: if the values are ambiguous.

    Example:
        >>> binarise(np.array([[0, 255, 0]], np.uint8), "a.png")
        (array([[0, 1, 0]], dtype=uint8), '0/255')
    """
    grey = _one_channel(values, name)
    top = int(grey.max())
    if grey.min() < 0:
        raise DataError(f"mask {name!r} has the value {grey.min()}: save it with 0 for background and 255 for crack")
    if grey.dtype != np.uint8:
        grey = np.asarray(grey.astype(np.float64) * (255 / np.iinfo(grey.dtype).max) if top > 255 else grey, np.uint8)
    counts = np.bincount(grey.ravel(), minlength=256)
    found = np.flatnonzero(counts).tolist()
    if found in ([0], [1], [255], [0, 1], [0, 255]):
        return np.asarray(grey > 0, np.uint8), "0/1" if found[-1] == 1 else "0/255"
    if len(found) == 2 and found[0] == 0:
        return np.asarray(grey > 0, np.uint8), f"0/{found[1]}"
    if _grey_edges(grey, counts, found, lossy):
        return np.asarray(grey >= 128, np.uint8), "grey edges"
    shown = ", ".join(map(str, found[:6])) + (f" ... {found[-1]}" if len(found) > 6 else "")
    raise DataError(
        f"mask {name!r} has the values {shown}, so it is unclear which pixels are crack: save it with 0 for background and 255 "
        "for crack, or choose a layout for class indices"
    )


def _one_channel(values: Values, name: str) -> Values:
    """Reduce colours and transparency to one channel."""
    if values.ndim == 2:
        return values.astype(np.uint8) if values.dtype == np.bool_ else values
    if values.shape[2] in (2, 4):
        colour, alpha = values[..., :-1], values[..., -1]
        if alpha.min() != alpha.max():
            if (colour == colour[:1, :1]).all() or not colour[alpha == 0].any():
                return alpha  # drawn on a transparent background
            raise DataError(f"mask {name!r} has both colours and transparency: save it as one channel, 0 and 255")
        values = colour
    low, high = values.min(axis=2), values.max(axis=2)
    coloured = high.astype(np.int64) - low > np.iinfo(values.dtype).max // 8
    if (low[~coloured].max(initial=0) > np.iinfo(values.dtype).max // 4) and coloured.any():
        raise DataError(
            f"mask {name!r} has colours on a background that is not black: save it as one channel, 0 and 255"
        )
    return np.asarray(high)


def _grey_edges(grey: Array, counts: NDArray[np.int64], found: list[int], lossy: bool) -> bool:
    """Return whether the values between dark and bright are the edges of cracks, rather than labels or a photo."""
    low, high = found[0], found[-1]
    if low > 64 or high < 192:
        return False
    if lossy or len(found) > 5:
        middle, bright = int(counts[64:192].sum()), int(counts[192:].sum())
        return middle <= 0.25 * grey.size and middle <= 4 * bright
    between = (grey > low) & (grey < high)
    kernel = np.ones((3, 3), np.uint8)
    touches_both = (cv2.dilate(grey, kernel) == high) & (cv2.erode(grey, kernel) == low)
    return bool(touches_both[between].mean() >= 0.9) if between.any() else True


def read_classes(path: str, num_classes: int, ignore: int | None = None) -> Array:
    """Read a mask of class indices as (H, W) uint8, with `IGNORE` for ignored pixels.

    Palette images are read by their indices, not by their colours.

    Args:
        path: the file.
        num_classes: number of classes; indices run from 0 to num_classes - 1.
        ignore: another value to ignore, besides 255.

    Raises:
        DataError: if the file cannot be decoded, has colours, or holds an index outside the classes.
    """
    data = read_bytes(path)
    if data.startswith(PNG) and data[25:26] == b"\x03":
        values = _palette_indices(data, path)
    else:
        values = upright(_whole_numbers(_decode(data, path, cv2.IMREAD_UNCHANGED), path), orientation(data))
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


def _palette_indices(data: bytes, path: str) -> Values:
    check_size(data, path, MAX_MEGAPIXELS)
    try:
        with open_image(BytesIO(data)) as image:
            return np.asarray(image)
    except Exception as error:  # Pillow raises many types for damaged files
        raise DataError(f"{path!r} cannot be decoded as an image ({error}): remove it or convert it to PNG") from None
