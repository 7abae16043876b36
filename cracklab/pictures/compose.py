"""Photos, masks and errors as pictures, and pictures side by side."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.geometry.masks import distance_to

HIT, NEAR, MISSED, FALSE = (0, 114, 178), (86, 180, 233), (213, 94, 0), (240, 228, 66)
"""Blue, sky blue, vermilion and yellow of Okabe and Ito's palette: of its quadruples the one that people with any kind of
colour blindness tell apart best. What is right is blue, what is wrong is warm."""

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def as_rgb(image: Image) -> Image:
    """(H, W), (H, W, 1) or (H, W, 3) as (H, W, 3)."""
    image = image[..., None] if image.ndim == 2 else image
    return np.ascontiguousarray(np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image)


def overlay(image: Image, mask: Mask, colour: tuple[int, int, int] = MISSED, strength: float = 0.6) -> Image:
    """The photo with a mask laid over it."""
    picture = as_rgb(image).astype(np.float32)
    picture[mask] = (1 - strength) * picture[mask] + strength * np.array(colour, np.float32)
    return picture.round().astype(np.uint8)


def errors(image: Image, truth: Mask, prediction: Mask, tolerance_px: float = 2.0) -> Image:
    """The photo, faded to grey, with four kinds of pixels in colour.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3).
        truth: (H, W).
        prediction: (H, W).
        tolerance_px: an error this near to what would be right is a near miss, px.

    Returns:
        Where both are crack `HIT`; where one of them is, but the other within the tolerance, `NEAR`; else where the truth
        is `MISSED`, where the prediction is `FALSE`.
    """
    grey = as_rgb(image).astype(np.uint16).mean(-1, keepdims=True)
    picture = np.repeat((grey * 0.4 + 140).astype(np.uint8), 3, axis=2)
    for where, colour in zip(kinds(truth, prediction, tolerance_px), (HIT, NEAR, MISSED, FALSE), strict=True):
        picture[where] = colour
    return picture


def kinds(truth: Mask, prediction: Mask, tolerance_px: float) -> tuple[Mask, Mask, Mask, Mask]:
    """Hits, near misses, missed crack and false alarms, each (H, W); see `errors`."""
    missed, false = truth & ~prediction, prediction & ~truth
    near_truth, near_prediction = (_within(mask, tolerance_px) for mask in (truth, prediction))
    near = (missed & near_prediction) | (false & near_truth)
    return truth & prediction, near, missed & ~near, false & ~near


def _within(mask: Mask, distance_px: float) -> Mask:
    return np.asarray(distance_to(mask) <= distance_px) if mask.any() else mask


def as_picture(mask: Mask) -> Image:
    """A mask in black and white."""
    return as_rgb(mask.astype(np.uint8) * 255)


def as_map(values: NDArray[np.float32]) -> Image:
    """A map (H, W) of real values in colour, from its least to its largest."""
    low, high = float(values.min()), float(values.max())
    levels = ((values - low) / max(high - low, 1e-9) * 255).round().astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1])


def side_by_side(tiles: list[Image], titles: list[str], gap: int = 4, least: int = 256) -> Image:
    """Pictures in a row under their titles, enlarged by a whole factor to at least `least` px of height."""
    factor = max(1, -(-least // tiles[0].shape[0]))
    row = []
    for tile, title in zip(tiles, titles, strict=True):
        large = tile.repeat(factor, axis=0).repeat(factor, axis=1)
        row += [np.concatenate([_heading(title, large.shape[1]), large]), _white(large.shape[0] + HEAD, gap)]
    return np.concatenate(row[:-1], axis=1)


HEAD = 22
"""Height of a line of text, px."""
LEGEND = {"hit": HIT, "near miss": NEAR, "missed": MISSED, "false": FALSE}


def legend(width: int, tolerance_px: float) -> Image:
    """A line that says what the colours of `errors` mean."""
    line, x = _white(HEAD, width), 4
    for name, colour in LEGEND.items():
        text = f"{name} (<= {tolerance_px:g} px)" if colour == NEAR else name
        cv2.rectangle(line, (x, 5), (x + 12, 17), colour, -1)
        x += 18 + _write(line, text, x + 18) + 14
    return line


def _heading(title: str, width: int) -> Image:
    line = _white(HEAD, width)
    _write(line, title, 4)
    return line


def _write(line: Image, text: str, x: int) -> int:
    """Write text at x, smaller where it would not fit; returns its width, px."""
    (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    size = 0.45 * min(1.0, max(line.shape[1] - x, 1) / max(length, 1))
    cv2.putText(line, text, (x, 16), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)
    return int(length * size / 0.45)


def _white(height: int, width: int) -> Image:
    return np.full((height, width, 3), 255, np.uint8)


def stacked(rows: list[Image], gap: int = 4) -> Image:
    """Rows of pictures below each other, white where one is narrower."""
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, gap), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(padded)
