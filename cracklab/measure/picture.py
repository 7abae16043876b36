"""A picture of a measurement: centre lines coloured by width, tips, branch points, bridged gaps, widest places."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.data.images import Array
from cracklab.geometry.masks import Mask
from cracklab.measure.lines import Points
from cracklab.measure.measurement import Crack, Measurement, widest_place
from cracklab.pictures.colours import BLACK, GAP, WHITE, Colour

SUFFIX = "_measured.jpg"
"""What follows the name of a mask in the name of its picture."""
MIN_SIZE_PX = 1000
"""Smaller pictures are enlarged by a whole factor to at least this width or height."""
SHIFT = 4
"""Coordinates are drawn to 1 / 2^SHIFT px."""
LABELLED = 30
"""Number of cracks, the longest ones, with a label in the picture; the table has all."""


@dataclass
class Canvas:
    """A picture to draw on in the coordinates of the mask.

    Attributes:
        image: (H, W, 3) RGB, contiguous.
        factor: of enlargement.
        thickness: of a thin line, px; all marks scale with it.

    Example:
        >>> canvas = Canvas(np.zeros((20, 30, 3), np.uint8), factor=2, thickness=1)
        >>> canvas.pixel(np.array([4.0, 3.0]))  # that pixel of the mask is columns 8 and 9, rows 6 and 7
        (8, 6)
    """

    image: Array
    factor: int
    thickness: int

    def at(self, points: Points) -> NDArray[np.int32]:
        """Return the positions in the picture of points of the mask, in units of 1 / 2^SHIFT px."""
        return np.asarray(np.rint((self.factor * (points + 0.5) - 0.5) * 2**SHIFT), np.int32)

    def pixel(self, point: Points) -> tuple[int, int]:
        """Return column and row of the picture's pixel at a point of the mask."""
        x, y = self.at(point).tolist()
        return round(x / 2**SHIFT), round(y / 2**SHIFT)

    def line(self, points: Points, colour: Colour, factor: float) -> None:
        """Draw a line through points, `factor` times as thick as a thin one."""
        cv2.polylines(self.image, [self.at(points)], False, colour, round(factor * self.thickness), cv2.LINE_AA, SHIFT)

    def disc(self, point: Points) -> None:
        """Draw a white disc with a black rim."""
        cv2.circle(self.image, self.pixel(point), round(3 * self.thickness), BLACK, -1, cv2.LINE_AA)
        cv2.circle(self.image, self.pixel(point), round(2 * self.thickness), WHITE, -1, cv2.LINE_AA)

    def square(self, point: Points) -> None:
        """Draw a white square with a black rim."""
        x, y = self.pixel(point)
        for size, colour in ((3 * self.thickness, BLACK), (2 * self.thickness, WHITE)):
            cv2.rectangle(self.image, (x - size, y - size), (x + size, y + size), colour, -1)

    def write(self, words: str, x: int, y: int) -> int:
        """Write black on white from (x, y), moved into the picture if needed, and return the x of its end."""
        size = 0.35 + 0.25 * self.thickness
        (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, self.thickness)
        x = min(max(x, 2), max(self.image.shape[1] - width - 2, 2))
        y = min(max(y, height + 2), self.image.shape[0] - 4)
        cv2.rectangle(self.image, (x - 2, y - height - 2), (x + width + 2, y + 4 * self.thickness), WHITE, -1)
        cv2.putText(self.image, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, BLACK, self.thickness, cv2.LINE_AA)
        return x + int(width)


def draw_measurement(measurement: Measurement, mask: Mask, photo: Array | None = None) -> Array:
    """Draw a measurement over its photo, or over its mask without a photo.

    Args:
        measurement: of the mask.
        mask: (H, W).
        photo: (H, W, 3) RGB.

    Returns:
        (H', W', 3) RGB, a whole multiple of the mask's size, with a legend below.

    Example:
        >>> draw_measurement(Measurement((), 20, 400), np.zeros((20, 400), bool)).shape  # 3 times 20 + 26 px, 3 times 400
        (86, 1200, 3)
    """
    background = (
        photo if photo is not None else np.where(mask, np.uint8(190), np.uint8(255))[..., None].repeat(3, axis=2)
    )
    factor = -(-MIN_SIZE_PX // max(mask.shape))
    large = np.ascontiguousarray(np.asarray(background, np.uint8).repeat(factor, axis=0).repeat(factor, axis=1))
    canvas = Canvas(large, factor, max(1, round(max(large.shape) / 1200)))
    widths = [line.width_px for crack in measurement.cracks for line in crack.lines]
    top = max(1.0, float(np.percentile(np.concatenate(widths), 99))) if widths else 1.0
    for crack in measurement.cracks:
        _draw(canvas, crack, top)
    for number, crack in enumerate(measurement.cracks[:LABELLED], 1):
        _label(canvas, number, crack, measurement.mm_per_px)
    return np.concatenate([canvas.image, _legend(canvas, top, measurement.mm_per_px)])


def _draw(canvas: Canvas, crack: Crack, top: float) -> None:
    for line in crack.lines:
        canvas.line(line.points, BLACK, 3)
    for gap in crack.gaps:
        canvas.line(gap, GAP, 2)
    for line in crack.lines:
        colours = width_colours(line.width_px / top)
        for i in range(len(line.points) - 1):
            red, green, blue = colours[i].tolist()
            canvas.line(line.points[i : i + 2], (red, green, blue), 1)
    for point in crack.branch_points:
        canvas.square(point)
    for tip in crack.tips:
        canvas.disc(tip)


def _label(canvas: Canvas, number: int, crack: Crack, mm_per_px: float | None) -> None:
    """Write number, length and largest width of a crack beside a bar across its widest place."""
    place, width, along = widest_place(crack)
    normal = np.array([-along[1], along[0]]) / max(np.hypot(*along), 1e-9)
    reach = np.outer([-1, 1], normal * width / 2)
    canvas.line(np.array(place) + reach, BLACK, 4)
    canvas.line(np.array(place) + reach, WHITE, 2)
    unit, scale = _unit(mm_per_px)
    x, y = canvas.pixel(np.array(place))
    words = f"{number}: {crack.length_px * scale:.0f} {unit}, max {width * scale:.2g} {unit}"
    canvas.write(words, x + 8 * canvas.thickness, y - 8 * canvas.thickness)


def _unit(mm_per_px: float | None) -> tuple[str, float]:
    return ("px", 1.0) if mm_per_px is None else ("mm", mm_per_px)


def width_colours(share: NDArray[np.float64]) -> Array:
    """Return the colours (N, 3) RGB of widths.

    Args:
        share: (N,), widths over the largest one, 0 to 1.

    Example:
        >>> width_colours(np.array([0.0, 0.5, 1.0])).shape
        (3, 3)
    """
    levels = np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1], np.uint8)


def _legend(canvas: Canvas, top: float, mm_per_px: float | None) -> Array:
    """Return a strip that explains colours and marks."""
    thick, length = canvas.thickness, 100 * canvas.thickness
    strip = Canvas(np.full((26 * thick, canvas.image.shape[1], 3), 255, np.uint8), 1, thick)
    middle, base, space = 13 * thick, 18 * thick, 16 * thick
    bar = strip.image[8 * thick : base, space : space + length]
    bar[:] = width_colours(np.linspace(0, 1, length))[: bar.shape[1]]
    unit, scale = _unit(mm_per_px)
    x = strip.write(f"width 0 to {top * scale:.3g} {unit}", 2 * space + length - 8 * thick, base) + space
    strip.disc(np.array([x, middle]))
    x = strip.write("tip", x + 8 * thick, base) + space
    strip.square(np.array([x, middle]))
    x = strip.write("branch point", x + 8 * thick, base) + space
    strip.line(np.array([[x, middle], [x + space, middle]]), GAP, 3)
    strip.write("gap bridged", x + 24 * thick, base)
    return strip.image
