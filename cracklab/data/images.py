"""Decoding of photos and masks, detection of how a mask is encoded, and resizing that keeps thin cracks."""

from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cracklab.errors import DataError

Array = NDArray[np.uint8]
Values = NDArray[Any]
"""Stored values of any integer type."""
Interpolation = Literal["area", "bicubic"]
"""How photos shrink."""

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""File endings of images, in lower case; upper case counts as the same."""

LOSSY = (".jpg", ".jpeg", ".webp")
"""File endings of formats that change values a little."""

IGNORE = 255
"""Mask value of pixels that count nowhere."""

COVERAGE = 0.45
"""A pixel of a mask that shrinks by s is crack where at least this times s of its area was."""

PNG = b"\x89PNG\r\n\x1a\n"
ORIENTATION_TAG = 0x0112


def crack_pixels(mask: Array) -> NDArray[np.bool_]:
    """Return where a mask of class indices shows a crack: any class but 0, and not `IGNORE`.

    >>> crack_pixels(np.array([[0, 1, 255, 2]], np.uint8))
    array([[False,  True, False,  True]])
    """
    return np.asarray((mask > 0) & (mask != IGNORE), np.bool_)


def read_bytes(path: str) -> bytes:
    """The bytes of a whole image file.

    Raises:
        DataError: for a file that is missing, empty, or cut off (decoders return grey areas for these, without a word).
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path!r} cannot be read ({error.strerror}): check the path") from None
    if not data or _is_cut_off(data):
        raise DataError(f"{path!r} is truncated ({len(data)} bytes, the end is missing): copy it again from its source")
    return data


def _is_cut_off(data: bytes) -> bool:
    """Whether the marker at the end of a JPEG or PNG is missing; more may follow it, as in moving photos of phones."""
    if data.startswith(PNG):
        return b"IEND" not in data
    if not data.startswith(b"\xff\xd8"):
        return False
    position = 2
    while data[position : position + 1] == b"\xff" and data[position + 1 : position + 2] != b"\xda":
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")  # over headers and their thumbnails
    return data.find(b"\xff\xd9", position) < 0


def orientation(data: bytes) -> int:
    """The EXIF orientation of an image file, 1 (upright) to 8; 1 where there is none."""
    try:
        with Image.open(BytesIO(data)) as image:
            return int(image.getexif().get(ORIENTATION_TAG, 1))
    except (UnidentifiedImageError, OSError, ValueError):
        return 1


def _decode(data: bytes, path: str, flags: int) -> Values:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise DataError(f"{path!r} is not an image that can be decoded: remove it or convert it to PNG")
    return image


def read_image(path: str) -> Array:
    """Decode a photo to (H, W, 3) uint8 RGB, turned upright; 16-bit values are divided by 256, transparency is dropped.

    Raises:
        DataError: for a file that is missing, truncated or no image.
    """
    image = _decode(read_bytes(path), path, cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def upright(image: Values, exif: int) -> Values:
    """Turn pixels as the EXIF orientation says."""
    if exif in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if exif in (2, 3, 6, 7):
        image = image[:, ::-1]
    if exif in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def read_values(path: str) -> Values:
    """The stored values of a mask, turned upright: (H, W), or (H, W, C) with colours as blue, green, red.

    Raises:
        DataError: for a file that is missing, truncated or no image.
    """
    data = read_bytes(path)
    values = _decode(data, path, cv2.IMREAD_UNCHANGED)
    return upright(values, orientation(data))


def read_mask(path: str, invert: bool = False) -> Array:
    """Decode a crack mask of any encoding to (H, W) uint8, 0 and 1.

    Args:
        path: the file.
        invert: the file has cracks dark on a bright ground.

    Raises:
        DataError: for a file that cannot be decoded, or values that could mean several things.
    """
    mask, _ = binarise(read_values(path), path, lossy=Path(path).suffix.lower() in LOSSY)
    return np.asarray(1 - mask, np.uint8) if invert else mask


def binarise(values: Values, name: str, lossy: bool = False) -> tuple[Array, str]:
    """Detect how a crack mask is encoded, and decode it.

    Understood are one value besides 0 (0/1, 0/255 and the like), bright on dark with grey edges as interpolation and
    JPEG leave them, each of these as RGB or 16-bit, one colour on black (palettes too), and cracks drawn on a
    transparent ground.

    Args:
        values: (H, W) or (H, W, C) of any integer type or bool.
        name: what errors call the mask.
        lossy: values near 0 and 255 are noise of the compression, not labels.

    Returns:
        (H, W) uint8 with 1 for crack, and the name of the encoding.

    Raises:
        DataError: for values that could mean several things.
    """
    grey = _one_channel(values, name)
    top = int(grey.max())
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
        f"mask {name!r} has the values {shown}, which do not say what is crack: save it with 0 for background and 255 for "
        "crack, or choose a layout for class indices"
    )


def _one_channel(values: Values, name: str) -> Values:
    """Bring colours and transparency down to one channel."""
    if values.ndim == 2:
        return values.astype(np.uint8) if values.dtype == np.bool_ else values
    if values.shape[2] in (2, 4):
        colour, alpha = values[..., :-1], values[..., -1]
        if alpha.min() != alpha.max():
            if (colour == colour[:1, :1]).all() or not colour[alpha == 0].any():
                return alpha  # drawn on a transparent ground
            raise DataError(f"mask {name!r} has both colours and transparency: save it as one channel, 0 and 255")
        values = colour
    low, high = values.min(axis=2), values.max(axis=2)
    coloured = high.astype(np.int64) - low > np.iinfo(values.dtype).max // 8
    if (low[~coloured].max(initial=0) > np.iinfo(values.dtype).max // 4) and coloured.any():
        raise DataError(f"mask {name!r} has colours on a ground that is not black: save it as one channel, 0 and 255")
    return np.asarray(high)


def _grey_edges(grey: Array, counts: NDArray[np.int64], found: list[int], lossy: bool) -> bool:
    """Whether values between dark and bright are edges, not labels and not a photo."""
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
    """Decode a mask of class indices to (H, W) uint8, with `IGNORE` where a pixel counts nowhere.

    Palette images give their indices, not their colours.

    Args:
        path: the file.
        num_classes: indices run from 0 to this, exclusive.
        ignore: further value that counts nowhere; 255 always does.

    Raises:
        DataError: for a file that cannot be decoded, several channels, or an index that is no class.
    """
    data = read_bytes(path)
    if data.startswith(PNG) and data[25] == 3:
        with Image.open(BytesIO(data)) as image:
            values: Values = np.asarray(image)
    else:
        values = upright(_decode(data, path, cv2.IMREAD_UNCHANGED), orientation(data))
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise DataError(f"mask {path!r} has colours where class indices are expected: convert it to indices")
        values = values[..., 0]
    mask = np.where(values == ignore, IGNORE, values) if ignore is not None else values
    wrong = np.unique(mask[(mask >= num_classes) & (mask != IGNORE)])
    if wrong.size:
        raise DataError(
            f"mask {path!r} has the value {wrong[0]}, but there are {num_classes} classes, 0 to {num_classes - 1}, and "
            f"{IGNORE if ignore is None else ignore} to ignore: set the number of classes or the value to ignore"
        )
    return mask.astype(np.uint8)


def resize_image(image: Array, height: int, width: int, interpolation: Interpolation = "area") -> Array:
    """Resize a photo: the mean over areas where it shrinks and bilinear where it grows, or bicubic either way.

    Bicubic interpolation looks at 4 x 4 pixels whatever the scale, so that a crack which shrinks can fall between them.
    """
    if image.shape[:2] == (height, width):
        return image
    shrinks = height * width < image.shape[0] * image.shape[1]
    flags = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    if interpolation == "bicubic":
        flags = cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=flags), np.uint8)


def resize_mask(mask: Array, height: int, width: int, num_classes: int = 1, coverage: float | None = None) -> Array:
    """Resize a mask by the area that each class covers, since nearest-neighbour sampling breaks thin cracks.

    A line one pixel wide that shrinks by s covers a share s of the pixels that it runs through, or s / 2 of each where it
    runs between two rows: with a threshold a little below s / 2 it stays whole (tests/benchmarks/README.md has tables).

    Args:
        mask: (H, W) uint8 class index, `IGNORE` where a pixel counts nowhere.
        height: wanted height, px.
        width: wanted width, px.
        num_classes: 1 for crack or not; else the class that covers most of a pixel wins.
        coverage: share of a pixel's area that has to be crack for the pixel to be crack, where the mask shrinks; None:
            `COVERAGE` times the scale. A mask that grows is cut at one half.
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
