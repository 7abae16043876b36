"""Bridges over short gaps, where a crack continues after a few pixels that the mask lacks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import DisjointSet
from scipy.spatial import cKDTree

from cracklab.measure.lines import Floats
from cracklab.measure.measurement import Crack

TURN_DEG = 60.0
"""Maximum turn of a crack within a gap, degrees."""
DIRECTION_PX = 6
"""The direction of a crack at its tip is that of its last `DIRECTION_PX` px."""


@dataclass(frozen=True)
class Anchor:
    """A vertex of a centre line where a bridge can start or end.

    Attributes:
        crack: index of the crack.
        xy: (2,), px.
        half_width: of the crack at the vertex, px.
        outwards: (2,), the direction in which the crack ends here; None for a vertex that is not a tip.

    Example:
        >>> tip = Anchor(0, np.array([10.0, 5.0]), 2.0, outwards=np.array([6.0, 0.0]))
        >>> tip.leads_to(np.array([14.0, 6.0])), tip.leads_to(np.array([10.0, 9.0]))  # ahead, to the side
        (True, False)
    """

    crack: int
    xy: Floats
    half_width: float
    outwards: Floats | None

    def leads_to(self, other: Floats) -> bool:
        """Return whether the crack could continue to a point, turning by no more than `TURN_DEG`."""
        if self.outwards is None:
            return True
        way = other - self.xy
        return bool(way @ self.outwards >= np.cos(np.radians(TURN_DEG)) * np.hypot(*way) * np.hypot(*self.outwards))


def bridge_gaps(cracks: Sequence[Crack], bridge_px: float) -> list[Crack]:
    """Join cracks that are at most `bridge_px` apart, measured from edge to edge, the closest ones first.

    A bridge connects a tip with the tip or the side of another crack and turns by no more than `TURN_DEG` at either end.
    A tip has at most one bridge.

    Example:
        >>> from cracklab.measure import measure_mask
        >>> mask = np.zeros((20, 80), bool)
        >>> mask[8:12, 10:38] = mask[8:12, 42:70] = True
        >>> cracks = measure_mask(mask).cracks
        >>> len(bridge_gaps(cracks, 3)), len(bridge_gaps(cracks, 5))  # the gap is 4 px
        (2, 1)
    """
    if not bridge_px or len(cracks) < 2:
        return list(cracks)
    anchors = [anchor for i, crack in enumerate(cracks) for anchor in _anchors(i, crack)]
    joined = DisjointSet(range(len(cracks)))
    used: set[int] = set()
    bridges: list[tuple[int, int]] = []
    for _, start, end in sorted(_candidates(anchors, bridge_px)):
        if {start, end} & used or joined.connected(anchors[start].crack, anchors[end].crack):
            continue
        joined.merge(anchors[start].crack, anchors[end].crack)
        bridges.append((start, end))
        used |= {i for i in (start, end) if anchors[i].outwards is not None}
    bridged_tips = {tuple(anchors[i].xy) for i in used}
    pairs = [(anchors[start], anchors[end]) for start, end in bridges]
    return [_join([cracks[i] for i in sorted(group)], group, pairs, bridged_tips) for group in joined.subsets()]


def _anchors(index: int, crack: Crack) -> Iterator[Anchor]:
    tips = {tuple(tip) for tip in crack.tips}
    for line in crack.lines:
        points, last = line.points, len(line.points) - 1
        half_widths = line.width_px / 2
        for end in (points[0], points[last]):
            if tuple(end) in tips:  # the mask ends at the tip, not half a width beyond it
                half_widths = np.minimum(half_widths, np.hypot(*(points - end).T))
        for i, half_width in enumerate(half_widths.tolist()):
            outwards = None
            if i in (0, last) and tuple(points[i]) in tips:
                outwards = points[i] - points[min(last, DIRECTION_PX) if i == 0 else max(0, last - DIRECTION_PX)]
            yield Anchor(index, points[i], half_width, outwards)


def _candidates(anchors: Sequence[Anchor], bridge_px: float) -> Iterator[tuple[float, int, int]]:
    """Yield gap, px, start and end of bridges: from every tip to each crack in reach, to a tip of it if possible."""
    tree = cKDTree([anchor.xy for anchor in anchors])
    reach = bridge_px + max(anchor.half_width for anchor in anchors)
    for start, tip in enumerate(anchors):
        if tip.outwards is None:
            continue
        best: dict[int, tuple[bool, float, int]] = {}
        for end in tree.query_ball_point(tip.xy, reach):
            other = anchors[end]
            if other.crack == tip.crack or not tip.leads_to(other.xy) or not other.leads_to(tip.xy):
                continue
            is_side = other.outwards is None
            gap = float(np.hypot(*(other.xy - tip.xy))) - other.half_width  # 0 at a tip
            if gap <= bridge_px:
                best[other.crack] = min(best.get(other.crack, (True, np.inf, 0)), (is_side, gap, end))
        yield from ((gap, start, end) for _, gap, end in best.values())


def _join(
    parts: Sequence[Crack],
    group: set[int],
    bridges: Sequence[tuple[Anchor, Anchor]],
    bridged_tips: set[tuple[float, ...]],
) -> Crack:
    """Return the cracks of a group and the bridges between them as one crack."""
    own = [(start, end) for start, end in bridges if start.crack in group]
    landings = [end.xy for _, end in own if end.outwards is None]
    tips = [tip for part in parts for tip in part.tips if tuple(tip) not in bridged_tips]
    return Crack(
        lines=tuple(line for part in parts for line in part.lines),
        gaps=np.array([(start.xy, end.xy) for start, end in own]).reshape(-1, 2, 2),
        tips=np.array(tips).reshape(-1, 2),
        branch_points=np.concatenate([*(part.branch_points for part in parts), np.array(landings).reshape(-1, 2)]),
        area_px=sum(part.area_px for part in parts),
    )
