"""Masks of cracks of known length and width; a pixel is crack if its centre is in the shape."""

from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

MARGIN = 12
SPACING = 0.02
"""Distance of the points of a curve, px."""


def strip(length, width, angle_deg, phase=(0.0, 0.0)):
    """Return a straight strip with square ends, at an angle anticlockwise from the x axis."""
    angle = np.radians(angle_deg)
    direction = np.array([np.cos(angle), -np.sin(angle)])
    side = int(length + width) + 2 * MARGIN
    y, x = np.mgrid[:side, :side]
    offset = np.stack([x, y], axis=-1) - (side / 2 + np.array(phase))
    along, across = offset @ direction, offset @ [-direction[1], direction[0]]
    return (-length / 2 <= along) & (along < length / 2) & (-width / 2 <= across) & (across < width / 2)


def arc(radius, width, start_deg, span_deg, phase=(0.0, 0.0)):
    """Return a part of a ring of the length radius * span."""
    side = int(2 * (radius + width)) + 2 * MARGIN
    y, x = np.mgrid[:side, :side]
    x, y = x - side / 2 - phase[0], side / 2 + phase[1] - y
    angle = np.degrees(np.arctan2(y, x)) - start_deg
    return (np.abs(np.hypot(x, y) - radius) <= width / 2) & (angle % 360 <= span_deg)


def line_curve(length, start=0.0):
    """Return the points of a straight line from (start, 0) to the right."""
    return np.stack([np.linspace(start, start + length, round(length / SPACING)), np.zeros(round(length / SPACING))], 1)


def arc_curve(radius, span_deg):
    """Return the points of an arc around (0, 0); closed if it spans 360 degrees."""
    angle = np.radians(np.linspace(0, span_deg, round(radius * np.radians(span_deg) / SPACING)))
    points = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    points[-1] = points[0] if span_deg == 360 else points[-1]
    return points


def sine_curve(amplitude, period, width):
    """Return the points of a sine over a width; its radius is at least (period / 2 pi)^2 / amplitude."""
    x = np.linspace(0, width, round(2 * width / SPACING))
    return np.stack([x, amplitude * np.sin(2 * np.pi * x / period)], 1)


def zigzag_curve(side, angle_deg, count):
    """Return the points of `count` straight sides that turn by an angle to the left and to the right in turn."""
    angle = np.radians(angle_deg) / 2
    corners = np.cumsum([[0, 0], *([side * np.cos(angle), (-1) ** k * side * np.sin(angle)] for k in range(count))], 0)
    share = np.linspace(0, 1, round(side / SPACING))[:, None]
    return np.concatenate([a + (b - a) * share for a, b in pairwise(corners)])


def crossing(angle_deg, length):
    """Return two lines that cross in their middles."""
    line = line_curve(length, -length / 2)
    return [line, turned(line, angle_deg)]


def tee(angle_deg, length, branch):
    """Return a line and a branch from its middle."""
    return [line_curve(length, -length / 2), turned(line_curve(branch), angle_deg)]


def fork(angle_deg, length):
    """Return a line that divides into two."""
    prong = line_curve(length)
    return [line_curve(length, -length), turned(prong, angle_deg / 2), turned(prong, -angle_deg / 2)]


def turned(curve, angle_deg, shift=(0.0, 0.0)):
    """Return a curve turned anticlockwise around (0, 0), and shifted."""
    angle = np.radians(angle_deg)
    return curve @ [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]] + shift


def curve_length(*curves):
    """Return the length of all curves, px."""
    return sum(np.hypot(*np.diff(curve, axis=0).T).sum() for curve in curves)


def stroke(*curves, width):
    """Return curves drawn with a width and square ends, and the point of their coordinates that is pixel (0, 0)."""
    points = np.concatenate(curves)
    origin = np.floor(points.min(axis=0) - width - MARGIN).astype(int)
    columns, rows = np.ceil(points.max(axis=0) + width + MARGIN).astype(int) - origin
    y, x = np.mgrid[:rows, :columns]
    centres = np.stack([x.ravel(), y.ravel()], 1) + origin
    mask = np.zeros(rows * columns, bool)
    for curve in curves:
        distance, nearest = cKDTree(curve).query(centres, distance_upper_bound=width / 2 + 1e-9)
        drawn = np.isfinite(distance)
        if not np.allclose(curve[0], curve[-1]):
            for end, before in ((0, 1), (-1, -2)):
                outwards = curve[end] - curve[before]
                drawn &= ~((nearest == end % len(curve)) & ((centres - curve[end]) @ outwards > 0))
        mask |= drawn
    return mask.reshape(rows, columns), origin


CURVES = {
    "arc, radius 20, 100 degrees": ([arc_curve(20, 100)], 12),
    "arc, radius 8, 270 degrees": ([arc_curve(8, 270)], 6),
    "ring, radius 8": ([arc_curve(8, 360)], 6),
    "ring, radius 4": ([arc_curve(4, 360)], 3),
    "sine, smallest radius 9.1": ([sine_curve(10, 60, 240)], 6),
    "sine, smallest radius 4.6": ([sine_curve(5, 30, 240)], 6),
    "sine, smallest radius 2.0": ([sine_curve(5, 20, 200)], 4),
    "sine, smallest radius 4.1, wide": ([sine_curve(10, 40, 240)], 10),
    "corners of 90 degrees, 50 px apart": ([zigzag_curve(50, 90, 4)], 8),
    "corners of 40 degrees, 50 px apart": ([zigzag_curve(50, 40, 4)], 6),
    "crossing at 90 degrees": (crossing(90, 160), 6),
    "crossing at 40 degrees": (crossing(40, 160), 6),
    "crossing at 15 degrees": (crossing(15, 160), 6),
    "branch at 60 degrees": (tee(60, 160, 80), 6),
    "branch at 30 degrees": (tee(30, 160, 80), 6),
    "fork of 30 degrees": (fork(30, 80), 6),
    "fork of 15 degrees": (fork(15, 80), 6),
    "arc, radius 6, 180 degrees, thin": ([arc_curve(6, 180)], 2),
    "sine, smallest radius 10.3, thin": ([sine_curve(20, 90, 270)], 3),
    "crossing at 40 degrees, thin": (crossing(40, 160), 1),
    "crossing at 15 degrees, thin": (crossing(15, 160), 2),
}
"""Curves of known length, and the width to draw them with, px."""


def drawn(curves, width, rng):
    """Return the mask of curves at a random angle and position."""
    angle, shift = rng.uniform(0, 360), rng.uniform(-0.5, 0.5, 2)
    return stroke(*(turned(curve, angle, shift) for curve in curves), width=width)[0]
