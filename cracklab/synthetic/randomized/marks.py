"""Marks on a surface that are not cracks: joints, road paint, tyre marks, scratches, lettering, repairs, sealed cracks."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from cracklab.synthetic.randomized.cracks import grow
from cracklab.synthetic.randomized.fields import (
    Floats,
    Size,
    across,
    any_colour,
    blend,
    blur,
    colour,
    lines,
    noise,
    ramp,
    random_colour,
    shade,
    upright,
)

Mark = Callable[[Generator, Floats, float], Floats]


def image_size(image: Floats) -> Size:
    """Return (H, W) of an image (3, H, W)."""
    return image.shape[1], image.shape[2]


def joint(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add a straight groove or expansion joint of constant width, sometimes filled with sealant, sometimes with a lit edge."""
    size = image_size(image)
    for _ in range(1 if rng.random() < 0.7 else 2):
        angle = upright(rng) if rng.random() < 0.7 else None
        away = across(rng, size, angle)
        width = max(1.0, rng.uniform(1.5, 12) * scale)
        band = 1 - ramp(np.abs(away), width / 2, max(1.0, rng.uniform(0.05, 0.3) * width))
        if rng.random() < 0.4:
            image = shade(image, np.float32(rng.uniform(-0.15, 0.15)) * (away > 0))
        lit = 1 - ramp(np.abs(away - width / 2 - 1), max(0.7, 0.1 * width), 1)
        image = image * (1 + rng.uniform(-0.1, 0.3) * lit)
        if rng.random() < 0.35:
            image = blend(image, random_colour(rng, 0.1, 0.9, 0.15), band * rng.uniform(0.7, 1))
        else:
            profile = band * rng.uniform(0.2, 0.85)
            image = image * (1 - profile)
    return image


def road_paint(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add a stripe or an arrow's edge of worn road paint, white or yellow."""
    size = image_size(image)
    width = rng.uniform(20, 120) * scale
    band = 1 - ramp(np.abs(across(rng, size)), width / 2, max(1.0, rng.uniform(0.5, 2) * scale))
    worn = ramp(noise(rng, size, rng.uniform(2, 20) * scale, 4, 0.8), rng.uniform(-2.5, 0), 0.5)
    tone = colour(0.9, 0.9, 0.88) if rng.random() < 0.7 else colour(0.85, 0.68, 0.2)
    texture = image / max(0.05, float(image.mean())) - 1
    return blend(image, (tone * rng.uniform(0.7, 1.05)).astype(np.float32) * (1 + 0.3 * texture), band * worn)


def tyre_marks(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add one or two wide dark bands with soft edges, striped along their length."""
    size = image_size(image)
    away = across(rng, size)
    width, apart = rng.uniform(10, 50) * scale, rng.uniform(50, 120) * scale
    for offset in (0.0, apart)[: 1 + (rng.random() < 0.4)]:
        place = away - np.float32(offset)
        band = 1 - ramp(np.abs(place), width / 2, 0.4 * width)
        stripes = 0.75 + 0.25 * np.sin(place * np.float32(2 * np.pi / width * int(rng.integers(2, 7))))
        image = image * (1 - rng.uniform(0.1, 0.5) * band * stripes)
    return image


def scratches(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add thin, straight or evenly bent lines, mostly bright, in one direction or in any."""
    size = image_size(image)
    common, paths = rng.uniform(0, np.pi), []
    for _ in range(rng.integers(1, 9)):
        angle = common + rng.normal(0, 0.2)
        paths.append(_arc(rng, size, angle, rng.uniform(0.1, 0.8) * max(size), 0.3))
    found = lines(size, paths, [rng.uniform(0.4, 1.2) * max(1.0, 0.5 * scale) for _ in paths])
    bright = rng.random() < 0.8
    return image * (1 + (rng.uniform(0.15, 0.6) if bright else -rng.uniform(0.05, 0.2)) * found)


def _arc(
    rng: Generator, size: Size, angle: float, length: float, bend: float
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return 20 points of a line of constant curvature through a random place of the image."""
    direction = angle + rng.normal(0, bend) * np.linspace(-1, 1, 20)
    points = np.cumsum(np.stack([np.cos(direction), np.sin(direction)], axis=1), axis=0) * length / 20
    middle = rng.uniform(0, 1, 2) * size[::-1]
    return np.asarray(points - points.mean(axis=0) + middle, np.float64)


def lettering(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add letters or numbers, painted, chalked or printed."""
    size = image_size(image)
    canvas = np.zeros(size, np.uint8)
    text = "".join(rng.choice(list("ABCEGHKLMNPRSTX0123456789-./ "), rng.integers(1, 9)))
    height = max(0.4, rng.uniform(0.4, 2.5) * scale**0.5)
    place = (int(rng.uniform(-0.1, 0.6) * size[1]), int(rng.uniform(0.1, 1) * size[0]))
    cv2.putText(canvas, text, place, int(rng.integers(0, 8)), height, 255, int(rng.integers(1, 5)), cv2.LINE_AA)
    if rng.random() < 0.5:
        turn = cv2.getRotationMatrix2D((size[1] / 2, size[0] / 2), rng.uniform(-90, 90), 1)
        canvas = np.asarray(cv2.warpAffine(canvas, turn, size[::-1]), np.uint8)
    worn = np.clip(1 + rng.uniform(0, 0.4) * noise(rng, size, 2), 0, 1)
    return blend(image, any_colour(rng), canvas * np.float32(rng.uniform(0.5, 1) / 255) * worn)


def repair(rng: Generator, image: Floats, scale: float) -> Floats:
    """Change the tone on one side of a straight or ragged edge, or of two: a repair, a coat of paint, a kerb."""
    size = image_size(image)
    away = across(rng, size, upright(rng))
    if rng.random() < 0.4:
        half = np.float32(rng.uniform(0.1, 0.5) * max(size))
        away = np.maximum(np.abs(away), np.abs(across(rng, size, upright(rng)))) - half
    away += np.float32(rng.uniform(0, 1.5)) * noise(rng, size, 8 * scale, 3)
    other = random_colour(rng, 0.6, 1.4, 0.25)
    return blend(image, image * other, ramp(away, 0, rng.uniform(1, 2.5)))


def sealed_crack(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add a crack sealed with bitumen: a smooth band of even width and clean edges, wider than its crack; it is not in the mask."""
    size = image_size(image)
    width = float(np.clip(rng.uniform(8, 25) * scale, 6, 60))
    heading, start = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8, 2) * size[::-1]
    start = start - 0.8 * max(size) * np.array([np.cos(heading), np.sin(heading)])
    path = grow(rng, start, heading, 1.8 * max(size), 3.0, 8 * scale, 0.25, 0.0)[0].points[::12]
    smooth = np.stack([np.convolve(path[:, axis], np.ones(5) / 5, "valid") for axis in (0, 1)], axis=1)
    band = blur(lines(size, [smooth], [width]), 0.8)
    tone = random_colour(rng, 0.06, 0.3, 0.05) * (1 + 0.04 * noise(rng, size, 2, 2))
    gloss = np.clip(band - np.roll(band, (2, 2), axis=(0, 1)), 0, 1)
    return shade(blend(image, tone, band * rng.uniform(0.75, 1)), rng.uniform(0, 0.8) * gloss)


MARKS: tuple[tuple[Mark, float], ...] = (
    (joint, 0.12),
    (road_paint, 0.05),
    (tyre_marks, 0.05),
    (scratches, 0.1),
    (lettering, 0.06),
    (repair, 0.1),
    (sealed_crack, 0.025),
)
"""Every mark and the share of photos that show it."""
