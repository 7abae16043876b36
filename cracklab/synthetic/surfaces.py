"""Surfaces of walls and roads, drawn without files: paint, plaster, concrete, asphalt, brick, and their stains and light.

An image is (H, W, 3) float32, RGB, linear reflectance of about 0 to 1; a field is (H, W) float32. `size` is (H, W), px.
Lengths are in px, so a larger image shows a larger piece of wall, not the same piece closer.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Size = tuple[int, int]


def noise(rng: Generator, size: Size, cell: float | tuple[float, float], octaves: int = 1) -> Floats:
    """Return value noise: a smooth random field (H, W) of mean 0 and standard deviation near 1.

    Args:
        rng: the source of randomness.
        size: (H, W), px.
        cell: size of the details, px; (height, width) if they differ.
        octaves: number of octaves; each has half the cell and 0.6 of the amplitude of the one before.

    Example:
        >>> field = noise(np.random.default_rng(0), (200, 300), cell=8, octaves=3)
        >>> field.shape, abs(float(field.mean())) < 0.1, 0.7 < float(field.std()) < 1.3
        ((200, 300), True, True)
    """
    high, wide = cell if isinstance(cell, tuple) else (cell, cell)
    total, power = np.zeros(size, np.float32), 0.0
    for octave in range(octaves):
        shape = [
            max(2, round(length / max(c / 2**octave, 1.0)) + 1) for length, c in zip(size, (high, wide), strict=True)
        ]
        grid = rng.standard_normal(shape, np.float32)
        if shape != list(size):
            grid = cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32, copy=False)
        total += 0.6**octave * grid
        power += 0.36**octave
    # interpolation between grid points of variance 1 leaves a variance of about 0.6
    return total * np.float32(1.25 * power**-0.5)


def ramp(field: Floats, edge: float, softness: float) -> Floats:
    """Return 0 where `field` is below `edge` and 1 where it is above, with a linear ramp `softness` wide between.

    Example:
        >>> ramp(np.array([0.0, 0.9, 1.0, 1.1, 2.0]), edge=1.0, softness=0.4).round(2).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    clipped: Floats = np.clip((field - edge) / softness + 0.5, 0, 1)
    return clipped


def relief(height: Floats, angle: float) -> Floats:
    """Return the light and shade, of mean near 0, of a height field lit from direction `angle`, radians."""
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=0.25)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=0.25)
    return np.float32(np.cos(angle)) * slope_x + np.float32(np.sin(angle)) * slope_y


def rgb(red: float, green: float, blue: float) -> Floats:
    """Return a colour or a tint (3,)."""
    return np.array([red, green, blue], np.float32)


def random_colour(rng: Generator, tone: tuple[float, float], tint: float) -> Floats:
    """Return a random colour (3,) of lightness within `tone`, warmer or cooler than grey by at most `tint`."""
    warmth, green = rng.uniform(-0.5 * tint, tint), rng.uniform(-tint, tint) / 4
    return rng.uniform(*tone) * rgb(1 + warmth, 1 + green, 1 - warmth)


def shade(base: Floats, field: Floats) -> Floats:
    """Return a colour (3,) or an image, lightened or darkened by a relative field (H, W).

    Example:
        >>> shade(rgb(0.5, 0.5, 0.5), np.array([[0.0, -1.0]])).tolist()  # the second pixel turns black
        [[[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]]
    """
    return base * (1 + field)[..., None]


def paint(rng: Generator, size: Size) -> Floats:
    """Draw an even coat of rolled paint, sometimes worn through in places."""
    rolled = 0.02 * noise(rng, size, 40) + rng.uniform(0.005, 0.03) * noise(rng, size, 2)
    coat = shade(random_colour(rng, (0.5, 0.95), 0.18), rolled)
    if rng.random() < 0.4:
        ground = shade(random_colour(rng, (0.45, 0.8), 0.12), 0.06 * noise(rng, size, 6, 2))
        worn = ramp(noise(rng, size, rng.uniform(15, 60), 4), rng.uniform(1.0, 2.0), 0.15)[..., None]
        coat = coat * (1 - worn) + ground * worn
    return coat


def plaster(rng: Generator, size: Size) -> Floats:
    """Draw a rendered wall: grains or trowel marks, visible by light and shade."""
    grain = rng.uniform(2, 9)
    cell = (grain, grain) if rng.random() < 0.7 else (grain, 4 * grain)
    bumps = relief(noise(rng, size, cell, 2), rng.uniform(0, 2 * np.pi)) * rng.uniform(0.05, 0.22)
    return shade(random_colour(rng, (0.5, 0.9), 0.16), bumps + 0.04 * noise(rng, size, 30, 2))


def concrete(rng: Generator, size: Size) -> Floats:
    """Draw cast concrete: clouds, fine grain, pores, and sometimes the marks of the formwork."""
    clouds = rng.uniform(0.03, 0.1) * noise(rng, size, rng.uniform(20, 60), 4)
    field = clouds + rng.uniform(0.02, 0.07) * noise(rng, size, 1.5)
    if rng.random() < 0.25:
        field += _boards(rng, size)
    return pores(rng, shade(random_colour(rng, (0.45, 0.8), 0.1), field))


def _boards(rng: Generator, size: Size) -> Floats:
    """Return the field of formwork boards, each with its own tone and grain, and a thin line between two."""
    upright = rng.random() < 0.5
    height, width = size if upright else size[::-1]
    board = rng.uniform(18, 45)
    position = (np.arange(width) + rng.uniform(0, board)) / board
    tone = rng.normal(0, 0.04, int(position[-1]) + 1)[position.astype(int)]
    seam = np.minimum(position % 1, 1 - position % 1) * board < rng.uniform(0.5, 1.2)
    across = (tone - seam * rng.uniform(0, 0.25)).astype(np.float32)
    field: Floats = across + 0.03 * noise(rng, (height, width), (60, 2))
    return field if upright else field.T


def asphalt(rng: Generator, size: Size) -> Floats:
    """Draw exposed aggregate: stones of many tones in a darker binder."""
    stone = rng.uniform(2, 5)
    shape, tone = noise(rng, size, stone), noise(rng, size, stone)
    stones = ramp(shape, rng.uniform(0.0, 1.0), 0.8) * (rng.uniform(0.1, 0.3) + rng.uniform(0.05, 0.3) * tone)
    grit = rng.uniform(0.06, 0.15) * noise(rng, size, 1)
    image = shade(random_colour(rng, (0.35, 0.65), 0.08), stones + grit + 0.05 * noise(rng, size, 40))
    rust = rgb(1.12, 0.98, 0.82)
    return np.where((tone > 1.5)[..., None], image * rust, image)


def brick(rng: Generator, size: Size) -> Floats:
    """Draw brickwork in running bond; its joints are lines that are not cracks."""
    course, length, joint = rng.uniform(14, 26), rng.uniform(34, 64), rng.uniform(1.5, 3.5)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    y += 0.6 * noise(rng, size, 12) + np.float32(rng.uniform(0, course))
    x += 0.6 * noise(rng, size, 12) + np.float32(rng.uniform(0, length))
    row = np.floor(y / course).astype(int)
    x += np.float32(length / 2) * (row % 2)
    column = np.floor(x / length).astype(int)
    to_joint = np.minimum(np.minimum(y % course, -y % course), np.minimum(x % length, -x % length))
    mortar: Floats = np.clip(joint / 2 + 0.5 - to_joint, 0, 1)[..., None]
    base = random_colour(rng, (0.4, 0.65), 0.05) * rgb(1.3, 0.95, 0.8)
    tones = 1 + rng.normal(0, 0.12, (row.max() + 2, column.max() + 2)).astype(np.float32)
    bricks: Floats = shade(base, 0.06 * noise(rng, size, 3, 2)) * tones[row, column][..., None]
    bed = shade(random_colour(rng, (0.4, 0.8), 0.1), 0.06 * noise(rng, size, 2))
    return bricks * (1 - mortar) + bed * mortar


SURFACES: tuple[tuple[Callable[[Generator, Size], Floats], float], ...] = (
    (paint, 0.2),
    (plaster, 0.25),
    (concrete, 0.3),
    (asphalt, 0.15),
    (brick, 0.1),
)
"""Every surface and its probability."""


def random_surface(rng: Generator, size: Size) -> Floats:
    """Draw one of `SURFACES`."""
    chosen = rng.choice(len(SURFACES), p=[share for _, share in SURFACES])
    return SURFACES[chosen][0](rng, size)


def pores(rng: Generator, image: Floats) -> Floats:
    """Add air holes: small dark ellipses with a lit lower rim."""
    height, width = image.shape[:2]
    holes = np.zeros((height, width), np.uint8)
    for _ in range(rng.poisson(rng.uniform(0, 1.2e-3) * height * width)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        axes = np.minimum(rng.lognormal(0, 0.5), 4) * rng.uniform(0.6, 1.2, 2)
        box = ((x, y), (2 * axes[0], 2 * axes[1]), rng.uniform(0, 180))
        cv2.ellipse(holes, box, int(rng.integers(120, 256)), -1)
    dark = np.divide(cv2.GaussianBlur(holes, (3, 3), 0), 255, dtype=np.float32)
    rim = np.clip(np.roll(dark, 1, axis=0) - dark, 0, 1)
    return shade(image, rng.uniform(0.05, 0.2) * rim - rng.uniform(0.3, 0.7) * dark)


def stain(rng: Generator, image: Floats) -> Floats:
    """Add a damp patch with an outline that dried darker."""
    field = noise(rng, image.shape[:2], rng.uniform(25, 70), 3)
    edge = rng.uniform(0.3, 1.5)
    inside = ramp(field, edge, rng.uniform(0.05, 0.5)) * rng.uniform(0.05, 0.3)
    rim: Floats = np.exp(-(((field - edge) / rng.uniform(0.03, 0.1)) ** 2)) * rng.uniform(0, 0.3)
    tint = rgb(0.8, 1.0, 1.2) if rng.random() < 0.5 else rgb(1, 1, 1)
    dark: Floats = np.maximum(inside, rim)
    return image * (1 - dark[..., None] * tint)


def drips(rng: Generator, image: Floats) -> Floats:
    """Add streaks of dirt, rust or lime that start at one height."""
    height, width = image.shape[:2]
    streaks: Floats = np.clip(noise(rng, (height, width), (80, rng.uniform(2, 6))) - rng.uniform(0.3, 1.2), 0, 1.5)
    start, length = rng.uniform(-0.5, 0.6) * height, rng.uniform(0.3, 1) * height
    down = (np.arange(height, dtype=np.float32) - start) / length
    fade: Floats = np.clip(down * 12, 0, 1) * np.clip(1 - down, 0, 1)
    dirt, rust, lime = rgb(0.5, 0.5, 0.5), rgb(0.25, 0.45, 0.6), rgb(-0.3, -0.3, -0.3)
    taken: Floats = (dirt, rust, lime)[rng.integers(3)] * rng.uniform(0.3, 0.9)
    return image * (1 - (streaks * fade[:, None])[..., None] * taken)


def light(rng: Generator, image: Floats) -> Floats:
    """Apply uneven daylight: a gradient, a vignette, and sometimes the shadow of an edge or a pole."""
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    field: Floats = 1 + rng.uniform(0, 0.3) * (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y)
    field -= rng.uniform(0, 0.12) * (x * x + y * y)
    if rng.random() < 0.35:
        return image * field[..., None] * _shadow(rng, (height, width))
    return image * field[..., None]


def _shadow(rng: Generator, size: Size) -> Floats:
    """Return the factor (H, W, 3) of a shadow with a soft, straight or wavy edge; bluish, since the sky lights it."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    across = np.float32(np.cos(angle)) * (x - rng.uniform(0.2, 0.8) * size[1])
    across += np.float32(np.sin(angle)) * (y - rng.uniform(0.2, 0.8) * size[0])
    if rng.random() < 0.5:
        across += rng.uniform(1, 10) * noise(rng, size, rng.uniform(8, 40))
    softness = rng.uniform(1.5, 12)
    shadow = ramp(across, 0, softness)
    if rng.random() < 0.4:
        shadow *= 1 - ramp(across, rng.uniform(4, 40), softness)
    depth = rng.uniform(0.2, 0.6) * rgb(1.05, 1.0, 0.9)
    return 1 - shadow[..., None] * depth
