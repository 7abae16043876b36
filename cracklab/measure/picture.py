"""A picture of a measurement: centre lines coloured by width, tips, branch points, bridged gaps, widest places."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cracklab.data.images import Array
from cracklab.geometry.masks import Mask
from cracklab.measure.legend import ColourScale, Item, mark_item, stack_items, text_item
from cracklab.measure.lines import Points
from cracklab.measure.measurement import Crack, Measurement, widest_place
from cracklab.pictures.colours import BLACK, GAP, WHITE, Colour
from cracklab.pictures.labels import place_labels
from cracklab.pictures.text import text_image

SUFFIX = "_measured.jpg"
"""Suffix of the name of a picture, after the name of its mask."""
MIN_SIZE_PX = 1000
"""Smaller pictures are enlarged by a whole factor to at least this width or height."""
SCREEN_PX = 1500
"""Width or height at which a picture is viewed; the sizes of all marks are px of a picture shrunk to this size."""
LINE, HALO, BAR, TEXT = 3.0, 5.0, 4.0, 13.0
"""Thickness of the coloured lines, of these with their black rim, and of the bars at widest places; size of the font."""
LEADER, FAR = 10.0, 500.0
"""Distance of a label from its crack above which a leader connects the two, and the greatest distance."""
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
        unit: size of a pixel of the screen, px of the picture, at least 1; the sizes of all marks are in this unit.

    Example:
        >>> canvas = Canvas(np.zeros((20, 30, 3), np.uint8), factor=2, unit=1.0)
        >>> canvas.pixel(np.array([4.0, 3.0]))  # that pixel of the mask is columns 8 and 9, rows 6 and 7
        (8, 6)
    """

    image: Array
    factor: int
    unit: float

    def px(self, size: float) -> int:
        """Return a size in px of the picture, rounded up."""
        return int(np.ceil(size * self.unit))

    def at(self, points: Points) -> NDArray[np.int32]:
        """Return the positions in the picture of points of the mask, in units of 1 / 2^SHIFT px."""
        return np.asarray(np.rint((self.factor * (points + 0.5) - 0.5) * 2**SHIFT), np.int32)

    def pixel(self, point: Points) -> tuple[int, int]:
        """Return column and row of the picture's pixel at a point of the mask."""
        x, y = self.at(point).tolist()
        return round(x / 2**SHIFT), round(y / 2**SHIFT)

    def line(self, points: Points, colour: Colour, size: float) -> None:
        """Draw a line through points."""
        cv2.polylines(self.image, [self.at(points)], False, colour, self.px(size), cv2.LINE_AA, SHIFT)

    def disc(self, point: Points) -> None:
        """Draw a white disc with a black rim."""
        cv2.circle(self.image, self.pixel(point), self.px(3.5), BLACK, -1, cv2.LINE_AA)
        cv2.circle(self.image, self.pixel(point), self.px(2.2), WHITE, -1, cv2.LINE_AA)

    def square(self, point: Points) -> None:
        """Draw a white square with a black rim."""
        x, y = self.pixel(point)
        for size, colour in ((self.px(3.2), BLACK), (self.px(2), WHITE)):
            cv2.rectangle(self.image, (x - size, y - size), (x + size, y + size), colour, -1)

    def paste(self, picture: Array, x: int, y: int) -> None:
        """Put a picture whose upper left corner is at (x, y)."""
        self.image[y : y + picture.shape[0], x : x + picture.shape[1]] = picture


def draw_measurement(measurement: Measurement, mask: Mask, photo: Array | None = None) -> Array:
    """Draw a measurement over its photo, or over its mask without a photo.

    Labels cover neither each other nor cracks nor marks; those without room are left out, and the legend says how many.

    Args:
        measurement: of the mask.
        mask: (H, W).
        photo: (H, W, 3) RGB.

    Returns:
        (H', W', 3) RGB, a whole multiple of the mask's size, with a legend below.

    Example:
        >>> picture = draw_measurement(Measurement((), 20, 400), np.zeros((20, 400), bool))
        >>> picture.shape[1], picture.shape[0] > 60  # 3 times 400 px, and the legend below 3 times 20 px
        (1200, True)
    """
    background = (
        photo if photo is not None else np.where(mask, np.uint8(190), np.uint8(255))[..., None].repeat(3, axis=2)
    )
    factor = -(-MIN_SIZE_PX // max(mask.shape))
    large = _enlarged(np.asarray(background, np.uint8), factor)
    canvas = Canvas(large.copy(), factor, max(1.0, max(large.shape) / SCREEN_PX))
    colours = ColourScale.of(measurement)
    for crack in measurement.cracks:
        _draw(canvas, crack, colours)
    for crack in measurement.cracks[:LABELLED]:
        _draw_widest(canvas, crack)
    occupied = _enlarged(_measured_part(mask, measurement), factor)
    for channel in range(3):  # several times faster than any(axis=2)
        occupied |= canvas.image[..., channel] != large[..., channel]
    labelled = _label(canvas, measurement, occupied)
    return np.concatenate([canvas.image, _legend(canvas, colours, labelled, len(measurement.cracks))])


def _enlarged(image: NDArray[Any], factor: int) -> NDArray[Any]:
    return image if factor == 1 else image.repeat(factor, axis=0).repeat(factor, axis=1)


def _measured_part(mask: Mask, measurement: Measurement) -> Mask:
    """Return the mask without the parts that were not measured, such as short ones."""
    if not measurement.cracks:
        return np.zeros_like(mask)
    labels = cv2.connectedComponents(np.ascontiguousarray(mask).view(np.uint8), connectivity=8)[1]
    points = np.concatenate([line.points for crack in measurement.cracks for line in crack.lines])
    columns, rows = np.clip(np.rint(points), 0, np.array(mask.shape[::-1]) - 1).astype(np.int64).T
    measured = np.zeros(int(labels.max()) + 1, np.bool_)
    measured[labels[rows, columns]] = True
    measured[0] = False
    return np.asarray(measured[labels], np.bool_)


def _draw(canvas: Canvas, crack: Crack, colours: ColourScale) -> None:
    for line in crack.lines:
        canvas.line(line.points, BLACK, HALO)
    for gap in crack.gaps:
        canvas.line(gap, GAP, LINE)
    step = max(1, int(canvas.unit / canvas.factor))  # vertices closer than a pixel of the screen only take time
    for piece in (piece for line in crack.lines for piece in colours.pieces(line, step)):
        canvas.line(piece.points, piece.colour, LINE)
    for point in crack.branch_points:
        canvas.square(point)
    for tip in crack.tips:
        canvas.disc(tip)


def _draw_widest(canvas: Canvas, crack: Crack) -> None:
    """Draw a bar across the widest place of a crack."""
    place, width, along = widest_place(crack)
    normal = np.array([-along[1], along[0]]) / max(np.hypot(*along), 1e-9)
    reach = np.outer([-1, 1], normal * max(width / 2, LINE * canvas.unit / canvas.factor))
    canvas.line(np.array(place) + reach, BLACK, BAR)
    canvas.line(np.array(place) + reach, WHITE, BAR / 2)


def _label(canvas: Canvas, measurement: Measurement, occupied: Mask) -> int:
    """Write number, length and largest width of cracks near their widest places, and return how many had room."""
    cracks = measurement.cracks[:LABELLED]
    unit, scale = measurement.unit
    size, rim = canvas.px(TEXT), canvas.px(0.7)
    labels, anchors = [], []
    for number, crack in enumerate(cracks, 1):
        widest, width, _ = widest_place(crack)
        words = f"{number}: {crack.length_px * scale:.0f} {unit}, max {_short(width * scale)} {unit}"
        text = text_image(words, size, margin=canvas.px(2))
        labels.append(np.pad(text, ((rim, rim), (rim, rim), (0, 0))))
        anchors.append(canvas.pixel(np.array(widest)))
    sizes = [(label.shape[0], label.shape[1]) for label in labels]
    places = place_labels(occupied, anchors, sizes, canvas.px(LEADER), canvas.px(FAR))
    found = [(place, label) for place, label in zip(places, labels, strict=True) if place is not None]
    for place, _ in found:
        if place.leader is not None:
            start, end = place.leader.tolist()
            for thickness, colour in ((3.0, BLACK), (1.2, WHITE)):
                cv2.line(canvas.image, start, end, colour, canvas.px(thickness), cv2.LINE_AA)
    for place, label in found:
        canvas.paste(label, place.x, place.y)
    return len(found)


def _short(width: float) -> str:
    return f"{width:.1f}" if width < 10 else f"{width:.0f}"


def _legend(canvas: Canvas, colours: ColourScale, labelled: int, cracks: int) -> Array:
    """Return a strip that explains colours and marks."""
    size = canvas.px(TEXT)

    def mark(name: str, draw: str) -> Item:
        side = canvas.px(TEXT * 1.2)
        strip = Canvas(np.full((side, 2 * side, 3), 255, np.uint8), 1, canvas.unit)
        middle = np.array([side, side / 2])
        if draw == "gap":
            strip.line(middle + np.array([[-side / 2, 0], [side / 2, 0]]), GAP, LINE)
        else:
            getattr(strip, draw)(middle)
        return mark_item(strip.image, name, size)

    items = [colours.item(size), mark("tip", "disc"), mark("branch point", "square"), mark("gap bridged", "gap")]
    if labelled < cracks:
        items.append(text_item(f"{labelled} of {cracks} cracks have a label", size))
    return stack_items(items, canvas.image.shape[1], size)
