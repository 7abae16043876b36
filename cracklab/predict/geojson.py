"""Centre lines of a mask, with the width along them, as GeoJSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cracklab.data.images import Array
from cracklab.files import write_text
from cracklab.measure import Line, measure_mask

FRAME = "px of the upright photo: x to the right, y down, the centre of the top left pixel at (0, 0)"
"""GeoJSON's own coordinates are degrees on the earth; these are not."""


def write_centre_lines(path: Path, mask: Array) -> None:
    """One feature a line between tips and branch points; lines of one crack share its number, 1 is the longest crack.

    Of several classes, everything but the first is crack.
    """
    measured = measure_mask(mask > 0)
    features = [feature(number, line) for number, crack in enumerate(measured.cracks, 1) for line in crack.lines]
    content = {
        "type": "FeatureCollection",
        "frame": FRAME,
        "size_px": [measured.width, measured.height],
        "features": features,
    }
    write_text(path, json.dumps(content, separators=(",", ":")) + "\n")


def feature(crack: int, line: Line) -> dict[str, Any]:
    """A line with its length, its median and largest width, and the width at each of its vertices, px."""
    return {
        "type": "Feature",
        "properties": {
            "crack": crack,
            "length_px": round(line.length_px, 2),
            "width_p50_px": round(float(np.median(line.width_px)), 2),
            "width_max_px": round(float(line.width_px.max()), 2),
            "width_px": np.round(line.width_px, 2).tolist(),
        },
        "geometry": {"type": "LineString", "coordinates": np.round(line.points, 2).tolist()},
    }
