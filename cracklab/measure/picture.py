"""A picture of what was measured: centre lines coloured by width, tips, branch points, gaps, the widest place."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.data.images import Array
from cracklab.geometry.masks import Mask
from cracklab.measure.graph import Points
from cracklab.measure.measurement import Crack, Measurement, widest
from cracklab.pictures.colours import BLACK, GAP, WHITE

Colour = tuple[int, ...]

LEAST_PX = 1000
"""Smaller pictures are enlarged by a whole factor to at least this width or height."""
SHIFT = 4
"""Coordinates are drawn to 1 / 2^SHIFT px."""
NAMED = 30
"""So many of the longest cracks are named in the picture; the table has them all."""


@dataclass
class Canvas:
    """A picture to draw on in the coordinates of the mask.

    Attributes:
        image: (H, W, 3) RGB, contiguous.
        factor: of enlargement.
        thick: width of a thin line, px; all marks grow with it.
    """

    image: Array
    factor: int
    thick: int

    def at(self, points: Points) -> NDArray[np.int32]:
        """Where points of the mask lie in the picture, in fractions of a pixel."""
        return np.asarray(np.rint((self.factor * (points + 0.5) - 0.5) * 2**SHIFT), np.int32)

    def pixel(self, point: Points) -> tuple[int, int]:
        """The picture's pixel at a point of the mask."""
        x, y = self.at(point).tolist()
        return round(x / 2**SHIFT), round(y / 2**SHIFT)

    def line(self, points: Points, colour: Colour, widths: float) -> None:
        """Draw a line through points, some line widths thick."""
        cv2.polylines(self.image, [self.at(points)], False, colour, round(widths * self.thick), cv2.LINE_AA, SHIFT)

    def disc(self, point: Points) -> None:
        """A white disc with a black rim."""
        cv2.circle(self.image, self.pixel(point), round(3 * self.thick), BLACK, -1, cv2.LINE_AA)
        cv2.circle(self.image, self.pixel(point), round(2 * self.thick), WHITE, -1, cv2.LINE_AA)

    def square(self, point: Points) -> None:
        """A white square with a black rim."""
        x, y = self.pixel(point)
        for size, colour in ((3 * self.thick, BLACK), (2 * self.thick, WHITE)):
            cv2.rectangle(self.image, (x - size, y - size), (x + size, y + size), colour, -1)

    def write(self, words: str, x: int, y: int) -> int:
        """Write black on white from (x, y), moved inside of the picture; returns where it ends."""
        size = 0.35 + 0.25 * self.thick
        (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, self.thick)
        x = min(max(x, 2), max(self.image.shape[1] - width - 2, 2))
        y = min(max(y, height + 2), self.image.shape[0] - 4)
        cv2.rectangle(self.image, (x - 2, y - height - 2), (x + width + 2, y + 4 * self.thick), WHITE, -1)
        cv2.putText(self.image, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, BLACK, self.thick, cv2.LINE_AA)
        return x + int(width)


def picture(measured: Measurement, mask: Mask, photo: Array | None = None) -> Array:
    """What was measured, over the photo, or over the mask where there is none.

    Args:
        measured: of the mask.
        mask: (H, W).
        photo: (H, W, 3) RGB.

    Returns:
        (H', W', 3) RGB, a whole multiple of the size, with a legend below.
    """
    ground = photo if photo is not None else np.where(mask, np.uint8(190), np.uint8(255))[..., None].repeat(3, axis=2)
    factor = -(-LEAST_PX // max(mask.shape))
    large = np.ascontiguousarray(np.asarray(ground, np.uint8).repeat(factor, axis=0).repeat(factor, axis=1))
    canvas = Canvas(large, factor, max(1, round(max(large.shape) / 1200)))
    widths = [line.width_px for crack in measured.cracks for line in crack.lines]
    top = max(1.0, float(np.percentile(np.concatenate(widths), 99))) if widths else 1.0
    for crack in measured.cracks:
        _draw(canvas, crack, top)
    for number, crack in enumerate(measured.cracks[:NAMED], 1):
        _name(canvas, number, crack, measured.mm_per_px)
    return np.concatenate([canvas.image, _legend(canvas, top, measured.mm_per_px)])


def _draw(canvas: Canvas, crack: Crack, top: float) -> None:
    for line in crack.lines:
        canvas.line(line.points, BLACK, 3)
    for gap in crack.gaps:
        canvas.line(gap, GAP, 2)
    for line in crack.lines:
        colours = colour(line.width_px / top)
        for i in range(len(line.points) - 1):
            canvas.line(line.points[i : i + 2], tuple(colours[i].tolist()), 1)
    for point in crack.branch_points:
        canvas.square(point)
    for tip in crack.tips:
        canvas.disc(tip)


def _name(canvas: Canvas, number: int, crack: Crack, mm_per_px: float | None) -> None:
    """Number, length and largest width of a crack, at a bar across its widest place."""
    place, width, along = widest(crack)
    normal = np.array([-along[1], along[0]]) / max(np.hypot(*along), 1e-9)
    reach = np.outer([-1, 1], normal * width / 2)
    canvas.line(np.array(place) + reach, BLACK, 4)
    canvas.line(np.array(place) + reach, WHITE, 2)
    unit, scale = _unit(mm_per_px)
    x, y = canvas.pixel(np.array(place))
    words = f"{number}: {crack.length_px * scale:.0f} {unit}, max {width * scale:.2g} {unit}"
    canvas.write(words, x + 8 * canvas.thick, y - 8 * canvas.thick)


def _unit(mm_per_px: float | None) -> tuple[str, float]:
    return ("px", 1.0) if mm_per_px is None else ("mm", mm_per_px)


def colour(share: NDArray[np.float64]) -> Array:
    """Colours (N, 3) RGB, of shares from 0 to 1."""
    levels = np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1], np.uint8)


def _legend(canvas: Canvas, top: float, mm_per_px: float | None) -> Array:
    """What colours and marks mean."""
    thick, length = canvas.thick, 100 * canvas.thick
    strip = Canvas(np.full((26 * thick, canvas.image.shape[1], 3), 255, np.uint8), 1, thick)
    middle, base, space = 13 * thick, 18 * thick, 16 * thick
    bar = strip.image[8 * thick : base, space : space + length]
    bar[:] = colour(np.linspace(0, 1, length))[: bar.shape[1]]
    unit, scale = _unit(mm_per_px)
    x = strip.write(f"width 0 to {top * scale:.3g} {unit}", 2 * space + length - 8 * thick, base) + space
    strip.disc(np.array([x, middle]))
    x = strip.write("tip", x + 8 * thick, base) + space
    strip.square(np.array([x, middle]))
    x = strip.write("branch point", x + 8 * thick, base) + space
    strip.line(np.array([[x, middle], [x + space, middle]]), GAP, 3)
    strip.write("gap bridged", x + 24 * thick, base)
    return strip.image
