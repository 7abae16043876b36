"""Reading photos and masks, and detecting the encoding of a mask."""

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.data.image_files import MAX_MEGAPIXELS, PNG, TIFF, check_size, is_cut, open_image, read_bytes, truncated
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

SAME_HUE = 0.45
"""Two colours, each divided by its largest channel, have the same hue if no channel differs by more; JPEG noise reaches 0.4."""


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


def binarise(values: Values, name: str, lossy: bool = False) -> tuple[Array, str]:
    """Detect the encoding of a crack mask, and decode it.

    Supported are one value besides 0 (0/1, 0/255, 0/65535 and the like); bright on dark with grey edges, as interpolation and
    JPEG leave them; each of these as RGB or 16-bit; one colour on black, palettes included; and cracks drawn in one colour on
    a transparent background.

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
    stored = _one_channel(values, name, lossy)
    top = int(stored.max())
    if stored.min() < 0:
        raise DataError(f"mask {name!r} has the value {stored.min()}: save it with 0 for background and 255 for crack")
    crack = stored > 0
    one_value = np.count_nonzero(crack) in (0, np.count_nonzero(stored == top))
    if one_value and (top in (0, 1, 255, 65535) or not crack.all()):  # never scaled: 256 of 16 bits would become 0
        return crack.astype(np.uint8), f"0/{top}" if top not in (0, 65535) else "0/255"
    grey = stored.astype(np.uint8) if top <= 255 else _scaled(stored, top)
    counts = np.bincount(grey.ravel(), minlength=256)
    found = np.flatnonzero(counts).tolist()
    if _grey_edges(grey, counts, found, lossy):
        return np.asarray(grey >= 128, np.uint8), "grey edges"
    found = found if top <= 255 else np.unique(stored).tolist()
    shown = ", ".join(map(str, found[:6])) + (f" ... {found[-1]}" if len(found) > 6 else "")
    raise DataError(
        f"mask {name!r} has the values {shown}, so it is unclear which pixels are crack: save it with 0 for background and 255 "
        "for crack, or choose a layout for class indices (`cracklab measure` takes --classes)"
    )


def _scaled(values: Values, top: int) -> Array:
    """Scale integers above 255 to 8 bits: by 65535 if they fit, else by the largest number of their type."""
    full = 65535 if top <= 65535 else np.iinfo(values.dtype).max
    return (values.astype(np.float64) * (255 / full)).astype(np.uint8)


def _one_channel(values: Values, name: str, lossy: bool) -> Values:
    """Reduce colours and transparency to one channel."""
    if values.ndim == 2:
        return values.astype(np.uint8) if values.dtype == np.bool_ else values
    planes = np.ascontiguousarray(np.moveaxis(values, -1, 0))  # sums over the last axis would take ten times as long
    if len(planes) in (2, 4):
        planes, alpha = planes[:-1], planes[-1]
        if alpha.min() != alpha.max():
            opaque = alpha == alpha.max()
            first = planes[:, opaque][:, 0]
            drawn = not ((planes != first[:, None, None]) & opaque).any()
            if drawn and (first.any() or np.count_nonzero(opaque) <= alpha.size // 4):
                return np.asarray(alpha)  # drawn on a transparent background, perhaps in black
            if (drawn and not _is_turned(alpha)) or ((planes != 0) & (alpha == 0)).any():
                raise DataError(f"mask {name!r} has both colours and transparency: save it as one channel, 0 and 255")
    low, high = planes.min(axis=0), planes.max(axis=0)
    top = int(high.max())
    coloured = (high - low if values.dtype.kind == "u" else high.astype(np.int64) - low) > top // 8
    if coloured.any():
        if (low * ~coloured).max() > top // 4:
            raise DataError(
                f"mask {name!r} has colours on a background that is not black: save it as one channel, 0 and 255"
            )
        bright = coloured & (high > top // 2)
        if _has_two_hues(np.stack([plane[bright] for plane in planes]), lossy):
            raise DataError(
                f"mask {name!r} has several colours, so it is unclear which of them are crack: save it with 0 for background "
                "and 255 for crack, or choose a layout for class indices"
            )
    return np.asarray(high)


def _is_turned(alpha: Values) -> bool:
    """Return whether only what a rotation leaves empty is transparent, the four corners or bars at the sides, and no crack."""
    opaque = (alpha == alpha.max()).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(opaque)
    if opaque[y : y + height, x : x + width].all():
        return True
    edge = 3  # px: resampling leaves pixels that are not quite opaque
    sides = (opaque[:edge], opaque[-edge:], opaque[:, :edge], opaque[:, -edge:])
    hull = cv2.fillConvexPoly(np.zeros_like(opaque), cv2.convexHull(cv2.findNonZero(opaque)), 1)
    inside = cv2.erode(
        hull, np.ones((2 * edge - 1, 2 * edge - 1), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return all(map(np.any, sides)) and not alpha[[0, 0, -1, -1], [0, -1, 0, -1]].any() and not (inside > opaque).any()


def _has_two_hues(colours: Values, lossy: bool) -> bool:
    """Return whether bright colours (3, N) are more than shades of one; JPEG changes a few."""
    hues = np.divide(colours, colours.max(axis=0), dtype=np.float32)
    usual = np.quantile(hues[:, :: 1 + hues.shape[1] // 10_000], 0.5, axis=1, method="lower", keepdims=True)
    others = int((np.abs(hues - usual) > SAME_HUE).any(axis=0).sum())
    return others > (0.05 * hues.shape[1] if lossy else 0)


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
