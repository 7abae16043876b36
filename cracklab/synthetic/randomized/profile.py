"""From the paths of cracks to their depth in every pixel, to darkening, and to the mask.

DeepCrack's annotators draw a crack as wide as it looks. On its training images, masks of 3 px and more are 0.99 to 1.08
times as wide as the dark profile at half of its depth; on hairlines they are 2 to 3 px wide where that profile, which is
then the blur of the photo, is 3 px wide. The masks drawn here have the same ratios.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cracklab.synthetic.randomized.cracks import SPACING, Path
from cracklab.synthetic.randomized.fields import Floats, Size, blur, noise

WIDER = 1.03
"""Width of a mask by the width of the crack, for wide cracks; with ragged edges the mask is 1.08 times as wide as the profile."""
BLURRED = 2.0
"""Width of the mask of a hairline, by the standard deviation of the photo's blur."""
FAINT = 0.8
"""A crack whose grey level differs from that of its surroundings by less than this, in standard deviations of their texture, is
not seen."""
FAINT_LEVELS = 6.0
"""The same in grey levels of 0 to 255."""
FAR = 1e3
"""Distance of pixels that are near no crack, px."""


class Bands(NamedTuple):
    """The nearest crack of every pixel, each (H, W).

    Args:
        side: signed distance from the crack's middle, px.
        width: width of the crack there, px; 0 where no crack is near.
        ragged: width including the irregularities of its edges, px.
    """

    side: Floats
    width: Floats
    ragged: Floats


def bands(rng: Generator, paths: list[Path], size: Size, reach: float, texture: Floats, roughness: float) -> Bands:
    """Find the nearest crack of every pixel near one.

    Args:
        rng: the source of randomness.
        paths: the cracks.
        size: (H, W), px.
        reach: farthest distance from a crack's edge that matters, px.
        texture: (H, W), of standard deviation near 1; edges run around its bright grains.
        roughness: displacement of the edges by the texture, relative to the width, for wide cracks.
    """
    shape = (size[0], size[1])
    side, width = np.full(shape, FAR, np.float32), np.zeros(shape, np.float32)
    widest = max((float(path.width.max()) for path in paths), default=0.0)
    # a thin crack that ends in a wide one must not cut a notch into it, so both get a transform of their own
    wide = [path for path in paths if path.width.max() > 0.6 * widest]
    thin = [path for path in paths if path.width.max() <= 0.6 * widest]
    for level in (wide, thin):
        if level:
            _nearest(level, side, width, reach)
    ragged = width * (1 - np.float32(roughness) * texture)
    ragged += np.float32(0.25 * min(1.0, widest / 4)) * noise(rng, size, 1.5) * (width > 0)
    return Bands(side, width, np.maximum(ragged, 0))


def _nearest(paths: list[Path], side: Floats, width: Floats, reach: float) -> None:
    """Write the signed distance and the width of the nearest path into the pixels that are deeper in it than before."""
    height, length = side.shape
    points = np.concatenate([path.points for path in paths])
    widths = np.concatenate([path.width for path in paths])
    along = np.concatenate([np.gradient(path.points, axis=0) for path in paths])
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    margin = int(np.ceil(reach + widths.max() / 2)) + 1
    cells = np.rint(points).astype(int) + margin
    seen = ((cells >= 0) & (cells < (length + 2 * margin, height + 2 * margin))).all(axis=1)
    seen &= widths > 0.02
    if not seen.any():
        return
    order = np.flatnonzero(seen)[np.argsort(widths[seen], kind="stable")]  # the widest is written last
    canvas = np.full((height + 2 * margin, length + 2 * margin), 255, np.uint8)
    index = np.zeros(canvas.shape, np.int32)
    rows, columns = cells[order, 1], cells[order, 0]
    canvas[rows, columns] = 0
    index[rows, columns] = order
    distance, labels = cv2.distanceTransformWithLabels(canvas, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    number = np.zeros(int(labels.max()) + 1, np.int32)
    number[labels[rows, columns]] = index[rows, columns]
    inside = slice(margin, margin + height), slice(margin, margin + length)
    y, x = np.nonzero(distance[inside] < margin)
    nearest = number[labels[inside][y, x]]
    dx, dy = x - points[nearest, 0], y - points[nearest, 1]
    ahead = dx * along[nearest, 0] + dy * along[nearest, 1]
    beside = dy * along[nearest, 0] - dx * along[nearest, 1]
    past = np.maximum(np.abs(ahead) - 2 * SPACING, 0)  # beyond a tip; points are rounded to pixels
    off = np.copysign(np.hypot(beside, past), beside).astype(np.float32)
    own = widths[nearest].astype(np.float32)
    deeper = own / 2 - np.abs(off) > width[y, x] / 2 - np.abs(side[y, x])
    y, x = y[deeper], x[deeper]
    side[y, x], width[y, x] = off[deeper], own[deeper]


def coverage(found: Bands, softness: float) -> Floats:
    """Return the share (H, W), 0 to 1, of each pixel that is crack; edges are `softness` px wide, at least 1.

    The profile across a crack is a box of the crack's width, averaged over `softness`: a crack of 0.5 px covers half a pixel.
    """
    soft = np.float32(1 / max(1.0, softness))
    inside = (found.ragged / 2 - np.abs(found.side)) * soft + np.float32(0.5)
    covered: Floats = np.clip(np.minimum(inside, found.ragged * soft), 0, 1)
    return covered


def annotate(found: Bands, sigma: float, visible: float) -> NDArray[np.bool_]:
    """Return the mask (H, W) as DeepCrack's annotators would draw it.

    Args:
        found: the cracks.
        sigma: standard deviation of the photo's blur, px, of the pixels themselves included.
        visible: narrowest width that can be seen on this surface, px; thinner parts are not drawn.
    """
    width = np.sqrt((WIDER * found.ragged) ** 2 + np.float32((BLURRED * sigma) ** 2))
    return np.asarray((np.abs(found.side) <= width / 2) & (found.width >= visible), np.bool_)


def keep_visible(photo: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the mask (H, W) uint8 without the pieces that cannot be seen in the photo, however they came to be hidden.

    Args:
        photo: (H, W, 3), RGB.
        mask: (H, W).

    Example:
        >>> photo, mask = np.full((40, 40, 3), 200, np.uint8), np.zeros((40, 40), bool)
        >>> mask[10], mask[30] = True, True
        >>> photo[10] = 100  # the other one is as bright as the wall
        >>> keep_visible(photo, mask).sum(axis=1).nonzero()[0].tolist()
        [10]
    """
    if not mask.any():
        return mask.astype(np.uint8)
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    outside = 1 - cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
    surroundings = blur(grey * outside, 10) / np.maximum(blur(outside, 10), 1e-3)
    off = surroundings - grey
    texture = float(np.sqrt((off**2 * outside).sum() / max(1.0, outside.sum())))
    number, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    size = np.bincount(pieces.ravel(), minlength=number)
    contrast = np.abs(np.bincount(pieces.ravel(), off.ravel(), number) / np.maximum(size, 1))
    seen = contrast >= max(FAINT_LEVELS, FAINT * texture)
    seen[0] = False
    return np.asarray(seen[pieces], np.uint8)
