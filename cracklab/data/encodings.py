"""The encodings of crack masks: which stored values, colours and transparencies mean crack."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.errors import DataError

Mask = NDArray[np.uint8]
Values = NDArray[Any]
"""Stored values of any integer type."""

SAME_HUE = 0.45
"""Two colours, each divided by its largest channel, have the same hue if no channel differs by more; JPEG noise reaches 0.4."""


def binarise(values: Values, name: str, lossy: bool = False) -> tuple[Mask, str]:
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


def _scaled(values: Values, top: int) -> Mask:
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


def _grey_edges(grey: Mask, counts: NDArray[np.int64], found: list[int], lossy: bool) -> bool:
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
