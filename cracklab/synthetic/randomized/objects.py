"""Things in front of a surface, which hide its cracks, and shadows, which do not."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

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
    shifted,
    upright,
)

Hidden = Floats
"""Share of each pixel (H, W), 0 to 1, that an object covers."""
Thing = Callable[[Generator, Size, float], tuple[Floats, Hidden]]
"""Draws an object: its own image, (3, H, W) or (3, 1, 1), and what it covers."""


def place(rng: Generator, image: Floats, thing: Thing, scale: float) -> tuple[Floats, Hidden]:
    """Put an object in front of the surface, with its shadow; return the image and the hidden part."""
    size = (image.shape[1], image.shape[2])
    own, hidden = thing(rng, size, scale)
    fall = np.rint(rng.uniform(-5, 5, 2) * max(1.0, scale)).astype(int)
    shadow = blur(shifted(hidden, int(fall[0]), int(fall[1])), rng.uniform(0.8, 3) * max(1.0, scale))
    image = image * (1 - rng.uniform(0.1, 0.6) * shadow)
    return blend(image, own, hidden), hidden


def round_bar(rng: Generator, away: Floats, width: float) -> tuple[Floats, Hidden]:
    """Return a cylinder lit from one side, whose middle line is where `away` is 0."""
    hidden = 1 - ramp(np.abs(away), width / 2, 1.2)
    height = np.clip(away / np.float32(width / 2), -1, 1)
    lit = 1 - rng.uniform(0.3, 0.7) * np.abs(height - np.float32(rng.uniform(-0.5, 0.5)))
    return any_colour(rng) * np.clip(lit, 0.1, 1.3), hidden


def pipe(rng: Generator, size: Size, scale: float) -> tuple[Floats, Hidden]:
    """Draw a straight pipe, a pole or a cable, up to a third of the image wide."""
    away = across(rng, size, upright(rng) if rng.random() < 0.6 else None)
    return round_bar(rng, away, float(np.clip(rng.uniform(2, 40) * scale, 2, 0.35 * max(size))))


def cable(rng: Generator, size: Size, scale: float) -> tuple[Floats, Hidden]:
    """Draw a hanging cable: an even, smooth curve with a highlight along it."""
    away = across(rng, size)
    sag = noise(rng, size, 1.5 * max(size)) * rng.uniform(2, 25)
    return round_bar(rng, away + sag, float(np.clip(rng.uniform(1.5, 6) * scale, 1.5, 20)))


def leaves(rng: Generator, size: Size, scale: float) -> tuple[Floats, Hidden]:
    """Draw fallen leaves: pointed ovals, green to brown, with a midrib."""
    canvas, ribs = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    along = np.linspace(0, np.pi, 12)
    for _ in range(rng.integers(1, 7)):
        length = max(6.0, rng.uniform(8, 40) * scale)
        outline = np.stack([np.cos(along) * length, np.sin(along) ** 1.3 * length * rng.uniform(0.25, 0.5)], axis=1)
        outline = np.concatenate([outline, outline[::-1] * (1, -1)])
        angle, middle = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1, 2) * size[::-1]
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        cv2.fillPoly(canvas, [np.rint(16 * (outline @ turn + middle)).astype(np.int32)], 255, cv2.LINE_AA, 4)
        rib = np.array([[-length, 0.0], [1.2 * length, 0.0]]) @ turn + middle
        cv2.polylines(
            ribs, [np.rint(16 * rib).astype(np.int32)], False, 255, max(1, round(0.5 * scale)), cv2.LINE_AA, 4
        )
    hue = (colour(0.25, 0.4, 0.1), colour(0.5, 0.35, 0.1), colour(0.35, 0.2, 0.1), colour(0.65, 0.5, 0.15))[
        rng.integers(4)
    ]
    own = hue * (1 + 0.15 * noise(rng, size, 6 * scale, 2)) * (1 + rng.uniform(-0.3, 0.5) * ribs * np.float32(1 / 255))
    return np.asarray(own, np.float32), canvas * np.float32(1 / 255)


def grass(rng: Generator, size: Size, scale: float) -> tuple[Floats, Hidden]:
    """Draw tufts of grass or straw: tapered blades that bend from one root."""
    paths, thickness = [], []
    for _ in range(rng.integers(1, 4)):
        root = rng.uniform(0, 1, 2) * size[::-1]
        for _ in range(rng.integers(3, 15)):
            length, angle = max(8.0, rng.uniform(10, 50) * scale), rng.uniform(0, 2 * np.pi)
            direction = angle + rng.normal(0, 1) * np.linspace(0, 1, 10)
            steps = np.stack([np.cos(direction), np.sin(direction)], axis=1) * length / 10
            paths.append(root + np.cumsum(steps, axis=0))
            thickness.append(max(1.0, rng.uniform(0.6, 2) * scale))
    hue = colour(0.3, 0.45, 0.15) if rng.random() < 0.6 else colour(0.75, 0.65, 0.4)
    own = hue * rng.uniform(0.7, 1.3) * (1 + 0.2 * noise(rng, size, 5))
    return own.astype(np.float32), lines(size, paths, thickness)


def twigs(rng: Generator, size: Size, scale: float) -> tuple[Floats, Hidden]:
    """Draw a dry twig: brown and lighter than most cracks, with short side twigs, and short in itself."""
    length = rng.uniform(0.2, 0.5) * max(size)
    width = max(1.6, rng.uniform(1.2, 3.5) * scale)
    start = rng.uniform(0.1, 0.9, 2) * size[::-1]
    paths = grow(rng, start, rng.uniform(0, 2 * np.pi), length, 2.0, 6 * scale, 0.2, 0.02)
    hidden = lines(size, [path.points[::6] for path in paths], [width * (0.6 if i else 1.0) for i in range(len(paths))])
    lit = hidden - shifted(hidden, -1, -1)
    own = random_colour(rng, 0.35, 0.65, 0.3) * colour(1.15, 1, 0.8) * (1 + 0.6 * lit)
    return np.asarray(own, np.float32), hidden


def gravel(rng: Generator, size: Size, scale: float) -> tuple[Floats, Hidden]:
    """Draw loose pebbles, each lit from one side."""
    canvas = np.zeros(size, np.uint8)
    for _ in range(rng.integers(2, 20)):
        radius = max(1.5, rng.lognormal(0.8, 0.5) * scale)
        box = (
            tuple((rng.random(2) * size[::-1]).tolist()),
            (2 * radius, radius * rng.uniform(1.2, 2)),
            rng.uniform(0, 180),
        )
        cv2.ellipse(canvas, box, 255, -1, cv2.LINE_AA)
    hidden = canvas * np.float32(1 / 255)
    round_ = blur(hidden, max(1.0, 1.5 * scale))
    shade = 1 + rng.uniform(0.3, 1) * (round_ - shifted(round_, *(int(v) for v in rng.integers(-3, 4, 2))))
    return np.asarray(random_colour(rng, 0.25, 0.85, 0.2) * shade, np.float32), hidden


def window(rng: Generator, size: Size, scale: float) -> tuple[Floats, Hidden]:
    """Draw a window, a door or a sign: a panel in a frame with clean, parallel edges."""
    inside = np.maximum(np.abs(across(rng, size, 0.0)), np.abs(across(rng, size, np.pi / 2)))
    reach, frame = rng.uniform(0.15, 0.5) * max(size), max(2.0, rng.uniform(3, 15) * scale)
    hidden = 1 - ramp(inside, reach, 1.2)
    glass = random_colour(rng, 0.05, 0.7, 0.2) * (1 + 0.1 * noise(rng, size, 60, 2))
    groove = 1 - np.float32(0.6) * (np.abs(inside - np.float32(reach - frame)) < max(0.8, 0.3 * scale))
    return blend(any_colour(rng) * groove, np.asarray(glass, np.float32), 1 - ramp(inside, reach - frame, 1.2)), hidden


def horizon(rng: Generator, size: Size, scale: float) -> tuple[Floats, Hidden]:
    """Draw the background beyond the surface: sky or haze above, and a dark line of trees, houses or a kerb below it."""
    away = across(rng, size, np.pi / 2 + rng.normal(0, 0.08))
    skyline = away + rng.uniform(1, 15) * noise(rng, size, (1e4, rng.uniform(4, 40)), 3)
    hidden = 1 - ramp(away, -0.1 * size[0], 1.5)
    sky = colour(0.7, 0.8, 0.95) * rng.uniform(0.7, 1.05) * (1 + 0.06 * noise(rng, size, 60, 3))
    trees = random_colour(rng, 0.1, 0.5, 0.2) * colour(0.9, 1.05, 0.8) * (1 + 0.25 * noise(rng, size, 6, 4))
    return np.asarray(blend(sky, trees, ramp(skyline, -0.1 * size[0] - rng.uniform(5, 40), 2.0)), np.float32), hidden


THINGS: tuple[tuple[Thing, float], ...] = (
    (pipe, 0.03),
    (cable, 0.04),
    (leaves, 0.05),
    (grass, 0.04),
    (twigs, 0.03),
    (gravel, 0.05),
    (window, 0.025),
    (horizon, 0.025),
)
"""Every object and the share of photos that show it."""


def shadows(rng: Generator, size: Size, scale: float) -> Floats:
    """Return the factor (3, H, W) of daylight: a gradient, and in some photos the shadow of an edge, branches or wires.

    A shadow has soft edges and keeps the texture of the surface; it is bluish, since the sky lights it.
    """
    reach = np.float32(1 / max(size))
    field: Floats = 1 + rng.uniform(-0.35, 0.35) * across(rng, size) * reach
    kind = rng.random()
    if kind > 0.3:
        return np.asarray(field[None], np.float32)
    softness = rng.uniform(1.5, 10) * max(1.0, scale)
    if kind < 0.15:
        edge = across(rng, size) + rng.uniform(0, 12) * noise(rng, size, rng.uniform(8, 60), 2)
        dark = ramp(edge, 0, softness)
        if rng.random() < 0.5:
            dark = dark * (1 - ramp(edge, rng.uniform(5, 60) * max(1.0, scale), softness))
    else:
        dark = np.minimum(1, blur(_wires(rng, size, scale), 0.5 * softness) * rng.uniform(1, 2))
    depth = rng.uniform(0.15, 0.55) * colour(1.05, 1.0, 0.9)
    return np.asarray(field * (1 - dark * depth), np.float32)


def _wires(rng: Generator, size: Size, scale: float) -> Floats:
    """Return the share of the sun, (H, W), 0 to 1, that wires, or a branch with twigs and leaves, hide."""
    if rng.random() < 0.4:
        away = across(rng, size) + rng.uniform(0, 15) * noise(rng, size, 1.5 * max(size))
        return 1 - ramp(np.abs(away), max(1.0, rng.uniform(1, 5) * scale), 2.0)
    start = rng.uniform(0, 1, 2) * size[::-1]
    paths = grow(rng, start, rng.uniform(0, 2 * np.pi), 1.2 * max(size), 3.0, 10 * scale, 0.25, 0.02)
    found = lines(size, [path.points[::8] for path in paths], [rng.uniform(2, 8) * max(1.0, scale) for _ in paths])
    leaf = ramp(noise(rng, size, rng.uniform(6, 15) * max(1.0, scale)), rng.uniform(0.8, 2), 0.2)
    near: NDArray[np.float32] = leaf * np.minimum(1, 3 * blur(found, 15))
    return np.asarray(np.maximum(found, near), np.float32)
