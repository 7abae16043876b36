"""Photos, masks, maps and errors as pictures, and several pictures in one."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.geometry.masks import Mask, distance_to
from cracklab.pictures.colours import BLACK, CRACK, FALSE_ALARM, HIT, MISSED, NEAR_MISS, Colour

Image = NDArray[np.uint8]
"""(H, W, 3) RGB, or (H, W) and (H, W, 1) grey."""

HEAD = 22
"""Height of a line of text, px."""
LEGEND = {"hit": HIT, "near miss": NEAR_MISS, "missed": MISSED, "false": FALSE_ALARM}


def as_rgb(image: Image) -> Image:
    """Return (H, W), (H, W, 1) or (H, W, 3) as (H, W, 3).

    Example:
        >>> as_rgb(np.zeros((4, 5), np.uint8)).shape
        (4, 5, 3)
    """
    image = image[..., None] if image.ndim == 2 else image
    return np.ascontiguousarray(np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image)


def mask_image(mask: Mask) -> Image:
    """Return a mask in white on black, (H, W, 3).

    Example:
        >>> mask_image(np.array([[True, False]]))[..., 0]
        array([[255,   0]], dtype=uint8)
    """
    return as_rgb(mask.astype(np.uint8) * 255)


def heatmap(values: NDArray[np.float32]) -> Image:
    """Return a map (H, W) of real values in colour, (H, W, 3): the smallest is violet, the largest yellow (viridis).

    Example:
        >>> heatmap(np.array([[0, 3]], np.float32)).tolist()
        [[[68, 1, 84], [253, 231, 37]]]
    """
    low, high = float(values.min()), float(values.max())
    levels = ((values - low) / max(high - low, 1e-9) * 255).round().astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1])


def overlay(image: Image, mask: Mask, colour: Colour = CRACK, opacity: float = 0.6) -> Image:
    """Return a photo with a mask blended over it, (H, W, 3).

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3).
        mask: (H, W).
        colour: of the mask.
        opacity: of the mask, 0 to 1.

    Example:
        >>> overlay(np.full((1, 2), 100, np.uint8), np.array([[True, False]]), (200, 0, 100), opacity=0.5).tolist()
        [[[150, 50, 100], [100, 100, 100]]]
    """
    picture = as_rgb(image).astype(np.float32)
    picture[mask] = (1 - opacity) * picture[mask] + opacity * np.array(colour, np.float32)
    return picture.round().astype(np.uint8)


def error_overlay(image: Image, truth: Mask, prediction: Mask, tolerance_px: float = 2.0) -> Image:
    """Return a photo, faded to grey, with the pixels of the four `error_kinds` in colour.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3).
        truth: (H, W).
        prediction: (H, W).
        tolerance_px: distance up to which an error is a near miss, px.

    Returns:
        (H, W, 3), in the colours `HIT`, `NEAR_MISS`, `MISSED` and `FALSE_ALARM`.

    Example:
        >>> truth, prediction = np.array([[True, True, False]]), np.array([[True, False, False]])
        >>> picture = error_overlay(np.zeros((1, 3), np.uint8), truth, prediction)
        >>> bool((picture[0, :2] == [HIT, NEAR_MISS]).all()), picture[0, 2].tolist()
        (True, [140, 140, 140])
    """
    grey = as_rgb(image).astype(np.uint16).mean(-1, keepdims=True)
    picture = np.repeat((grey * 0.4 + 140).astype(np.uint8), 3, axis=2)
    for kind, colour in zip(error_kinds(truth, prediction, tolerance_px), LEGEND.values(), strict=True):
        picture[kind] = colour
    return picture


def error_kinds(truth: Mask, prediction: Mask, tolerance_px: float) -> tuple[Mask, Mask, Mask, Mask]:
    """Return the masks of hits, near misses, missed crack and false alarms, each (H, W).

    A hit is crack in both masks. A near miss is crack in one of them, with crack of the other one within the tolerance.

    Example:
        >>> truth, prediction = np.array([[True, True, False]]), np.array([[True, False, False]])
        >>> [int(kind.sum()) for kind in error_kinds(truth, prediction, tolerance_px=2.0)]
        [1, 1, 0, 0]
    """
    missed, false = truth & ~prediction, prediction & ~truth
    near_truth, near_prediction = (_within(mask, tolerance_px) for mask in (truth, prediction))
    near = (missed & near_prediction) | (false & near_truth)
    return truth & prediction, near, missed & ~near, false & ~near


def _within(mask: Mask, distance_px: float) -> Mask:
    return np.asarray(distance_to(mask) <= distance_px) if mask.any() else mask


def side_by_side(tiles: list[Image], titles: list[str], gap: int = 4, min_height: int = 256) -> Image:
    """Return pictures of one height in a row, each under its title.

    Args:
        tiles: (H, W, 3) each.
        titles: one for each.
        gap: white space between two of them, px.
        min_height: smaller pictures are enlarged by a whole factor to at least this height, px.

    Example:
        >>> tile = np.zeros((100, 150, 3), np.uint8)
        >>> side_by_side([tile, tile], ["photo", "truth"]).shape  # enlarged by 3; 22 px for the titles
        (322, 904, 3)
    """
    factor = max(1, -(-min_height // tiles[0].shape[0]))
    row = []
    for tile, title in zip(tiles, titles, strict=True):
        large = tile.repeat(factor, axis=0).repeat(factor, axis=1)
        row += [np.concatenate([_heading(title, large.shape[1]), large]), _white(large.shape[0] + HEAD, gap)]
    return np.concatenate(row[:-1], axis=1)


def stack_rows(rows: list[Image], gap: int = 4) -> Image:
    """Return pictures below each other, padded with white to the width of the widest.

    Args:
        rows: (H, W, 3) each.
        gap: white space below each, px.

    Example:
        >>> stack_rows([np.zeros((10, 30, 3), np.uint8), np.zeros((10, 20, 3), np.uint8)]).shape
        (28, 30, 3)
    """
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, gap), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(padded)


def legend(width: int, tolerance_px: float) -> Image:
    """Return a line of text that explains the colours of `error_overlay`.

    Example:
        >>> legend(400, tolerance_px=2.0).shape
        (22, 400, 3)
    """
    line, x = _white(HEAD, width), 4
    for name, colour in LEGEND.items():
        text = f"{name} (<= {tolerance_px:g} px)" if colour == NEAR_MISS else name
        cv2.rectangle(line, (x, 5), (x + 12, 17), colour, -1)
        x += 18 + _write(line, text, x + 18) + 14
    return line


def _heading(title: str, width: int) -> Image:
    line = _white(HEAD, width)
    _write(line, title, 4)
    return line


def _write(line: Image, text: str, x: int) -> int:
    """Write text at x, smaller if it would not fit, and return its width, px."""
    (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    size = 0.45 * min(1.0, max(line.shape[1] - x, 1) / max(length, 1))
    cv2.putText(line, text, (x, 16), cv2.FONT_HERSHEY_SIMPLEX, size, BLACK, 1, cv2.LINE_AA)
    return int(length * size / 0.45)


def _white(height: int, width: int) -> Image:
    return np.full((height, width, 3), 255, np.uint8)
