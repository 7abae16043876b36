"""The look of cracks: dark, shaded on one side, with crumbled edges, dirt around them, dust or debris inside."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from cracklab.synthetic.randomized.fields import Floats, blend, blur, colour, noise, ramp, random_colour, shade
from cracklab.synthetic.randomized.profile import Bands, coverage


class Look(NamedTuple):
    """How the cracks of one photo look.

    Args:
        depth: share of the light that a crack swallows in its middle, 0 to 1.
        softness: width of the edges relative to that of the crack.
        dusty: whether cracks are filled with dust that is lighter than the surface.
        spalled: how far the edges are crumbled, in widths of the crack; 0 for intact edges.
    """

    depth: float
    softness: float
    dusty: bool
    spalled: float


def random_look(rng: Generator, widest: float) -> Look:
    """Draw how cracks look: nearly black to faint, wide ones darker; a twentieth are filled with dust, if none is wide.

    Args:
        rng: the source of randomness.
        widest: width of the widest crack, px.
    """
    depth = 1 - abs(rng.normal(0, 0.3))
    return Look(
        depth=float(np.clip(depth, 0.4 + 0.25 * min(1.0, widest / 10), 0.98)),
        softness=float(rng.uniform(0.1, 0.6)),
        dusty=bool(rng.random() < 0.05 and widest < 10),
        spalled=float(rng.uniform(0.5, 2) if rng.random() < 0.15 else 0.0),
    )


def darken(rng: Generator, image: Floats, found: Bands, look: Look, scale: float) -> tuple[Floats, Floats]:
    """Draw cracks into an image; return it with the share of each pixel that is crack (H, W), 0 to 1."""
    size = (image.shape[1], image.shape[2])
    widest = float(found.width.max())
    covered = coverage(found, look.softness * min(widest, 12))
    if look.spalled:
        image = _spall(rng, image, found, look.spalled, scale)
    if rng.random() < 0.3:
        dirt = blur(covered, rng.uniform(1, 3) * max(1.0, 0.4 * widest))
        image = image * (1 - rng.uniform(0.1, 0.45) * dirt)
    if rng.random() < 0.3:
        beyond = found.side * np.float32(rng.choice((-1, 1))) - found.ragged / 2 - 1
        edge = 1 - ramp(np.abs(beyond), max(1.0, 0.15 * widest), max(1.0, 0.15 * widest))
        image = shade(image, rng.uniform(-0.1, 0.3) * edge)
    uneven = np.clip(1 + rng.uniform(0.05, 0.2) * noise(rng, size, rng.uniform(8, 30) * scale, 2), 0.4, 1.3)
    if look.dusty:
        dust = image.mean(axis=(1, 2), keepdims=True) * random_colour(rng, 1.4, 2.0, 0.1)
        dust = dust * (1 + 0.06 * noise(rng, size, 1.5))
        rim = np.clip(covered * (1 - covered) * 4, 0, 1) * rng.uniform(0.1, 0.5)
        return blend(image, dust.astype(np.float32), covered * np.clip(uneven, 0, 1)) * (1 - rim), covered
    deep = np.clip(covered * uneven * look.depth, 0, 0.985)
    if widest > 5:
        deep = deep * _inside(rng, found, scale)
    tint = colour(1 - rng.uniform(-0.02, 0.06), 1.0, 1 + rng.uniform(-0.02, 0.06))
    return image * (1 - np.minimum(deep * tint, 1)), covered


def _inside(rng: Generator, found: Bands, scale: float) -> Floats:
    """Return the relative depth (H, W) inside wide cracks: one wall is lit, the middle is darkest, debris lies in it."""
    place = found.side / np.maximum(found.ragged / 2, 1)
    lit = np.clip(place * float(rng.choice((-1, 1))), 0, 1) * rng.uniform(0, 0.45)
    flat = np.clip(np.abs(place), 0, 1) * rng.uniform(0, 0.25)
    dark = 1 - lit - flat
    if rng.random() < 0.4:
        size = (dark.shape[0], dark.shape[1])
        dark = dark * (1 - 0.6 * ramp(noise(rng, size, max(2, 3 * scale), 3), rng.uniform(0.3, 1.5), 0.6))
    return np.asarray(dark, np.float32)


def _spall(rng: Generator, image: Floats, found: Bands, extent: float, scale: float) -> Floats:
    """Chip the surface beside cracks: flakes with a shaded edge and another tone; they are not part of the mask."""
    size = (image.shape[1], image.shape[2])
    flakes = noise(rng, size, np.clip(3 * float(found.width.max()), 5, 40), 4)
    outside = np.abs(found.side) - found.ragged / 2
    reach = np.maximum(extent * found.width, 2) * (0.4 + flakes)
    chipped = ramp(reach - outside, 0, 1.5) * (found.width > 0)
    edge = chipped - blur(chipped, 1.5)
    tone = 1 + rng.uniform(-0.25, 0.15) + rng.uniform(0.03, 0.1) * noise(rng, size, 2 * scale, 3)
    return shade(image, chipped * (tone - 1) + rng.uniform(-0.5, 0.5) * edge)
