"""Image files as they are stored: their size before they are decoded, and damage that decoders do not report."""

import os
import re
import stat
from collections.abc import Iterator
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray
from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from cracklab.errors import ConfigError, DataError

MAX_MEGAPIXELS = 500.0
"""Larger images are refused, 1e6 px: a small file can claim any size, and each pixel takes several bytes of memory."""
OPENCV_MEGAPIXELS = 2**30 / 1e6
"""OpenCV decodes no larger image."""

PNG = b"\x89PNG\r\n\x1a\n"
TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
PLUGINS: dict[bytes, type[ImageFile.ImageFile]] = {
    b"\xff\xd8": JpegImagePlugin.JpegImageFile,
    PNG: PngImagePlugin.PngImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    b"RIFF": WebPImagePlugin.WebPImageFile,
} | dict.fromkeys(TIFF, TiffImagePlugin.TiffImageFile)
"""First bytes of a file -> Pillow's class for it."""

MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
"""A marker of a JPEG; 0xFF00 and restart markers belong to the compressed data."""
SEQUENTIAL, FRAMES, SCAN, END = (0xC0, 0xC1), (*range(0xC0, 0xC4), *range(0xC9, 0xCC)), 0xDA, 0xD9
PROGRESSIVE = (0xC2, 0xCA)
UNDECODED = 128
"""Grey level of the pixels for which a JPEG has no data."""
JUNK = bytes((37 * i * i + 91 * i + 5) % 251 for i in range(96))
FILLER = JUNK + b"".join(bytes([0xFF, restart]) + JUNK for restart in range(0xD0, 0xD8))
"""Arbitrary compressed data, also after every restart marker."""


def read_bytes(path: str) -> bytes:
    """Read an image file.

    Raises:
        DataError: if the file is missing, empty, truncated or not a file. Decoders fill a truncated image with grey
            without an error.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # reading a pipe would wait forever
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise DataError(f"{path!r} is {kind}, not an image file: remove it, or change its name")
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path!r} cannot be read ({reason}): check the path") from None
    if not data or _is_truncated(data):
        raise truncated(path, data)
    return data


def truncated(path: str, data: bytes) -> DataError:
    """Return the error for a file whose end is missing."""
    return DataError(f"{path!r} is truncated ({len(data)} bytes, the end is missing): copy it again from its source")


def _is_truncated(data: bytes) -> bool:
    """Return whether a JPEG or PNG lacks its end marker; other data may follow the marker, as in motion photos of phones."""
    if data.startswith(PNG):
        return b"IEND" not in data
    if not data.startswith(b"\xff\xd8"):
        return False
    position = 2
    while data[position : position + 1] == b"\xff" and data[position + 1 : position + 2] != b"\xda":
        position += 2 + int.from_bytes(
            data[position + 2 : position + 4], "big"
        )  # skip headers, whose thumbnails have end markers too
    return data.find(b"\xff\xd9", position) < 0


def open_image(file: BinaryIO) -> ImageFile.ImageFile:
    """Open an image file with Pillow, without decoding it and without Pillow's own limit on the number of pixels.

    Raises:
        Exception: of many types, for a file that is damaged or of another format.
    """
    start = file.read(8)
    file.seek(0)
    for first_bytes, plugin in PLUGINS.items():
        if start.startswith(first_bytes):
            return plugin(file)
    raise ValueError("the format is unknown")


def stored_size(file: BinaryIO) -> tuple[int, int]:
    """Return (height, width), px, from the header of an image file, before any EXIF rotation; (0, 0) if it cannot be read.

    Example:
        >>> import cv2, numpy as np
        >>> stored_size(BytesIO(cv2.imencode(".png", np.zeros((20, 30), np.uint8))[1].tobytes()))
        (20, 30)
    """
    try:
        head = file.read(24)
        if head.startswith(PNG) and head[12:16] == b"IHDR":  # Pillow refuses some valid ones, with long texts
            return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")
        file.seek(0)
        if head.startswith(TIFF):  # of any type of pixels, also one that Pillow cannot decode
            head = file.read(8)
            tags = TiffImagePlugin.ImageFileDirectory_v2(
                head + (file.read(8) if head[2] == 43 or head[3] == 43 else b"")
            )
            file.seek(tags.next)
            tags.load(file)
            return int(tags[TiffImagePlugin.IMAGELENGTH]), int(tags[TiffImagePlugin.IMAGEWIDTH])
        image = open_image(file)
        return image.height, image.width
    except Exception:  # Pillow raises many types for damaged files
        return 0, 0


def check_limit(max_megapixels: float) -> float:
    """Return a largest number of pixels, 1e6, that can be read.

    Raises:
        ConfigError: for a number that is not positive, or larger than OpenCV decodes.
    """
    if not 0 < max_megapixels <= OPENCV_MEGAPIXELS:
        raise ConfigError(f"--max_megapixels {max_megapixels:g}: give more than 0 and at most {OPENCV_MEGAPIXELS:.0f}")
    return max_megapixels


def check_size(data: bytes, path: str, max_megapixels: float) -> None:
    """Check the size of an image before it is decoded.

    Raises:
        DataError: if it has more than this number of pixels, 1e6, or its size cannot be read.
    """
    height, width = stored_size(BytesIO(data))
    if data.startswith(b"\xff\xd8") and not height * width:  # with a damaged tag that Pillow does not ignore
        frames = (content for marker, content, _ in _segments(data) if marker in FRAMES)
        head = next(frames, b"")
        height, width = int.from_bytes(head[1:3], "big"), int.from_bytes(head[3:5], "big")
    if not height * width:
        raise DataError(
            f"{path!r} cannot be decoded as an image (its header is damaged, or not that of a JPEG, PNG, BMP, TIFF or WebP): "
            "remove it or convert it to PNG"
        )
    if height * width > round(max_megapixels * 1e6):  # 16.036032 * 1e6 is less than 4624 * 3468
        raise DataError(
            f"{path!r} has {width} x {height} px, more than {max_megapixels:g} megapixels: make it smaller, or cut it into "
            f"parts (`cracklab predict` and `measure` take --max_megapixels, up to {OPENCV_MEGAPIXELS:.0f})"
        )


def is_cut(data: bytes, pixels: NDArray[Any]) -> bool:
    """Return whether a JPEG ends before its picture is complete, though it has an end marker.

    Decoders fill the rest with grey, or with less detail in a progressive file, without an error.

    Args:
        data: the file.
        pixels: the decoded image (H, W) or (H, W, C), in any orientation.

    Example:
        >>> import cv2, numpy as np
        >>> photo = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
        >>> data = cv2.imencode(".jpg", photo)[1].tobytes()
        >>> cut = data[: len(data) // 2] + bytes([0xFF, 0xD9])
        >>> [is_cut(file, cv2.imdecode(np.frombuffer(file, np.uint8), 0)) for file in (data, cut)]
        [False, True]
    """
    if not data.startswith(b"\xff\xd8"):
        return False
    frame, components, end, scans = 0, 0, 0, 0
    lacking: dict[int, set[int]] = {}
    """Component -> the coefficients that no scan has in full precision."""
    try:
        for marker, content, after in _segments(data):
            if marker in FRAMES:
                frame, components = marker, content[5]
                lacking = {name: set(range(64)) for name in content[6 : 6 + 3 * components : 3]}
            elif marker == SCAN:
                end, scans = after, scans + 1
                names, (first, last, bits) = content[1 : 1 + 2 * content[0] : 2], content[1 + 2 * content[0] :][:3]
                for name in names:
                    if frame not in PROGRESSIVE:
                        lacking[name].clear()
                    elif not bits & 15:
                        lacking[name] -= set(range(first, last + 1))
    except (LookupError, ValueError):  # not as the standard says; the decoder could read it
        return False
    if any(lacking.values()):
        return True
    certain = frame in SEQUENTIAL and components in (1, 3) and scans == 1  # then the last pixels are grey
    corners = pixels[:: max(len(pixels) - 1, 1), :: max(pixels.shape[1] - 1, 1)]
    if certain and not (corners.reshape(*corners.shape[:2], -1) == UNDECODED).all(axis=2).any():
        return False
    return _reads_on(data, end, fast=certain)


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield marker, content and end of each segment of a JPEG; a scan ends after its compressed data."""
    position = 2
    while (found := MARKER.search(data, position)) and found[1][0] != END:
        size = int.from_bytes(data[found.end() : found.end() + 2], "big")
        position = found.end() + size
        if found[1][0] == SCAN:
            following = MARKER.search(data, position)
            position = following.start() if following else len(data)
        yield found[1][0], data[found.end() + 2 : found.end() + size], position


def _reads_on(data: bytes, end: int, fast: bool) -> bool:
    """Return whether the last scan lacks data: more data after it then changes the picture, and is ignored otherwise."""
    try:
        picture = _decoded(data, fast)
    except Exception:  # Pillow is stricter than OpenCV
        return False
    try:
        return _decoded(data[:end] + FILLER + data[end:], fast) != picture
    except Exception:
        return True


def _decoded(data: bytes, fast: bool) -> bytes:
    """Return a hash of the decoded picture; a fast one of an eighth of the size."""
    image = open_image(BytesIO(data))
    if fast:
        image.draft(image.mode, (1, 1))
    return blake2b(image.tobytes()).digest()
