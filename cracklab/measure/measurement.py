"""The result of measuring a mask: its cracks with their centre lines, and the rows of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cracklab.measure.lines import Floats, Points, arc_length

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
"""One row of a table, by column."""

SCALED = ("length", "gap_length", "width_p50", "width_p95", "width_max")
"""Columns in px with a twin in mm."""


@dataclass(frozen=True)
class Line:
    """A centre line between tips and branch points.

    Attributes:
        points: (N, 2) x and y, px; the centre of the top left pixel is (0, 0). Vertices are about 1 px apart. The first
            and the last point of a closed line are equal.
        width_px: (N,), width at each vertex.
        width_valid: (N,), whether a vertex is far enough from tips and branch points for its width to count.
        is_isotropic: whether the line stands for a speck without a direction, such as a single pixel.

    Example:
        >>> points = np.array([[0.0, 0.0], [3.0, 4.0]])
        >>> Line(points, width_px=np.full(2, 1.5), width_valid=np.ones(2, bool)).length_px
        5.0
    """

    points: Points
    width_px: Floats
    width_valid: NDArray[np.bool_]
    is_isotropic: bool = False

    @property
    def length_px(self) -> float:
        """Arc length, px."""
        return float(arc_length(self.points)[-1])


@dataclass(frozen=True)
class Crack:
    """A connected part of a mask, or several parts joined over bridged gaps.

    Attributes:
        lines: centre lines.
        gaps: (K, 2, 2), the two ends of every bridged gap, px.
        tips: (T, 2), px; a crack that leaves the photo has a tip at the border.
        branch_points: (B, 2), px.
        area_px: number of pixels, small holes included.

    Example:
        >>> points = np.array([[0.0, 0.0], [3.0, 4.0]])
        >>> line = Line(points, width_px=np.full(2, 1.5), width_valid=np.ones(2, bool))
        >>> gap = np.array([[[3.0, 4.0], [3.0, 6.0]]])
        >>> crack = Crack((line,), gap, tips=points[:1], branch_points=np.empty((0, 2)), area_px=8)
        >>> crack.length_px, crack.gap_length_px
        (7.0, 2.0)
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
        cracks: all cracks.
        height: of the photo, px.
        width: of the photo, px.
        mm_per_px: scale; None if it is not known.
        min_length_px: shorter cracks were left out.
        ignored: number of cracks that were left out.
        ignored_length_px: their length, px.

    Example:
        >>> from cracklab.measure import measure_mask
        >>> mask = np.zeros((20, 80), bool)
        >>> mask[8:12, 10:70] = True  # 60 px long, 4 px wide
        >>> measurement = measure_mask(mask, mm_per_px=0.5)
        >>> summary = measurement.summary()
        >>> [round(summary[name]) for name in ("length_px", "length_mm", "width_p50_px")]
        [60, 30, 4]
        >>> measurement.to_frame()[["crack", "area_px", "tips"]].values.tolist()
        [[1, 240, 2]]
    """

    cracks: tuple[Crack, ...]
    height: int
    width: int
    mm_per_px: float | None = None
    min_length_px: float = 0.0
    ignored: int = 0
    ignored_length_px: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Return `summarize` of all cracks together, their number, and their share of the photo's area."""
        values = {"cracks": len(self.cracks), **summarize(self.cracks, self.mm_per_px)}
        values["area_share"] = values["area_px"] / (self.height * self.width)
        return values

    @property
    def unit(self) -> tuple[str, float]:
        """The unit of lengths for people, mm or px, and their number per px."""
        return ("px", 1.0) if self.mm_per_px is None else ("mm", self.mm_per_px)

    def ignored_cracks(self) -> dict[str, Any]:
        """Return number and length of the cracks that were left out."""
        length_mm = None if self.mm_per_px is None else self.ignored_length_px * self.mm_per_px
        return {
            "ignored": self.ignored, "ignored_length_px": self.ignored_length_px, "ignored_length_mm": length_mm,
        }  # fmt: skip

    def crack_rows(self) -> list[dict[str, Any]]:
        """Return `summarize` of each crack, its number, counted from 1, and its widest place, px."""
        rows = []
        for number, crack in enumerate(self.cracks, 1):
            x, y = widest_place(crack)[0]
            rows.append({"crack": number, **summarize([crack], self.mm_per_px), "widest_x": x, "widest_y": y})
        return rows

    def to_frame(self, id: str | None = None) -> pd.DataFrame:
        """Return the cracks as a data frame: one row per crack, the columns of cracks.csv.

        Missing values are NaN. Counts are int64, all other columns float64, with or without cracks.

        Args:
            id: of the photo, for the column `id`; without it, the frame has no such column.
        """
        import pandas as pd  # takes a second to import

        types = {name: np.int64 if name in COUNTS else np.float64 for name in CRACK_COLUMNS if name != "id"}
        frame = pd.DataFrame(self.crack_rows(), columns=list(types)).astype(types)
        if id is not None:
            frame.insert(0, "id", id)
        return frame


def widest_place(crack: Crack) -> tuple[tuple[float, float], float, tuple[float, float]]:
    """Return the widest place of a crack: x and y, the width, px, and the direction of the line there.

    Example:
        >>> points = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
        >>> line = Line(points, width_px=np.array([2.0, 3.0, 9.0]), width_valid=np.array([True, True, False]))
        >>> widest_place(Crack((line,), np.empty((0, 2, 2)), points[[0, -1]], np.empty((0, 2)), area_px=9))
        ((1.0, 5.0), 3.0, (1.0, 0.0))
    """
    lines = [line for line in crack.lines if line.width_valid.any()]
    widths = [np.where(line.width_valid, line.width_px, -1) for line in lines] or [x.width_px for x in crack.lines]
    line, width = max(zip(lines or crack.lines, widths, strict=True), key=lambda pair: float(pair[1].max()))
    i = int(width.argmax())
    (x, y), (across, down) = line.points[i], np.gradient(line.points, axis=0)[i]
    return (float(x), float(y)), float(width[i]), (float(across), float(down))


def summarize(cracks: Sequence[Crack], mm_per_px: float | None) -> dict[str, Any]:
    """Return length, widths, area, direction and counts of one or several cracks, in px and mm.

    - `length`: of all centre lines and bridged gaps; `gap_length`: of the gaps.
    - `width_p50`, `width_p95`, `width_max`: over the centre lines, weighted by length, away from branch points and tips.
    - `orientation_deg`: mean direction of the centre lines, 0 horizontal, 90 vertical, anticlockwise, below 180.
    - `alignment`: 1 if all centre lines have this direction, 0 if no direction prevails. Both are the mean of doubled
      angles (Mardia 1972); a speck without a direction counts as its length in all directions.

    Widths and directions of no cracks are None, and so is the direction of such specks alone. Without a scale, everything in mm is None.

    Example:
        >>> points = np.array([[0.0, 0.0], [3.0, 4.0]])
        >>> line = Line(points, width_px=np.full(2, 1.5), width_valid=np.ones(2, bool))
        >>> crack = Crack((line,), np.empty((0, 2, 2)), tips=points, branch_points=np.empty((0, 2)), area_px=8)
        >>> values = summarize([crack], mm_per_px=0.5)
        >>> values["length_px"], values["length_mm"], values["width_max_mm"], values["area_mm2"]
        (5.0, 2.5, 0.75, 2.0)
        >>> round(values["orientation_deg"], 1)  # 3 px to the right and 4 px down
        126.9
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
    valid = [line.width_px[line.width_valid] for line in lines]
    widths = np.concatenate(valid) if valid else np.empty(0)
    if not widths.size and lines:
        widths = np.concatenate([line.width_px for line in lines])
    if not widths.size:
        return dict.fromkeys(("width_p50_px", "width_p95_px", "width_max_px"))
    middle, high = np.percentile(widths, (50, 95))
    return {"width_p50_px": float(middle), "width_p95_px": float(high), "width_max_px": float(widths.max())}


def _direction(lines: Sequence[Line]) -> dict[str, float | None]:
    length = sum(line.length_px for line in lines)
    if not length:
        return {"orientation_deg": None, "alignment": None}
    directed = [np.diff(line.points, axis=0) for line in lines if not line.is_isotropic]
    if not directed:
        return {"orientation_deg": None, "alignment": 0.0}
    right, down = np.concatenate(directed).T
    doubled = np.sum(np.hypot(right, down) * np.exp(2j * np.arctan2(-down, right))) / length
    return {"orientation_deg": float(np.degrees(np.angle(doubled)) / 2 % 180), "alignment": float(abs(doubled))}


def _in_mm(values: Row, mm_per_px: float | None) -> dict[str, float | None]:
    def scaled(value: float | None, factor: float | None) -> float | None:
        return None if value is None or factor is None else value * factor

    area = scaled(values["area_px"], None if mm_per_px is None else mm_per_px**2)
    return {f"{name}_mm": scaled(values[f"{name}_px"], mm_per_px) for name in SCALED} | {"area_mm2": area}


COUNTS = frozenset({"crack", "cracks", "gaps", "area_px", "tips", "branch_points", "ignored"})
"""Columns of whole numbers."""
CRACK_COLUMNS = ("id", "crack", *summarize([], None), "widest_x", "widest_y")
"""Columns of cracks.csv."""
PHOTO_COLUMNS = (
    *("id", "mm_per_px", "cracks", *summarize([], None), "area_share"),
    *("ignored", "ignored_length_px", "ignored_length_mm"),
)
"""Columns of photos.csv."""
