"""Pictures of predictions, shared by callbacks, prediction, reports and notebooks."""

import cv2
import numpy as np
from numpy.typing import NDArray

HIT, MISSED, FALSE = (0, 158, 115), (213, 94, 0), (0, 114, 178)
"""Green, vermilion and blue of Okabe and Ito's palette, told apart by the colour-blind."""

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


def errors(image: Image, truth: Mask, prediction: Mask) -> Image:
    """The photo, faded, with hits in green, missed crack in vermilion and false alarms in blue."""
    picture = (as_rgb(image) // 2 + 100).astype(np.uint8)
    for where, colour in ((truth & prediction, HIT), (truth & ~prediction, MISSED), (prediction & ~truth, FALSE)):
        picture[where] = colour
    return picture


def as_picture(mask: Mask) -> Image:
    """A mask in black and white."""
    return as_rgb(mask.astype(np.uint8) * 255)


def side_by_side(tiles: list[Image], titles: list[str], gap: int = 4, least: int = 256) -> Image:
    """Pictures in a row under their titles, enlarged by a whole factor to at least `least` px of height."""
    factor = max(1, -(-least // tiles[0].shape[0]))
    row = []
    for tile, title in zip(tiles, titles, strict=True):
        large = tile.repeat(factor, axis=0).repeat(factor, axis=1)
        head = np.full((26, large.shape[1], 3), 255, np.uint8)
        cv2.putText(head, title, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        row += [np.concatenate([head, large]), np.full((large.shape[0] + 26, gap, 3), 255, np.uint8)]
    return np.concatenate(row[:-1], axis=1)


def stacked(rows: list[Image], gap: int = 4) -> Image:
    """Rows of pictures below each other, white where one is narrower."""
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, gap), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(padded)
