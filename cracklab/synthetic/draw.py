"""Photographs of cracked walls drawn from a seed, without files: the data that the package brings along.

Points are (x, y) in px, the centre of the top left pixel at (0, 0); images and fields are as in `cracklab.synthetic.surfaces`.
"""

from itertools import accumulate
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cracklab.errors import ConfigError
from cracklab.synthetic.surfaces import Floats, Size, drips, light, noise, rgb, shaded, stain, surface

SMALLEST = 16
"""Sides below this, px, hold nothing that could be told from a crack."""
CRACK_FREE = 0.1
"""Share of images without any crack."""
WIDTH = (1.0, 6.0)
"""Narrowest and widest that a crack gets, px."""
STEP = 1.5
"""Distance between the points of a crack's path, px."""
FINE = 4
"""Subpixels per pixel and axis of which coverage is counted."""


class Stroke(NamedTuple):
    """A line of varying width: points (N, 2) and the width at each (N,), px."""

    points: NDArray[np.float64]
    width: NDArray[np.float64]


def draw(seed: int, size: Size = (128, 128)) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one photograph of a wall, nine times in ten a cracked one.

    Args:
        seed: At least 0; the same seed and size give the same picture, whatever was drawn before.
        size: (H, W), px, at least 16 x 16. Cracks stay 1 to 6 px wide in every size, a larger picture shows more of them.

    Returns:
        Image (H, W, 3) uint8, RGB, and mask (H, W) uint8, 1 on cracks.

    Raises:
        ConfigError: for a negative seed or a smaller size.
    """
    if seed < 0:
        raise ConfigError(f"seed of a synthetic image is {seed}: give one of 0 or more")
    if min(size) < SMALLEST:
        raise ConfigError(
            f"size of a synthetic image is {size[0]} x {size[1]}: give at least {SMALLEST} x {SMALLEST} px"
        )
    rng = np.random.default_rng(seed)
    image = wall(rng, size)
    cracks = [] if rng.random() < CRACK_FREE else crack_pattern(rng, size)
    covered = coverage(cracks, size)
    mask = (covered >= 0.5) | centre_lines(cracks, size)
    image = light(rng, open_cracks(rng, image, covered))
    if rng.random() < 0.08:
        image, hidden = cable(rng, image)
        mask &= hidden < 0.5
    return camera(rng, image), mask.astype(np.uint8)


def wall(rng: Generator, size: Size) -> Floats:
    """A surface with what is on it and is no crack."""
    image = surface(rng, size)
    for mark, chance in ((stain, 0.35), (drips, 0.25), (joint, 0.1), (scratches, 0.25)):
        if rng.random() < chance:
            image = mark(rng, image)
    return image


def coverage(strokes: list[Stroke], size: Size) -> Floats:
    """Share of each pixel (H, W), 0..1, that the strokes cover."""
    canvas = np.zeros((FINE * size[0], FINE * size[1]), np.uint8)
    for points, width in strokes:
        along = np.gradient(points, axis=0)
        across = along[:, ::-1] * [-1, 1] / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
        # fillConvexPoly paints the pixels under its outline too: half a subpixel on each side
        reach = across * (width[:, None] / 2 - 0.5 / FINE)
        sides = np.stack([points + reach, points - reach], axis=1)
        quads = np.concatenate([sides[:-1], sides[1:, ::-1]], axis=1)
        subpixels = np.rint(16 * (FINE * quads + (FINE - 1) / 2)).astype(np.int32)
        for quad in subpixels:
            cv2.fillConvexPoly(canvas, quad, 255, shift=4)
    return np.divide(cv2.resize(canvas, size[::-1], interpolation=cv2.INTER_AREA), 255, dtype=np.float32)


def centre_lines(strokes: list[Stroke], size: Size) -> NDArray[np.bool_]:
    """The strokes' paths (H, W), one pixel wide and 8-connected."""
    canvas = np.zeros(size, np.uint8)
    cv2.polylines(canvas, [np.rint(stroke.points).astype(np.int32) for stroke in strokes], False, 1)
    return canvas > 0


def crack_pattern(rng: Generator, size: Size) -> list[Stroke]:
    """Cracks that cross the picture or end in it, with their branches; now and then a net of fine ones."""
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
        strokes += grow(rng, start, heading, length, width, rate=rng.uniform(0, 0.01))
    return strokes


def grow(
    rng: Generator, start: NDArray[np.float64], heading: float, length: float, width: float, rate: float
) -> list[Stroke]:
    """A crack from `start` along `heading` (radians), and its branches, `rate` of them per px.

    The path is a random walk with persistence: its direction strays from the heading as a first-order autoregression
    with sudden turns. The width varies along it and tapers towards both tips.
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
        strokes += grow(rng, points[at], away, length * rng.uniform(0.15, 0.45), width * rng.uniform(0.5, 0.85), rate)
    return strokes


def open_cracks(rng: Generator, image: Floats, covered: Floats) -> Floats:
    """Darken what the cracks cover, more here and less there; some have dirt around them, some a brighter lip.

    The darkening is relative to the wall, so no one grey value is that of cracks.
    """
    size = covered.shape
    strength: Floats = rng.uniform(0.6, 1.0) * np.clip(0.9 + 0.2 * noise(rng, size, rng.uniform(8, 30)), 0.2, 1)
    soft = cv2.GaussianBlur(covered, (0, 0), rng.uniform(0.2, 0.5))
    if rng.random() < 0.3:
        image = shaded(image, -rng.uniform(0.1, 0.3) * cv2.GaussianBlur(covered, (0, 0), rng.uniform(1.5, 4)))
    if rng.random() < 0.35:
        lit = np.roll(soft, rng.integers(-2, 3, 2), axis=(0, 1))
        image = shaded(image, rng.uniform(0.1, 0.35) * np.clip(lit - soft, 0, 1))
    return image * (1 - (strength * soft)[..., None] * rgb(0.97, 1.0, 1.02))


def joint(rng: Generator, image: Floats) -> Floats:
    """Expansion joints: straight grooves of even width, level or upright, with one edge lit."""
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
    return shaded(image, rng.uniform(0, 0.25) * edge - rng.uniform(0.2, 0.8) * groove)


def scratches(rng: Generator, image: Floats) -> Floats:
    """A few thin, straight or evenly bent lines, brighter or darker than the wall."""
    size = image.shape[:2]
    strokes = [
        arc(rng, size, rng.uniform(0.2, 0.9) * max(size), rng.uniform(0.5, 1.5)) for _ in range(rng.integers(1, 5))
    ]
    depth = -0.4 if rng.random() < 0.5 else 0.3
    return shaded(image, depth * rng.uniform(0.4, 1) * coverage(strokes, size))


def arc(rng: Generator, size: Size, length: float, width: float) -> Stroke:
    """A line of one width and one curvature somewhere in the picture."""
    along = np.linspace(-0.5, 0.5, 24)
    direction = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.5) * along
    middle = rng.uniform(0.1, 0.9, 2) * size[::-1]
    points = np.cumsum(np.stack([np.cos(direction), np.sin(direction)], axis=1), axis=0) * length / len(along)
    return Stroke(middle + points - points.mean(axis=0), np.full(len(along), width))


def cable(rng: Generator, image: Floats) -> tuple[Floats, Floats]:
    """Run a cable in front of the wall, with its shadow; returns the image and the cable's coverage (H, W)."""
    size = image.shape[:2]
    covered = coverage([arc(rng, size, 3 * max(size), rng.uniform(1.5, 5))], size)
    shift = rng.integers(-4, 5, 2)
    shadow = cv2.GaussianBlur(np.roll(covered, shift, axis=(0, 1)), (0, 0), rng.uniform(0.8, 2))
    gloss = np.clip(covered - np.roll(covered, (1, 1), axis=(0, 1)), 0, 1)
    tone = rng.uniform(0.05, 0.8)
    image = shaded(image, -rng.uniform(0.1, 0.5) * shadow)
    image = image * (1 - covered[..., None]) + np.float32(tone) * covered[..., None]
    return shaded(image, 0.3 * gloss), covered


def camera(rng: Generator, image: Floats) -> NDArray[np.uint8]:
    """Take the photograph: focus, exposure, veiling glare, sensor noise, 8 bits and JPEG."""
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.2, 0.7)) * np.float32(rng.uniform(0.5, 1.1))
    image += rng.uniform(0, 0.25)
    image += rng.uniform(0.003, 0.03) * rng.standard_normal(image.shape, np.float32)
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 98))])
    photo = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(photo[..., ::-1])
