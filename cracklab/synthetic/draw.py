"""Draw photos of cracked walls, with their masks, from a seed. No files are read.

Points are (x, y) in px; (0, 0) is the centre of the top left pixel. Images and fields are as in `cracklab.synthetic.surfaces`.
"""

from itertools import accumulate
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cracklab.errors import ConfigError
from cracklab.synthetic.surfaces import Floats, Size, drips, light, noise, random_surface, rgb, shade, stain

SMALLEST = 16
"""Smallest height and width, px; in a smaller image a crack cannot be distinguished from the wall."""
CRACK_FREE = 0.1
"""Share of images without cracks."""
WIDTH = (1.0, 6.0)
"""Minimum and maximum width of a crack, px."""
STEP = 1.5
"""Distance between the points of a crack's path, px."""
FINE = 4
"""Number of subpixels per pixel and axis in which coverage is counted."""


class Stroke(NamedTuple):
    """A line of varying width: points (N, 2) and the width at each (N,), px."""

    points: NDArray[np.float64]
    width: NDArray[np.float64]


def draw(seed: int, size: Size = (128, 128)) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one photo of a wall; nine in ten show cracks.

    Args:
        seed: 0 or more. The same seed and size give the same image, whatever was drawn before.
        size: (H, W), px, at least 16 x 16. Cracks are 1 to 6 px wide at any size; a larger image shows more of them.

    Returns:
        The image (H, W, 3) uint8, RGB, and the mask (H, W) uint8, 1 on cracks.

    Raises:
        ConfigError: if the seed is negative or the size too small.

    Example:
        >>> image, mask = draw(0, size=(96, 128))
        >>> image.shape, mask.shape
        ((96, 128, 3), (96, 128))
        >>> np.unique(mask).tolist()
        [0, 1]
        >>> bool(image[mask == 1].mean() < image[mask == 0].mean())  # cracks are darker than the wall
        True
    """
    if seed < 0:
        raise ConfigError(f"the seed of a synthetic image is {seed}: give 0 or more")
    if min(size) < SMALLEST:
        raise ConfigError(
            f"the size of a synthetic image is {size[0]} x {size[1]} px (height x width): give at least {SMALLEST} x {SMALLEST}"
        )
    rng = np.random.default_rng(seed)
    image = wall(rng, size)
    cracks = [] if rng.random() < CRACK_FREE else crack_pattern(rng, size)
    covered = coverage(cracks, size)
    mask = (covered >= 0.5) | centre_lines(cracks, size)
    image = light(rng, darken_cracks(rng, image, covered))
    if rng.random() < 0.08:
        image, hidden = cable(rng, image)
        mask &= hidden < 0.5
    return camera(rng, image), mask.astype(np.uint8)


def wall(rng: Generator, size: Size) -> Floats:
    """Draw a wall without cracks: a surface with stains, drips, joints and scratches."""
    image = random_surface(rng, size)
    for mark, chance in ((stain, 0.35), (drips, 0.25), (joint, 0.1), (scratches, 0.25)):
        if rng.random() < chance:
            image = mark(rng, image)
    return image


def coverage(strokes: list[Stroke], size: Size) -> Floats:
    """Return the share of each pixel (H, W), 0 to 1, that the strokes cover.

    Example:
        >>> across = Stroke(np.array([[-1.0, 2.0], [9.0, 2.0]]), np.array([2.0, 2.0]))  # 2 px wide, along row 2
        >>> coverage([across], (5, 8))[:, 4].round(2).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    canvas = np.zeros((FINE * size[0], FINE * size[1]), np.uint8)
    for points, width in strokes:
        along = np.gradient(points, axis=0)
        across = along[:, ::-1] * [-1, 1] / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
        # fillConvexPoly also paints the pixels under the outline, half a subpixel on each side
        reach = across * (width[:, None] / 2 - 0.5 / FINE)
        sides = np.stack([points + reach, points - reach], axis=1)
        quads = np.concatenate([sides[:-1], sides[1:, ::-1]], axis=1)
        subpixels = np.rint(16 * (FINE * quads + (FINE - 1) / 2)).astype(np.int32)
        for quad in subpixels:
            cv2.fillConvexPoly(canvas, quad, 255, shift=4)
    return np.divide(cv2.resize(canvas, size[::-1], interpolation=cv2.INTER_AREA), 255, dtype=np.float32)


def centre_lines(strokes: list[Stroke], size: Size) -> NDArray[np.bool_]:
    """Draw the paths of strokes (H, W), one pixel wide and 8-connected.

    Example:
        >>> diagonal = Stroke(np.array([[0.0, 0.0], [3.0, 3.0]]), np.array([1.0, 1.0]))
        >>> bool((centre_lines([diagonal], (4, 4)) == np.eye(4)).all())
        True
    """
    canvas = np.zeros(size, np.uint8)
    cv2.polylines(canvas, [np.rint(stroke.points).astype(np.int32) for stroke in strokes], False, 1)
    return canvas > 0


def crack_pattern(rng: Generator, size: Size) -> list[Stroke]:
    """Draw cracks that cross the image or end in it, with their branches; one pattern in twelve is a net of fine cracks."""
    diagonal = float(np.hypot(*size))
    net = rng.random() < 0.08
    count = 1 + rng.poisson((2.5 if net else 0.4) * diagonal / 180)
    common = rng.uniform(0, np.pi)
    strokes: list[Stroke] = []
    for _ in range(count):
        length = rng.uniform(0.6, 1.8) * diagonal
        heading = common + (rng.uniform(0, np.pi) if net else rng.normal(0, 0.4))
        start = rng.uniform(0.2, 0.8, 2) * size[::-1] - length / 2 * np.array([np.cos(heading), np.sin(heading)])
        width = rng.uniform(1.2, 2) if net else rng.lognormal(0.9, 0.45)
        strokes += grow_crack(rng, start, heading, length, width, rate=rng.uniform(0, 0.01))
    return strokes


def grow_crack(
    rng: Generator, start: NDArray[np.float64], heading: float, length: float, width: float, rate: float
) -> list[Stroke]:
    """Draw a crack and its branches.

    The path is a persistent random walk: its direction deviates from the heading as a first-order autoregressive process
    with sudden turns. The width varies along the path and tapers towards both tips.

    Args:
        rng: the source of randomness.
        start: (2,), one end of the crack.
        heading: mean direction, radians.
        length: along the path, px.
        width: typical width, px; kept within `WIDTH`.
        rate: mean number of branches per px.
    """
    count = max(4, round(length / STEP))
    turns = rng.normal(0, rng.uniform(0.06, 0.2), count) + (rng.random(count) < 0.06) * rng.normal(0, 0.6, count)
    stray = np.array(list(accumulate(turns, lambda direction, turn: 0.87 * direction + turn)))
    direction = heading + stray + rng.normal(0, 0.4, count)
    points = start + np.cumsum(STEP * np.stack([np.cos(direction), np.sin(direction)], axis=1), axis=0)
    place = np.arange(count)
    knots = np.arange(0, count + 8, 8)
    swell = np.interp(place, knots, rng.normal(0, 0.3, len(knots))) + rng.normal(0, 0.2, count)
    taper = np.minimum(np.minimum(place, place[::-1]) / (0.15 * count), 1) ** 0.6
    widths = width * np.exp(swell) * taper
    strokes = [Stroke(points, np.clip(widths, *WIDTH))]
    if length < 12:
        return strokes
    for at in rng.integers(count // 8, count - count // 8, rng.poisson(rate * length)):
        away = direction[at] + rng.choice([-1, 1]) * rng.uniform(0.6, 1.5)
        strokes += grow_crack(
            rng, points[at], away, length * rng.uniform(0.15, 0.45), width * rng.uniform(0.5, 0.85), rate
        )
    return strokes


def darken_cracks(rng: Generator, image: Floats, covered: Floats) -> Floats:
    """Darken the cracks, unevenly along them; some have dirt around them, some a brighter edge.

    The darkening is relative to the wall, so no single grey value separates cracks from walls.
    """
    size = covered.shape
    strength: Floats = rng.uniform(0.6, 1.0) * np.clip(0.9 + 0.2 * noise(rng, size, rng.uniform(8, 30)), 0.2, 1)
    soft = cv2.GaussianBlur(covered, (0, 0), rng.uniform(0.2, 0.5))
    if rng.random() < 0.3:
        image = shade(image, -rng.uniform(0.1, 0.3) * cv2.GaussianBlur(covered, (0, 0), rng.uniform(1.5, 4)))
    if rng.random() < 0.35:
        lit = np.roll(soft, rng.integers(-2, 3, 2), axis=(0, 1))
        image = shade(image, rng.uniform(0.1, 0.35) * np.clip(lit - soft, 0, 1))
    return image * (1 - (strength * soft)[..., None] * rgb(0.97, 1.0, 1.02))


def joint(rng: Generator, image: Floats) -> Floats:
    """Add expansion joints: straight horizontal or vertical grooves of constant width, with one edge lit."""
    height, width = image.shape[:2]
    tilt = rng.normal(0, 0.03)
    strokes = []
    for upright in ((True,), (False,), (True, False))[rng.integers(3)]:
        direction = np.array([-np.sin(tilt), np.cos(tilt)] if upright else [np.cos(tilt), np.sin(tilt)])
        middle = rng.uniform(0.1, 0.9, 2) * (width, height)
        ends = middle + np.outer([-1, 0, 1], direction) * (height + width)
        strokes.append(Stroke(ends, np.full(3, rng.uniform(1.2, 5))))
    groove = coverage(strokes, (height, width))
    edge = np.clip(np.roll(groove, (1, 1), axis=(0, 1)) - groove, 0, 1)
    return shade(image, rng.uniform(0, 0.25) * edge - rng.uniform(0.2, 0.8) * groove)


def scratches(rng: Generator, image: Floats) -> Floats:
    """Add a few thin straight or evenly curved lines, brighter or darker than the wall."""
    size = image.shape[:2]
    strokes = [
        arc(rng, size, rng.uniform(0.2, 0.9) * max(size), rng.uniform(0.5, 1.5)) for _ in range(rng.integers(1, 5))
    ]
    depth = -0.4 if rng.random() < 0.5 else 0.3
    return shade(image, depth * rng.uniform(0.4, 1) * coverage(strokes, size))


def arc(rng: Generator, size: Size, length: float, width: float) -> Stroke:
    """Draw a line of constant width and curvature at a random place in the image."""
    along = np.linspace(-0.5, 0.5, 24)
    direction = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.5) * along
    middle = rng.uniform(0.1, 0.9, 2) * size[::-1]
    points = np.cumsum(np.stack([np.cos(direction), np.sin(direction)], axis=1), axis=0) * length / len(along)
    return Stroke(middle + points - points.mean(axis=0), np.full(len(along), width))


def cable(rng: Generator, image: Floats) -> tuple[Floats, Floats]:
    """Add a cable in front of the wall, with its shadow; return the image and the coverage of the cable (H, W)."""
    size = image.shape[:2]
    covered = coverage([arc(rng, size, 3 * max(size), rng.uniform(1.5, 5))], size)
    shift = rng.integers(-4, 5, 2)
    shadow = cv2.GaussianBlur(np.roll(covered, shift, axis=(0, 1)), (0, 0), rng.uniform(0.8, 2))
    gloss = np.clip(covered - np.roll(covered, (1, 1), axis=(0, 1)), 0, 1)
    tone = rng.uniform(0.05, 0.8)
    image = shade(image, -rng.uniform(0.1, 0.5) * shadow)
    image = image * (1 - covered[..., None]) + np.float32(tone) * covered[..., None]
    return shade(image, 0.3 * gloss), covered


def camera(rng: Generator, image: Floats) -> NDArray[np.uint8]:
    """Take the photo: focus, exposure, veiling glare, sensor noise, 8 bits and JPEG."""
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.2, 0.7)) * np.float32(rng.uniform(0.5, 1.1))
    image += rng.uniform(0, 0.25)
    image += rng.uniform(0.003, 0.03) * rng.standard_normal(image.shape, np.float32)
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 98))])
    photo = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(photo[..., ::-1])
