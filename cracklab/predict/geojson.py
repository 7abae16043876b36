"""Centre lines of cracks, with the width along them, as GeoJSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cracklab.files import write_text
from cracklab.measure import Line, Measurement

FRAME = "px of the upright photo: x to the right, y down, the centre of the top left pixel at (0, 0)"
"""The frame of the coordinates, stated in the file, since GeoJSON's own are degrees on the earth."""


def write_centre_lines(path: Path, measured: Measurement) -> None:
    """Write one feature per line between tips and branch points; lines of a crack share its number, 1 is the longest crack.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_centre_lines(Path(folder) / "wall.geojson", Measurement((), height=40, width=60))
        ...     json.loads((Path(folder) / "wall.geojson").read_text())["size_px"]
        [60, 40]
    """
    features = [feature(number, line) for number, crack in enumerate(measured.cracks, 1) for line in crack.lines]
    content = {
        "type": "FeatureCollection",
        "frame": FRAME,
        "size_px": [measured.width, measured.height],
        "features": features,
    }
    write_text(path, json.dumps(content, separators=(",", ":")) + "\n")


def feature(crack: int, line: Line) -> dict[str, Any]:
    """Return a line as a GeoJSON feature: length, median and largest width, and the width at each vertex, px.

    Example:
        >>> points = np.array([[0.0, 5.0], [3.0, 9.0]])
        >>> line = Line(points, width_px=np.array([2.0, 4.0]), width_valid=np.array([True, True]))
        >>> feature(1, line)["properties"]
        {'crack': 1, 'length_px': 5.0, 'width_p50_px': 3.0, 'width_max_px': 4.0, 'width_px': [2.0, 4.0]}
    """
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
