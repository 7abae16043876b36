"""Masks that annotation files hold pixel by pixel: run lengths of COCO and CVAT, and pictures of LabelMe."""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np

from cracklab.data.image_files import stored_size
from cracklab.data.images import Array
from cracklab.data.layouts.values import shortened, whole_number

MAX_SHIFT = 60
"""Place of the highest digit of a compressed number."""


def decode_run_lengths(counts: Sequence[int], height: int, width: int, columns_first: bool = True) -> Array:
    """Return the mask (H, W) of alternating runs of 0 and 1, starting with 0.

    Raises:
        ValueError: if they are not as many pixels as the mask has.

    Example:
        >>> decode_run_lengths([1, 2, 3], height=2, width=3, columns_first=False).tolist()
        [[0, 1, 1], [0, 0, 0]]
    """
    check_run_lengths(counts, height, width)
    flat = np.repeat(np.arange(len(counts)) % 2, list(map(whole_number, counts))).astype(np.uint8)
    return flat.reshape((height, width), order="F" if columns_first else "C")


def check_run_lengths(counts: Sequence[int], height: int, width: int) -> None:
    """Check that run lengths are those of a mask of this size, before they take memory.

    Raises:
        ValueError: if they are not.
    """
    if sum(map(whole_number, counts)) != height * width:
        raise ValueError(f"the run lengths add up to {sum(counts)}, but {height} x {width} is {height * width} px")


def decompressed(text: str) -> list[int]:
    """Return the run lengths in a compressed string of COCO.

    Each number is the difference to the last but one, from the third on, in digits of 5 bits, the lowest first; bit 6 tells
    that more follow, and the highest bit of the last one is the sign.

    Raises:
        ValueError: for a string that is not compressed run lengths.

    Example:
        >>> decompressed("52203")  # as pycocotools writes it
        [5, 2, 2, 2, 5]
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > MAX_SHIFT:
            raise ValueError(f"counts is {shortened(text)}, which is not compressed run lengths")
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            value -= (digit & 16) << (shift - 4)
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError(f"counts is {shortened(text)}, which ends within a number")
    return counts


@dataclass(frozen=True)
class CocoRunLengths:
    """Run lengths of a mask, column by column: a list, or a compressed string.

    Raises:
        ValueError: for run lengths that are not those of a mask of this size.
    """

    counts: Any
    height: int
    width: int

    def __post_init__(self) -> None:
        if not isinstance(self.counts, list | str):
            raise ValueError(f"counts is {shortened(self.counts)}, neither a list nor a compressed string")
        check_run_lengths(self._runs(), self.height, self.width)

    def _runs(self) -> list[int]:
        return decompressed(self.counts) if isinstance(self.counts, str) else self.counts

    def __call__(self, height: int, width: int) -> Array:
        """Return the mask (H, W).

        Raises:
            ValueError: for an image of another size.
        """
        _check_same_size(self.height, self.width, height, width)
        return decode_run_lengths(self._runs(), self.height, self.width)


@dataclass(frozen=True)
class CvatRunLengths:
    """Run lengths of a box of a mask, row by row.

    Raises:
        ValueError: for run lengths that are not those of the box, or a box outside of the image.
    """

    counts: tuple[int, ...]
    top: int
    left: int
    height: int
    width: int
    image_height: int
    image_width: int

    def __post_init__(self) -> None:
        check_run_lengths(self.counts, self.height, self.width)
        inside = self.top + self.height <= self.image_height and self.left + self.width <= self.image_width
        if self.top < 0 or self.left < 0 or not inside:
            raise ValueError(
                f"a box of {self.width} x {self.height} px at ({self.left}, {self.top}) is not inside the image of "
                f"{self.image_width} x {self.image_height} px"
            )

    def __call__(self, height: int, width: int) -> Array:
        """Return the mask (H, W) of the whole image.

        Raises:
            ValueError: for an image of another size.
        """
        _check_same_size(self.image_height, self.image_width, height, width)
        mask = np.zeros((self.image_height, self.image_width), np.uint8)
        part = decode_run_lengths(self.counts, self.height, self.width, columns_first=False)
        mask[self.top : self.top + self.height, self.left : self.left + self.width] = part
        return mask


def _check_same_size(height: int, width: int, image_height: int, image_width: int) -> None:
    if (height, width) != (image_height, image_width):
        raise ValueError(f"run lengths for {width} x {height} px, and the photo has {image_width} x {image_height} px")


@dataclass(frozen=True)
class LabelMePicture:
    """A box of a mask as a PNG in base 64; any value but 0 is crack.

    Raises:
        ValueError: for text that is not base 64, or a picture of another size than the box.
    """

    text: str
    top: int
    left: int
    height: int
    width: int

    def __post_init__(self) -> None:
        found = stored_size(BytesIO(self._bytes()))
        if min(self.top, self.left) < 0 or found != (self.height, self.width):
            raise ValueError(
                f"the mask is {found[1]} x {found[0]} px, and its box has {self.width} x {self.height} px at ({self.left}, {self.top})"
            )

    def _bytes(self) -> bytes:
        return b64decode(self.text, validate=True)

    def __call__(self, height: int, width: int) -> Array:
        """Return the mask (H, W) of the whole image.

        Raises:
            ValueError: for a box that is not inside the image, or a damaged picture.
        """
        if self.top + self.height > height or self.left + self.width > width:
            raise ValueError(f"the box of a mask ends outside of the photo of {width} x {height} px")
        part = cv2.imdecode(np.frombuffer(self._bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        if part is None or part.shape != (self.height, self.width):
            raise ValueError("a mask cannot be decoded as PNG")
        mask = np.zeros((height, width), np.uint8)
        mask[self.top : self.top + self.height, self.left : self.left + self.width] = part > 0
        return mask
