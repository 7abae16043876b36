"""Masks of cracks of known length and width; a pixel is crack if its centre is in the shape."""

import numpy as np

MARGIN = 12


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
