"""The legend of a picture of a measurement: the scale of the colours, and the meaning of the marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cracklab.data.images import Array
from cracklab.measure.lines import Floats, Points
from cracklab.measure.measurement import Line, Measurement
from cracklab.pictures.colours import Colour
from cracklab.pictures.text import text_image

STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""Ends of the scale of colours, times a power of ten."""

Item = Array
"""An entry of a legend, (H, W, 3); all have the same height."""


@dataclass(frozen=True)
class Piece:
    """A part of a centre line in one colour.

    Attributes:
        points: (N, 2), px of the mask.
        width_px: mean width.
        level: place on the scale of colours, 0 to 255.
    """

    points: Points
    width_px: float
    level: int

    @property
    def colour(self) -> Colour:
        """Its colour."""
        red, green, blue = PALETTE[self.level].tolist()
        return red, green, blue


@dataclass(frozen=True)
class ColourScale:
    """The scale of the colours: widths from 0 to its end; wider cracks have the colour of the end.

    The end is the 99th percentile of all widths, rounded up to a round number of the unit, so that a single wide place does
    not use up the colours of all others.

    Attributes:
        end: in the unit.
        unit: mm, or px without a scale.
        per_px: number of units per px.
        clipped: whether there are wider cracks.
    """

    end: float
    unit: str
    per_px: float
    clipped: bool

    @classmethod
    def of(cls, measurement: Measurement) -> ColourScale:
        """Return the scale for the widths of a measurement.

        Example:
            >>> from cracklab.measure import measure_mask
            >>> mask = np.zeros((40, 80), bool)
            >>> mask[10:17, 10:70] = True  # 7 px wide
            >>> ColourScale.of(measure_mask(mask, mm_per_px=0.2))
            ColourScale(end=1.5, unit='mm', per_px=0.2, clipped=False)
        """
        unit, per_px = measurement.unit
        widths = [_shown_widths(line) for crack in measurement.cracks for line in crack.lines]
        if not widths:
            return cls(1.0, unit, per_px, False)
        every = np.concatenate(widths) * per_px
        end = round_up(max(float(np.percentile(every, 99)), per_px))
        return cls(end, unit, per_px, bool(every.max() > end))

    @property
    def words(self) -> str:
        """The end of the scale, `≥ 2 mm` if there are wider cracks."""
        return f"{'≥ ' if self.clipped else ''}{self.end:g} {self.unit}"

    def pieces(self, line: Line, step: int = 1) -> Iterator[Piece]:
        """Yield a centre line as pieces of one colour each; of the vertices, every `step`-th is kept, and the last."""
        shown = np.unique([*range(0, len(line.points), step), len(line.points) - 1])
        widths = _shown_widths(line)[shown[:-1]]
        levels = 5 * np.rint(51 * np.clip(widths * self.per_px / self.end, 0, 1)).astype(np.int64)
        ends = (np.flatnonzero(np.diff(levels)) + 1).tolist()
        for first, last in zip([0, *ends], [*ends, len(levels)], strict=True):
            if last > first:
                points = line.points[shown[first : last + 1]]
                yield Piece(points, float(widths[first:last].mean()), int(levels[first]))

    def item(self, size: int) -> Item:
        """Return the entry of the legend: the colours between both ends of the scale."""
        words = [text_image(text, size) for text in ("crack width  0 ", f" {self.words}")]
        height = words[0].shape[0]
        bar = np.full((height, 8 * size, 3), 255, np.uint8)
        bar[height // 4 : -(height // 4)] = PALETTE[np.linspace(0, 255, bar.shape[1]).astype(np.uint8)]
        return np.concatenate([words[0], bar, words[1]], axis=1)


PALETTE = np.asarray(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1], np.uint8
)
"""The colours of the scale, (256, 3)."""


def _shown_widths(line: Line) -> Floats:
    """Return the width at each vertex; near tips and branch points, where it does not count, that of the nearest vertices where it does."""
    valid = np.flatnonzero(line.width_valid)
    return np.interp(np.arange(len(line.width_px)), valid, line.width_px[valid]) if len(valid) else line.width_px


def round_up(value: float) -> float:
    """Return the smallest round number that is at least as large as a positive value.

    Example:
        >>> [round_up(value) for value in (0.13, 1.2, 7.0, 10.0)]
        [0.15, 1.5, 8.0, 10.0]
    """
    power = 10.0 ** np.floor(np.log10(value))
    return float(f"{next(step for step in STEPS if step * power >= value * (1 - 1e-9)) * power:.6g}")


def text_item(words: str, size: int) -> Item:
    """Return an entry of text."""
    return text_image(words, size)


def mark_item(mark: Array, words: str, size: int) -> Item:
    """Return an entry with a mark, (h, w, 3), and its meaning."""
    text = text_image(words, size)
    space = text.shape[0] - mark.shape[0]
    above = max(space // 2, 0)
    padded = np.pad(mark, ((above, max(space - above, 0)), (0, 0), (0, 0)), constant_values=255)[: text.shape[0]]
    return np.concatenate([padded, text], axis=1)


def stack_items(items: Sequence[Item], width: int, gap: int) -> Array:
    """Return entries side by side in as many rows as the width needs; an entry that is wider is cut off.

    Example:
        >>> item = np.zeros((10, 40, 3), np.uint8)
        >>> stack_items([item, item, item], width=100, gap=4).shape  # two rows of 10 px and 3 gaps of 4 px
        (32, 100, 3)
    """
    rows: list[list[Item]] = [[]]
    for item in items:
        if rows[-1] and sum(one.shape[1] + gap for one in [*rows[-1], item]) + gap > width:
            rows.append([])
        rows[-1].append(item)
    height = items[0].shape[0]
    strip = np.full((len(rows) * (height + gap) + gap, width, 3), 255, np.uint8)
    for number, row in enumerate(rows):
        x, y = gap, gap + number * (height + gap)
        for item in row:
            part = item[:, : max(width - x, 0)]
            strip[y : y + height, x : x + part.shape[1]] = part
            x += item.shape[1] + gap
    return strip
