"""Surfaces without joints: asphalt, concrete, plaster, paint, terrazzo, and the weather on them.

`scale` is the number of px per unit; a typical crack is 2 units wide, so grains grow with the cracks.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from cracklab.synthetic.randomized.fields import (
    Floats,
    Size,
    any_colour,
    blend,
    blur,
    colour,
    noise,
    ramp,
    random_colour,
    relief,
    shade,
)

Draw = Callable[[Generator, Size, float], Floats]
Change = Callable[[Generator, Floats, float], Floats]


def grain(rng: Generator, size: Size, scale: float) -> Floats:
    """Return the finest detail of any surface, of standard deviation 1: noise from grains of a random size downwards."""
    return noise(rng, size, rng.uniform(1, 2.5) * scale, 5, rng.uniform(0.5, 1.1))


def clouds(rng: Generator, size: Size, scale: float) -> Floats:
    """Return slow changes of tone, of standard deviation 1."""
    return noise(rng, size, rng.uniform(15, 60) * scale, 4, 0.7)


def asphalt(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw stones of many tones in a darker binder: fresh and black, or worn and grey."""
    stone = rng.uniform(1.2, 5) * scale
    shape, tone = noise(rng, size, stone, 2), noise(rng, size, stone)
    stones = ramp(shape, rng.uniform(-0.6, 1.0), 0.8) * (rng.uniform(0.0, 0.35) + rng.uniform(0.05, 0.3) * tone)
    field = (
        stones + rng.uniform(0.04, 0.2) * grain(rng, size, scale) + rng.uniform(0.02, 0.08) * clouds(rng, size, scale)
    )
    if rng.random() < 0.5:
        field += rng.uniform(0.1, 0.4) * relief(shape, rng.uniform(0, 2 * np.pi))
    image = shade(random_colour(rng, 0.15, 0.65, 0.12), field)
    if rng.random() < 0.4:
        image = blend(image, image * colour(1.15, 0.98, 0.8), ramp(tone, 1.4, 0.3))
    return image


def concrete(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw cast concrete: clouds and fine grain, often with pores."""
    field = rng.uniform(0.02, 0.12) * clouds(rng, size, scale) + rng.uniform(0.01, 0.09) * grain(rng, size, scale)
    image = random_colour(rng, 0.35, 0.85, 0.14) * (1 + field)
    return pits(rng, image, scale) if rng.random() < 0.5 else image


def aggregate(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw exposed aggregate or terrazzo: pebbles of various colours in cement, flat or raised."""
    cement = random_colour(rng, 0.3, 0.8, 0.12) * (1 + 0.06 * grain(rng, size, scale))
    radius = max(1.0, rng.uniform(0.8, 4) * scale)
    count = int(min(500, rng.uniform(0.02, 0.35) * size[0] * size[1] / (3 * radius**2)))
    tones = np.zeros(size, np.uint8)
    boxes = rng.uniform((0, 0, 0.6, 0.5, 0, 1), (size[1], size[0], 1.8, 1, 180, 255), (count, 6))
    for x, y, length, ratio, turn, tone in boxes.tolist():
        cv2.ellipse(tones, ((x, y), (2 * radius * length, 2 * radius * length * ratio), turn), int(tone), -1)
    inside = blur((tones > 0).astype(np.float32), 0.7)
    palette = np.concatenate([random_colour(rng, 0.15, 0.9, 0.3)[None] for _ in range(4)])[..., 0, 0]
    if rng.random() < 0.2:
        palette[:2] = any_colour(rng)[:, 0, 0]
    pebbles = palette[tones // 64].transpose(2, 0, 1) * (1 + 0.08 * grain(rng, size, scale))
    image = blend(cement, pebbles, inside)
    if rng.random() < 0.5:
        image = image * (
            1 + rng.uniform(0.2, 0.6) * relief(blur(inside, max(1, radius / 3)), rng.uniform(0, 2 * np.pi)) * 4
        )
    return image


def plaster(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw a rendered or brushed surface: grains or strokes, visible by light and shade."""
    cell = rng.uniform(1, 8) * scale
    stretch = 1.0 if rng.random() < 0.6 else rng.uniform(3, 20)
    height, width = size if rng.random() < 0.5 else size[::-1]
    bumps = noise(rng, (height, width), (cell, cell * stretch), 3)
    bumps = bumps if (height, width) == size else np.ascontiguousarray(bumps.T)
    lit = relief(bumps, rng.uniform(0, 2 * np.pi)) * rng.uniform(0.05, 0.3)
    field = lit + rng.uniform(0, 0.05) * bumps + rng.uniform(0, 0.05) * clouds(rng, size, scale)
    return shade(random_colour(rng, 0.35, 0.92, 0.2), field + rng.uniform(0, 0.03) * grain(rng, size, scale))


def paint(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw an even coat of paint of any colour, sometimes peeled off in places."""
    tone = any_colour(rng) if rng.random() < 0.2 else random_colour(rng, 0.4, 0.97, 0.25)
    rolled = rng.uniform(0, 0.03) * clouds(rng, size, scale) + rng.uniform(0.003, 0.04) * grain(rng, size, scale)
    coat = shade(tone, rolled)
    if rng.random() < 0.3:
        worn = noise(rng, size, rng.uniform(15, 60) * scale, 5)
        ground = concrete(rng, size, scale)
        edge = rng.uniform(0.8, 2.0)
        lip = ramp(worn, edge - 0.08, 0.1) - ramp(worn, edge + 0.02, 0.1)
        coat = shade(blend(coat, ground, ramp(worn, edge, 0.08)), rng.uniform(-0.25, 0.15) * lip)
    return coat


def rough(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw a surface of no particular material: several random fields in two colours, lit from the side."""
    first, second = noise(rng, size, rng.uniform(2, 30) * scale, 4, rng.uniform(0.5, 1)), grain(rng, size, scale)
    one, other = random_colour(rng, 0.2, 0.9, 0.3), random_colour(rng, 0.2, 0.9, 0.3)
    image = blend(one, 0.6 * one + 0.4 * other, ramp(first, rng.uniform(-1, 1), rng.uniform(0.3, 3)))
    return image * (
        1 + rng.uniform(0.02, 0.15) * second + rng.uniform(0, 0.5) * relief(first, rng.uniform(0, 2 * np.pi))
    )


def pits(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add air holes and small pits: dark ellipses with a lit lower rim."""
    height, width = image.shape[1:]
    holes = np.zeros((height, width), np.uint8)
    number = min(250, rng.poisson(rng.uniform(0, 1.5e-3) * height * width / max(0.3, scale)))
    radii = np.clip(rng.lognormal(0, 0.6, number) * scale, 0.4, 12)
    boxes = rng.uniform((0, 0, 0.6, 0.6, 0, 90), (width, height, 1.2, 1.2, 180, 256), (number, 6))
    for radius, (x, y, first, second, turn, depth) in zip(radii.tolist(), boxes.tolist(), strict=True):
        cv2.ellipse(holes, ((x, y), (2 * radius * first, 2 * radius * second), turn), int(depth), -1)
    dark = cv2.GaussianBlur(holes, (0, 0), rng.uniform(0.5, 1.2)) * np.float32(1 / 255)
    rim = np.maximum(np.roll(dark, 1, axis=0) - dark, 0)
    return shade(image, rng.uniform(0.05, 0.3) * rim - rng.uniform(0.2, 0.75) * dark)


def stain(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add a damp, dirty or bleached patch, often with a darker outline."""
    size = image.shape[1:]
    field = noise(rng, (size[0], size[1]), rng.uniform(20, 90) * scale, 4)
    edge = rng.uniform(0.0, 1.5)
    inside = ramp(field, edge, rng.uniform(0.05, 1.5)) * rng.uniform(0.05, 0.4)
    rim: Floats = ramp(np.abs(field - np.float32(edge)), 0.05, -0.1) * rng.uniform(0, 0.2)
    tint = random_colour(rng, 0.8, 1.2, 0.4)
    return shade(image, np.maximum(inside, rim) * tint * (-1 if rng.random() < 0.8 else 0.6))


def drips(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add streaks of dirt, rust or lime that start at one height."""
    height, width = image.shape[1:]
    streaks = ramp(noise(rng, (height, width), (80 * scale, rng.uniform(2, 12) * scale)), rng.uniform(0.5, 1.5), 1.2)
    start, length = rng.uniform(-0.5, 0.6) * height, rng.uniform(0.3, 1) * height
    down = (np.arange(height, dtype=np.float32) - start) / np.float32(length)
    fade: Floats = np.clip(down * 12, 0, 1) * np.clip(1 - down, 0, 1)
    tint = (colour(0.5, 0.5, 0.5), colour(0.25, 0.45, 0.6), colour(-0.3, -0.3, -0.3))[rng.integers(3)]
    return image * (1 - streaks * fade[:, None] * tint * rng.uniform(0.3, 0.9))


def moss(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add patches of moss, algae or lichen: green, black, yellow or white, with a rough texture."""
    height, width = image.shape[1:]
    where = noise(rng, (height, width), rng.uniform(10, 50) * scale, 6, 0.75)
    cover = ramp(where, rng.uniform(0.5, 2), rng.uniform(0.1, 0.6)) * rng.uniform(0.4, 1)
    tints = (colour(0.25, 0.33, 0.12), colour(0.14, 0.14, 0.13), colour(0.6, 0.55, 0.25), colour(0.75, 0.77, 0.72))
    plant = tints[rng.integers(4)] * rng.uniform(0.7, 1.3) * (1 + 0.25 * noise(rng, (height, width), scale, 2))
    return blend(image, plant.astype(np.float32), cover)


def speckles(rng: Generator, image: Floats, scale: float) -> Floats:
    """Add dark or light specks: sand, chewing gum, splashes."""
    height, width = image.shape[1:]
    field = noise(rng, (height, width), rng.uniform(1, 4) * scale)
    spots = ramp(field, rng.uniform(1.8, 3), 0.4)
    return image * (1 + spots * (rng.uniform(-0.6, -0.1) if rng.random() < 0.6 else rng.uniform(0.1, 0.5)))


def wet(rng: Generator, image: Floats, scale: float) -> Floats:
    """Darken wet parts and let the wettest mirror the sky."""
    height, width = image.shape[1:]
    field = noise(rng, (height, width), rng.uniform(30, 120) * scale, 4)
    soaked = ramp(field, rng.uniform(-1, 1.2), rng.uniform(0.1, 0.5))
    image = image * (1 - rng.uniform(0.25, 0.55) * soaked)
    puddle = ramp(field, rng.uniform(1.2, 2.5), 0.15) * rng.uniform(0, 0.7)
    sky = rng.uniform(0.4, 0.9) * colour(0.92, 1, 1.08)
    return blend(image, sky.astype(np.float32), puddle)
