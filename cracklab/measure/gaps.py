"""Bridges over short gaps, where a crack goes on after a few pixels that the mask lacks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import DisjointSet
from scipy.spatial import cKDTree

from cracklab.measure.graph import Floats
from cracklab.measure.lines import BACK_PX
from cracklab.measure.measurement import Crack

TURN_DEG = 60.0
"""A crack does not turn by more than this within a gap, degrees."""


@dataclass(frozen=True)
class Place:
    """A vertex of a centre line that a bridge may begin or end at."""

    crack: int
    xy: Floats
    half_width: float
    outwards: Floats | None
    """The direction in which a crack ends here; None: it does not end here."""

    def leads_to(self, other: Floats) -> bool:
        """Whether the crack would reach a point if it went on."""
        if self.outwards is None:
            return True
        way = other - self.xy
        return bool(way @ self.outwards >= np.cos(np.radians(TURN_DEG)) * np.hypot(*way) * np.hypot(*self.outwards))


def bridged(cracks: Sequence[Crack], bridge_px: float) -> list[Crack]:
    """Join cracks that are at most `bridge_px` apart, measured from edge to edge, the nearest first.

    A bridge leads from a tip to a tip or to the side of another crack, turns by no more than `TURN_DEG`, and no tip has
    two.
    """
    if not bridge_px or len(cracks) < 2:
        return list(cracks)
    places = [place for i, crack in enumerate(cracks) for place in _places(i, crack)]
    one = DisjointSet(range(len(cracks)))
    used: set[int] = set()
    bridges: list[tuple[int, int]] = []
    for _, start, end in sorted(_candidates(places, bridge_px)):
        if {start, end} & used or one.connected(places[start].crack, places[end].crack):
            continue
        one.merge(places[start].crack, places[end].crack)
        bridges.append((start, end))
        used |= {i for i in (start, end) if places[i].outwards is not None}
    taken = {tuple(places[i].xy) for i in used}
    return [_joined([cracks[i] for i in sorted(group)], group, bridges, places, taken) for group in one.subsets()]


def _places(index: int, crack: Crack) -> Iterator[Place]:
    tips = {tuple(tip) for tip in crack.tips}
    for line in crack.lines:
        points, last = line.points, len(line.points) - 1
        half = line.width_px / 2
        for end in (points[0], points[last]):
            if tuple(end) in tips:  # beside a tip the mask ends with the tip, not half a width farther
                half = np.minimum(half, np.hypot(*(points - end).T))
        for i, width in enumerate(half.tolist()):
            outwards = None
            if i in (0, last) and tuple(points[i]) in tips:
                outwards = points[i] - points[min(last, BACK_PX) if i == 0 else max(0, last - BACK_PX)]
            yield Place(index, points[i], width, outwards)


def _candidates(places: Sequence[Place], bridge_px: float) -> Iterator[tuple[float, int, int]]:
    """Gap, px, and its two places: from every tip to every other crack, to a tip of that where one is in reach."""
    tree = cKDTree([place.xy for place in places])
    farthest = bridge_px + max(place.half_width for place in places)
    for start, tip in enumerate(places):
        if tip.outwards is None:
            continue
        best: dict[int, tuple[bool, float, int]] = {}
        for end in tree.query_ball_point(tip.xy, farthest):
            other = places[end]
            if other.crack == tip.crack or not tip.leads_to(other.xy) or not other.leads_to(tip.xy):
                continue
            side = other.outwards is None
            gap = float(np.hypot(*(other.xy - tip.xy))) - (other.half_width if side else 0)
            if gap <= bridge_px:
                best[other.crack] = min(best.get(other.crack, (True, np.inf, 0)), (side, gap, end))
        yield from ((gap, start, end) for _, gap, end in best.values())


def _joined(
    parts: Sequence[Crack],
    group: set[int],
    bridges: list[tuple[int, int]],
    places: Sequence[Place],
    taken: set[tuple[float, ...]],
) -> Crack:
    """Cracks and the bridges between them as one."""
    own = [(places[start], places[end]) for start, end in bridges if places[start].crack in group]
    landings = [end.xy for _, end in own if end.outwards is None]
    tips = [tip for part in parts for tip in part.tips if tuple(tip) not in taken]
    return Crack(
        lines=tuple(line for part in parts for line in part.lines),
        gaps=np.array([(start.xy, end.xy) for start, end in own]).reshape(-1, 2, 2),
        tips=np.array(tips).reshape(-1, 2),
        branch_points=np.concatenate([*(part.branch_points for part in parts), np.array(landings).reshape(-1, 2)]),
        area_px=sum(part.area_px for part in parts),
    )
