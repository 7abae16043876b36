"""Draw a photo of any surface at any scale, with its mask, from a random generator."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cracklab.synthetic.randomized import masonry, surfaces
from cracklab.synthetic.randomized.camera import random_focus, take
from cracklab.synthetic.randomized.cracks import crack_pattern
from cracklab.synthetic.randomized.darkening import darken, random_look
from cracklab.synthetic.randomized.fields import Floats, Size, blur
from cracklab.synthetic.randomized.marks import MARKS
from cracklab.synthetic.randomized.objects import THINGS, place, shadows
from cracklab.synthetic.randomized.profile import annotate, bands, keep_visible

CRACK_FREE = 0.2
"""Share of photos without cracks."""
SCALE = (0.3, 8.0)
"""Smallest and largest number of px per unit; a typical crack is 2 units wide. The logarithm is uniform."""
VISIBLE = 0.18
"""A crack is annotated where it darkens the photo by at least this share, or by the contrast of the finest texture if that is more."""

SURFACES: tuple[tuple[surfaces.Draw, float], ...] = (
    (surfaces.asphalt, 0.22),
    (surfaces.concrete, 0.22),
    (surfaces.aggregate, 0.08),
    (surfaces.plaster, 0.14),
    (surfaces.paint, 0.08),
    (surfaces.rough, 0.08),
    (masonry.boards, 0.04),
    (masonry.brick, 0.04),
    (masonry.tiles, 0.03),
    (masonry.pavers, 0.04),
    (masonry.stones, 0.03),
)
"""Every surface and its share of the photos."""

WEATHER: tuple[tuple[surfaces.Change, float], ...] = (
    (surfaces.stain, 0.3),
    (surfaces.drips, 0.1),
    (surfaces.moss, 0.08),
    (surfaces.speckles, 0.2),
    (surfaces.wet, 0.08),
)
"""Every kind of weathering and the share of photos that show it."""


def draw(rng: Generator, size: Size = (256, 256)) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one photo; four in five show cracks.

    Args:
        rng: the source of randomness; the image depends on nothing else.
        size: (H, W), px, at least 16 x 16.

    Returns:
        The image (H, W, 3) uint8, RGB, and the mask (H, W) uint8, 1 on cracks, as wide as DeepCrack's annotators draw it.

    Example:
        >>> image, mask = draw(np.random.default_rng(0), size=(96, 128))
        >>> image.shape, mask.shape
        ((96, 128, 3), (96, 128))
    """
    scale = float(np.exp(rng.uniform(*np.log(SCALE))))
    image = surface(rng, size, scale)
    focus = random_focus(rng)
    if rng.random() < CRACK_FREE:
        mask = np.zeros(size, np.bool_)
    else:
        image, mask = cracked(rng, image, scale, focus.sigma)
    image = image * shadows(rng, size, scale)
    for thing, share in THINGS:
        if rng.random() < share:
            image, hidden = place(rng, image, thing, scale)
            mask &= hidden < 0.5
    photo = take(rng, image, focus)
    return photo, keep_visible(photo, mask)


def surface(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw a surface (3, H, W) without cracks, with weathering and marks on it."""
    weights = np.cumsum([share for _, share in SURFACES])
    chosen = int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))
    image = SURFACES[chosen][0](rng, size, scale)
    for change, share in (*WEATHER, *MARKS):
        if rng.random() < share:
            image = change(rng, image, scale)
    return np.asarray(np.clip(image, 0.02, 1.2), np.float32)


def cracked(rng: Generator, image: Floats, scale: float, sigma: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Draw cracks into a surface; return it and the mask (H, W).

    Args:
        rng: the source of randomness.
        image: the surface.
        scale: px per unit.
        sigma: standard deviation of the blur that the photo will have, px.
    """
    size = (image.shape[1], image.shape[2])
    paths = crack_pattern(rng, size, scale)
    widest = max((float(path.width.max()) for path in paths), default=0.0)
    look = random_look(rng, widest)
    texture, contrast = texture_of(image)
    visible = visible_width(max(VISIBLE, contrast) / look.depth, sigma)
    # cracks that cannot be seen in this texture teach nothing: widen them until their middle can
    if 0 < widest < 2.5 * visible:
        paths = [path._replace(width=path.width * (2.5 * visible / widest)) for path in paths]
    found = bands(rng, paths, size, 4 + 3 * look.spalled * scale, texture, rng.uniform(0, 0.3))
    if not found.width.any():
        return image, np.zeros(size, np.bool_)
    image, _ = darken(rng, image, found, look, scale)
    return image, annotate(found, sigma, 0.7 * visible)


def visible_width(contrast: float, sigma: float) -> float:
    """Return the width, px, of the thinnest visible crack.

    A crack of width w keeps about w / sqrt(w^2 + (2.5 sigma)^2) of its depth after a blur of standard deviation sigma.

    Args:
        contrast: darkening that can just be seen, relative to the depth of the crack.
        sigma: standard deviation of the blur, px.

    Example:
        >>> round(visible_width(0.6, sigma=1.0), 3)  # 1.875 / sqrt(1.875**2 + 2.5**2) = 0.6
        1.875
    """
    share = min(contrast, 0.9)
    return float(2.5 * sigma * share / np.sqrt(1 - share**2))


def texture_of(image: Floats) -> tuple[Floats, float]:
    """Return the texture (H, W) of a surface, of standard deviation 1, and the contrast of its finest part, relative."""
    grey = np.asarray(image.mean(axis=0), np.float32)
    mean = max(float(grey.mean()), 1e-3)
    coarse = blur(grey, 6) if min(grey.shape) >= 32 else np.float32(mean)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.2)
    detail = smooth - coarse
    fine = 1.2 * float((smooth - cv2.GaussianBlur(grey, (0, 0), 4)).std()) / mean
    return np.clip(detail / np.float32(max(float(detail.std()), 1e-4)), -2.5, 2.5), fine
