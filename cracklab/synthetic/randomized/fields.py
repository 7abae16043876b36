"""Random fields, lines and blends, from which everything else in this package is drawn.

An image is (3, H, W) float32, RGB, 0 to 1, by channel, since NumPy multiplies planes faster than pixels. A field is (H, W)
float32. A point is (x, y) in px; (0, 0) is the centre of the top left pixel.
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Size = tuple[int, int]

TILE = 1024
"""Side of the tile of white noise from which fine noise is cut, px."""


@cache
def white_tile() -> Floats:
    """Return one tile of Gaussian white noise, always the same; redrawing it for each field would take most of the time."""
    return np.random.default_rng(0).standard_normal((TILE, TILE), np.float32)


def white(rng: Generator, size: Sequence[int]) -> Floats:
    """Return white noise (H, W) of mean 0 and standard deviation 1."""
    if max(size) >= TILE:
        return rng.standard_normal(size, np.float32)
    top, left = rng.integers(0, (TILE - size[0], TILE - size[1]))
    return white_tile()[top : top + size[0], left : left + size[1]]


def noise(rng: Generator, size: Size, cell: float | tuple[float, float], octaves: int = 1, fade: float = 0.6) -> Floats:
    """Return value noise: a smooth random field (H, W) of mean 0 and standard deviation near 1.

    Args:
        rng: the source of randomness.
        size: (H, W), px.
        cell: size of the details, px; (height, width) if they differ. Octaves end at details of 1 px.
        octaves: number of octaves; each has half the cell of the one before.
        fade: amplitude of an octave relative to the one before.

    Example:
        >>> field = noise(np.random.default_rng(0), (200, 300), cell=8, octaves=3)
        >>> field.shape, abs(float(field.mean())) < 0.1, 0.7 < float(field.std()) < 1.3
        ((200, 300), True, True)
    """
    high, wide = cell if isinstance(cell, tuple) else (cell, cell)
    total, power, amplitude = np.zeros(size, np.float32), 0.0, 1.0
    for _ in range(octaves):
        total += np.float32(amplitude) * _octave(rng, size, max(high, 1.0), max(wide, 1.0))
        power += amplitude**2
        if max(high, wide) <= 1:
            break
        high, wide, amplitude = high / 2, wide / 2, amplitude * fade
    return total * np.float32(power**-0.5)


def _octave(rng: Generator, size: Size, high: float, wide: float) -> Floats:
    """Return one octave."""
    if max(high, wide) <= 1:
        return white(rng, size)
    # white noise with two samples a cell, smoothed, shows no grid
    steps = [max(1.0, cell / 2) for cell in (high, wide)]
    shape = [max(2, round(side / step)) for side, step in zip(size, steps, strict=True)]
    field = cv2.GaussianBlur(white(rng, [side + 4 for side in shape]), (5, 5), 1.0)[2:-2, 2:-2]
    if shape != list(size):
        field = cv2.resize(field, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(field, np.float32) * np.float32(3.8)


def ramp(field: Floats, edge: float, softness: float) -> Floats:
    """Return 0 where `field` is below `edge` and 1 where it is above, with a linear ramp `softness` wide between.

    Example:
        >>> ramp(np.array([0.0, 0.9, 1.0, 1.1, 2.0], np.float32), edge=1.0, softness=0.4).round(2).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    clipped: Floats = np.clip((field - np.float32(edge)) * np.float32(1 / softness) + np.float32(0.5), 0, 1)
    return clipped


def blend(image: Floats, over: Floats, share: Floats) -> Floats:
    """Return an image with a colour (3, 1, 1) or an image over it, where `share` (H, W) is the share of the upper one."""
    return image + (over - image) * share


def shade(image: Floats, field: Floats) -> Floats:
    """Return a colour (3, 1, 1) or an image, lightened or darkened by a relative field (H, W) or (3, H, W).

    Example:
        >>> shade(colour(0.5, 0.5, 0.5), np.array([[0.0, -1.0]], np.float32))[0].tolist()  # the second pixel turns black
        [[0.5, 0.0]]
    """
    shaded: Floats = image * (1 + field)
    return shaded


def colour(red: float, green: float, blue: float) -> Floats:
    """Return a colour (3, 1, 1)."""
    return np.array([red, green, blue], np.float32)[:, None, None]


def random_colour(rng: Generator, low: float, high: float, tint: float) -> Floats:
    """Return a random colour (3, 1, 1) of lightness `low` to `high`, warmer or cooler than grey by at most `tint`."""
    warmth, green = rng.uniform(-0.5 * tint, tint), rng.uniform(-tint, tint) / 4
    return np.float32(rng.uniform(low, high)) * colour(1 + warmth, 1 + green, 1 - warmth)


def any_colour(rng: Generator) -> Floats:
    """Return a random colour (3, 1, 1) of any hue, as of leaves, paint or plastic."""
    hue = rng.random(3)
    return np.float32(rng.uniform(0.1, 0.9)) * colour(*(0.35 + 0.65 * hue / hue.max()).tolist())


def relief(height: Floats, angle: float) -> Floats:
    """Return the light and shade, of mean near 0, of a height field lit from direction `angle`, radians."""
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=0.25 * np.cos(angle))
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=0.25 * np.sin(angle))
    return np.asarray(cv2.add(slope_x, slope_y), np.float32)


def blur(field: Floats, sigma: float) -> Floats:
    """Return a field (H, W) or an image (3, H, W) after a Gaussian blur; a wide one is computed at a quarter of the size."""
    if field.ndim == 3:
        return np.stack([blur(plane, sigma) for plane in field])
    if sigma < 4 or min(field.shape) < 32:
        return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma), np.float32)
    height, width = field.shape
    small = cv2.resize(field, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def across(rng: Generator, size: Size, angle: float | None = None) -> Floats:
    """Return the signed distance (H, W), px, of every pixel from a straight line through a random point.

    Args:
        rng: the source of randomness.
        size: (H, W), px.
        angle: direction of the line's normal, radians; None: any.
    """
    angle = rng.uniform(0, 2 * np.pi) if angle is None else angle
    x0, y0 = rng.uniform(0.05, 0.95, 2) * size[::-1]
    x = (np.arange(size[1], dtype=np.float32) - np.float32(x0)) * np.float32(np.cos(angle))
    y = (np.arange(size[0], dtype=np.float32) - np.float32(y0)) * np.float32(np.sin(angle))
    return x + y[:, None]


def upright(rng: Generator) -> float:
    """Return an angle, radians, of an edge in a picture of something built: within a few degrees of a multiple of 90."""
    return float(rng.integers(4) * np.pi / 2 + rng.normal(0, 0.04))


def lines(size: Size, paths: list[NDArray[np.float64]], widths: list[float]) -> Floats:
    """Return the coverage (H, W), 0 to 1, of lines of constant width; each path is (N, 2), px.

    A line thinner than 1 px covers that share of a pixel.
    """
    canvas = np.zeros(size, np.uint8)
    for path, width in zip(paths, widths, strict=True):
        points = np.rint(16 * path).astype(np.int32)
        value = int(255 * min(1.0, width))
        cv2.polylines(canvas, [points], False, value, max(1, round(width)), cv2.LINE_AA, shift=4)
    return canvas * np.float32(1 / 255)


def shifted(field: Floats, down: int, right: int) -> Floats:
    """Return a field moved down and to the right by whole pixels; the border is repeated."""
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return np.asarray(
        cv2.warpAffine(field, matrix, field.shape[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )
