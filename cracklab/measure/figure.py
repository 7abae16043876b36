"""A figure for print: the whole wall with its cracks coloured by width, a scale bar and the scale of the colours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cracklab.data.images import Array
from cracklab.errors import DataError
from cracklab.files import atomic_write
from cracklab.geometry.masks import Mask
from cracklab.measure.legend import PALETTE, ColourScale
from cracklab.measure.measurement import Measurement

if TYPE_CHECKING:  # takes a second to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES: Mapping[str, str] = {"pdf": "_figure.pdf", "png": "_figure.png"}
"""Format -> suffix of the figure's name, after the name of its mask."""
DPI = 300
WIDTH_MM, HEIGHT_MM = 170.0, 225.0
"""Maximum width and height of the wall on paper: those of the text on an A4 page."""
LEAST_MM = 100.0
"""Minimum width of the figure, for the text below a narrow wall."""
FOOT_MM = 18.0
"""Height of the strip below the wall."""
THIN_PT = 1.0
"""Minimum thickness of a crack on paper, 1/72 inch."""
UNITS = ((1000.0, "m"), (10.0, "cm"), (1.0, "mm"))
"""mm in each unit of the scale bar."""


def draw_figure(measurement: Measurement, mask: Mask, photo: Array | None = None) -> Figure:
    """Draw the whole wall with its cracks at least 1 pt wide, at the width of an A4 page's text.

    Args:
        measurement: of the mask, with a scale.
        mask: (H, W), drawn in grey without a photo.
        photo: (H, W, 3) RGB.

    Raises:
        DataError: for a measurement without a scale.

    Example:
        >>> figure = draw_figure(Measurement((), 300, 400, mm_per_px=2.0), np.zeros((300, 400), bool))
        >>> [text.get_text() for text in (*figure.axes[0].texts, *figure.texts)]
        ['20 cm', 'no crack']
    """
    if measurement.mm_per_px is None:
        raise DataError("a figure needs the scale of its photo, mm per px: give it")
    from matplotlib.figure import Figure

    height, width = mask.shape
    on_paper = min(WIDTH_MM / width, HEIGHT_MM / height)  # mm per px
    wide, high = max(width * on_paper, LEAST_MM), height * on_paper + FOOT_MM
    figure = Figure(figsize=(wide / 25.4, high / 25.4), dpi=DPI)
    axes = figure.add_axes((0.0, FOOT_MM / high, width * on_paper / wide, 1 - FOOT_MM / high))
    axes.set_axis_off()
    background = photo if photo is not None else np.where(mask, np.uint8(190), np.uint8(245))[..., None].repeat(3, 2)
    axes.imshow(_shrunk(np.asarray(background, np.uint8), on_paper), extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    colours = ColourScale.of(measurement)
    _draw_cracks(axes, measurement, colours, on_paper * 72 / 25.4)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    _draw_scale_bar(axes, measurement.mm_per_px, on_paper)
    if measurement.cracks:
        _draw_colours(figure, colours, wide, high)
    figure.text(1 / wide, 1.5 / high, _caption(measurement), size=8)
    return figure


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure whole or not at all; the suffix decides the format.

    Raises:
        OSError: if the file cannot be written.
    """
    metadata = {"CreationDate": None} if path.suffix == ".pdf" else {}  # the same figure is the same file
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata=metadata)


def scale_bar(width_mm: float) -> tuple[float, str]:
    """Return the length of the scale bar of a wall, mm, and its text: 1, 2 or 5 times a power of ten, at most a quarter of the wall.

    Example:
        >>> [scale_bar(width) for width in (30.0, 800.0, 9000.0, 25000.0)]
        [(5.0, '5 mm'), (200.0, '20 cm'), (2000.0, '2 m'), (5000.0, '5 m')]
    """
    power = 10.0 ** math.floor(math.log10(width_mm / 4))
    length = max(step * power for step in (1, 2, 5) if step * power <= width_mm / 4 * (1 + 1e-9))
    factor, unit = next((pair for pair in UNITS if length >= pair[0]), UNITS[-1])
    return length, f"{length / factor:g} {unit}"


def _shrunk(image: Array, on_paper: float) -> Array:
    """Return an image with at most `DPI` pixels per inch of paper."""
    share = on_paper / 25.4 * DPI
    return (
        image if share >= 1 else np.asarray(cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA))
    )


def _draw_cracks(axes: Axes, measurement: Measurement, colours: ColourScale, pt_per_px: float) -> None:
    """Draw centre lines as wide as the cracks, and at least `THIN_PT`, over a black rim."""
    from matplotlib.collections import LineCollection

    step = max(1, int(0.5 * THIN_PT / pt_per_px))  # closer vertices only take time and space
    pieces = [piece for crack in measurement.cracks for line in crack.lines for piece in colours.pieces(line, step)]
    if not pieces:
        return
    thick = np.array([max(piece.width_px * pt_per_px, THIN_PT) for piece in pieces])
    shades = PALETTE[[piece.level for piece in pieces]] / 255
    for colour, thickness in (("black", thick + 0.6), (shades, thick)):
        axes.add_collection(
            LineCollection([piece.points for piece in pieces], colors=colour, linewidths=thickness, capstyle="round")
        )


def _draw_scale_bar(axes: Axes, mm_per_px: float, on_paper: float) -> None:
    from matplotlib.patches import Rectangle

    height, width = -float(np.diff(axes.get_ylim())[0]), float(np.diff(axes.get_xlim())[0])
    length, words = scale_bar(width * mm_per_px)
    mm = 1 / on_paper  # px of the photo per mm of paper
    top = height - 0.5 + 3 * mm
    bar = Rectangle(
        (-0.5 + 1 * mm, top), length / mm_per_px, 1.2 * mm, facecolor="black", clip_on=False, gid="scale bar"
    )
    axes.add_patch(bar)
    axes.text(-0.5 + 1 * mm + length / mm_per_px / 2, top + 2.2 * mm, words, ha="center", va="top", size=8)


def _draw_colours(figure: Figure, colours: ColourScale, wide: float, high: float) -> None:
    """Draw the scale of the colours below the wall, on the right; all sizes are mm."""
    length = min(50.0, 0.4 * wide)
    axes = figure.add_axes(((wide - length - 10) / wide, (FOOT_MM - 6.2) / high, length / wide, 3 / high))
    axes.imshow(PALETTE[None], aspect="auto", extent=(0, colours.end, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([0, colours.end / 2, colours.end], ["0", f"{colours.end / 2:g}", colours.words], size=8)
    axes.set_xlabel("crack width", size=8, labelpad=1)
    axes.tick_params(length=2, pad=1.5)


def _caption(measurement: Measurement) -> str:
    if not measurement.cracks:
        return "no crack"
    summary = measurement.summary()
    number = f"{len(measurement.cracks)} crack{'s' * (len(measurement.cracks) != 1)}"
    length = summary["length_mm"]
    total = f"{length / 1000:.2f} m" if length >= 1000 else f"{length:.0f} mm"
    return f"{number}, {total} in total, at most {summary['width_max_mm']:.1f} mm wide"
