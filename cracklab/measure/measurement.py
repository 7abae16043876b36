"""What is measured of a crack and of a photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cracklab.measure.graph import Floats, Points
from cracklab.measure.lines import arc_length

LENGTHS = ("length", "gap_length", "width_p50", "width_p95", "width_max")
"""Figures in px that have a twin in mm."""


@dataclass(frozen=True)
class Line:
    """A centre line between tips and branch points.

    Attributes:
        points: (N, 2) x and y, px, the centre of the top left pixel at (0, 0); vertices about 1 px apart. Closed where
            the first is the last.
        width_px: (N,), at each vertex.
        clear: (N,), whether a vertex is far enough from branch points for its width to be that of this line.
    """

    points: Points
    width_px: Floats
    clear: NDArray[np.bool_]

    @property
    def length_px(self) -> float:
        """Arc length, px."""
        return float(arc_length(self.points)[-1])


@dataclass(frozen=True)
class Crack:
    """A connected part of a mask, or several with bridged gaps between them.

    Attributes:
        lines: its centre lines.
        gaps: (K, 2, 2), the two ends of every bridged gap, px.
        tips: (T, 2), px; where a crack leaves the photo counts as a tip too.
        branch_points: (B, 2), px.
        area_px: pixels of the mask, with its small holes.
    """

    lines: tuple[Line, ...]
    gaps: NDArray[np.float64]
    tips: Points
    branch_points: Points
    area_px: int

    @property
    def gap_length_px(self) -> float:
        """Length of all bridged gaps, px."""
        return float(np.hypot(*(self.gaps[:, 1] - self.gaps[:, 0]).T).sum())

    @property
    def length_px(self) -> float:
        """Length of all centre lines and bridged gaps, px."""
        return sum(line.length_px for line in self.lines) + self.gap_length_px


@dataclass(frozen=True)
class Measurement:
    """The cracks of a photo, the longest first.

    Attributes:
        cracks: all of them.
        height: of the photo, px.
        width: of the photo, px.
        mm_per_px: scale; None where it is not known.
    """

    cracks: tuple[Crack, ...]
    height: int
    width: int
    mm_per_px: float | None = None

    def rows(self) -> list[dict[str, Any]]:
        """The figures of each crack, numbered from 1, and where it is widest."""
        return [
            {
                "crack": i,
                **figures([crack], self.mm_per_px),
                **dict(zip(("widest_x", "widest_y"), widest(crack)[0], strict=True)),
            }
            for i, crack in enumerate(self.cracks, 1)
        ]

    def figures(self) -> dict[str, Any]:
        """The figures of the photo: its cracks taken together, and the density of length in area."""
        taken = {"cracks": len(self.cracks), **figures(self.cracks, self.mm_per_px)}
        taken["area_share"] = taken["area_px"] / (self.height * self.width)
        return taken


def widest(crack: Crack) -> tuple[tuple[float, float], float, tuple[float, float]]:
    """Where a crack is widest: the place, the width there, px, and the direction of the line."""
    lines = [line for line in crack.lines if line.clear.any()]
    widths = [np.where(line.clear, line.width_px, -1) for line in lines] if lines else [x.width_px for x in crack.lines]
    line, width = max(zip(lines or crack.lines, widths, strict=True), key=lambda pair: float(pair[1].max()))
    i = int(width.argmax())
    (x, y), (across, down) = line.points[i], np.gradient(line.points, axis=0)[i]
    return (float(x), float(y)), float(width[i]), (float(across), float(down))


def figures(cracks: Sequence[Crack], mm_per_px: float | None) -> dict[str, Any]:
    """Length, widths, area, direction and counts of one or several cracks, in px and mm.

    `length`: of all centre lines, bridged gaps included; `gap_length` is their part. `width_p50`, `width_p95`,
    `width_max`: over the centre lines, each px of length once, away from branch points. `orientation_deg`: the
    direction of the centre lines on average, 0 across the photo, 90 upright, anticlockwise, below 180; `alignment`: 1
    where all of it has that direction, 0 where no direction prevails (mean of doubled angles, Mardia 1972). Widths and
    direction of nothing are None, and so is everything in mm without a scale.
    """
    lines = [line for crack in cracks for line in crack.lines]
    values: dict[str, Any] = {
        "length_px": float(sum(crack.length_px for crack in cracks)),
        "gaps": sum(len(crack.gaps) for crack in cracks),
        "gap_length_px": float(sum(crack.gap_length_px for crack in cracks)),
        **_widths(lines),
        "area_px": sum(crack.area_px for crack in cracks),
        **_direction(lines),
        "tips": sum(len(crack.tips) for crack in cracks),
        "branch_points": sum(len(crack.branch_points) for crack in cracks),
    }
    return values | _in_mm(values, mm_per_px)


def _widths(lines: Sequence[Line]) -> dict[str, float | None]:
    clear = [line.width_px[line.clear] for line in lines]
    found = np.concatenate(clear) if clear else np.empty(0)
    if not found.size and lines:
        found = np.concatenate([line.width_px for line in lines])
    if not found.size:
        return dict.fromkeys(("width_p50_px", "width_p95_px", "width_max_px"))
    middle, high = np.percentile(found, (50, 95))
    return {"width_p50_px": float(middle), "width_p95_px": float(high), "width_max_px": float(found.max())}


def _direction(lines: Sequence[Line]) -> dict[str, float | None]:
    steps = np.concatenate([np.empty((0, 2)), *(np.diff(line.points, axis=0) for line in lines)])
    across, up = steps[:, 0], -steps[:, 1]
    lengths = np.hypot(across, up)
    if not lengths.sum():
        return {"orientation_deg": None, "alignment": None}
    doubled = np.sum(lengths * np.exp(2j * np.arctan2(up, across))) / lengths.sum()
    return {"orientation_deg": float(np.degrees(np.angle(doubled)) / 2 % 180), "alignment": float(abs(doubled))}


def _in_mm(values: Mapping[str, Any], mm_per_px: float | None) -> dict[str, float | None]:
    def scaled(value: float | None, factor: float | None) -> float | None:
        return None if value is None or factor is None else value * factor

    area = scaled(values["area_px"], None if mm_per_px is None else mm_per_px**2)
    return {f"{name}_mm": scaled(values[f"{name}_px"], mm_per_px) for name in LENGTHS} | {"area_mm2": area}
