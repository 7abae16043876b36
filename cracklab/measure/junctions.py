"""Branch points, moved to where the centre lines meet if these meet at an acute angle.

The skeleton of two cracks that meet at an acute angle is a single line as far as the cracks overlap: its branch point is up to
half a width / sin(angle / 2) away from where their centre lines meet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cracklab.geometry.masks import Map
from cracklab.measure.centring import sample
from cracklab.measure.graph import SkeletonGraph, values_at
from cracklab.measure.lines import Floats, Points, arc_length

MIN_DEG, MAX_DEG = 8.0, 75.0
"""Branch points move for angles between these, degrees: nearly parallel lines meet too far away to tell where, and at
wider angles the branch point of the skeleton is right."""
FIT_PX = 12.0
"""The direction of a line is that of at least `FIT_PX` px, and of at least `FIT` radii of the branch point's disc."""
FIT = 6.0


@dataclass
class Junction:
    """A branch point.

    Attributes:
        xy: (2,), px.
        radius: of the disc inscribed at the branch point of the skeleton, px.
        zone: widths of lines do not count within this distance, px.
        is_moved: whether the point has been moved to where two lines meet.

    Example:
        >>> Junction(np.array([5.0, 7.0]), radius=3.0, zone=4.0).is_moved
        False
    """

    xy: Floats
    radius: float
    zone: float
    is_moved: bool = False


def place_junctions(graph: SkeletonGraph, lines: dict[int, Points], depth: Map) -> list[Junction]:
    """Return the branch points of a graph, and move those at acute angles.

    Where two cracks cross at an acute angle, both branch points move to the crossing, and the line between them is removed.

    Args:
        graph: of the skeleton; branches between merged branch points are removed.
        lines: centre line of every branch, by its key; lines at moved branch points are changed.
        depth: (H, W), distance to the nearest pixel outside of the crack, px.

    Example:
        >>> from cracklab.measure.skeleton import Branch
        >>> depth = np.full((100, 100), 4, np.float32)
        >>> stem = np.stack([np.arange(10.0, 41.0), np.full(31, 50.0)], axis=1)
        >>> x = np.arange(45.0, 80.0)  # lines from (30, 50), which separate at (40, 50)
        >>> arms = [np.concatenate([stem[-1:], np.stack([x, 50 + side * (x - 30) / 4], axis=1)]) for side in (-1, 1)]
        >>> lines = dict(enumerate([stem, *arms]))
        >>> graph = SkeletonGraph([Branch(0, 1, stem), Branch(1, 2, arms[0]), Branch(1, 3, arms[1])])
        >>> (junction,) = place_junctions(graph, lines, depth)
        >>> junction.is_moved, junction.xy.round(2).tolist(), [line[0].round().tolist() for line in lines.values()]
        (True, [30.0, 50.0], [[10.0, 50.0], [30.0, 50.0], [30.0, 50.0]])
    """
    junctions: dict[int, Junction] = {}
    for branch in graph.branches.values():
        for node, xy in ((branch.start, branch.points[0]), (branch.end, branch.points[-1])):
            if graph.degree(node) > 2 and node not in junctions:
                radius = float(values_at(depth, xy[None])[0])
                junctions[node] = Junction(xy, radius, radius + 1)
    for node in junctions:
        if len(set(graph.at_node[node])) == 3:
            _move(graph, node, junctions, lines, depth)
    for key in [key for key, branch in graph.branches.items() if branch.start != branch.end]:
        _merge_ends(graph, key, junctions, lines)
    return list(junctions.values())


def _outwards(graph: SkeletonGraph, key: int, node: int, line: Points) -> Points:
    """Return the line of a branch with the end at a node first; of a line so turned, the line of the branch."""
    return line if graph.branches[key].start == node else line[::-1]


def _move(
    graph: SkeletonGraph, node: int, junctions: Mapping[int, Junction], lines: dict[int, Points], depth: Map
) -> None:
    """Move a branch point of three branches to where the two lines at the most acute angle meet."""
    junction = junctions[node]
    arms = {key: _outwards(graph, key, node, lines[key]) for key in graph.at_node[node]}
    start = junction.radius + 1
    acute = _most_acute(arms, start, max(FIT_PX, FIT * junction.radius))
    if acute is None:
        return
    pair, xy, angle_deg = acute
    away = float(np.hypot(*(xy - junction.xy)))
    if away > junction.radius / np.sin(np.radians(angle_deg / 2)):
        return
    moved = {}
    for key in pair:
        rest = arms[key][arc_length(arms[key]) >= start]
        way = np.linspace(xy, rest[0], 2 + int(np.hypot(*(rest[0] - xy))))
        if not (sample(depth, way) >= 0.5).all():
            return
        moved[key] = np.concatenate([xy[None], rest])
    (stem_key,) = arms.keys() - set(pair)
    stem, branch = arms[stem_key], graph.branches[stem_key]
    apart = np.where(arc_length(stem) <= 2 * away + 2, np.hypot(*(stem - xy).T), np.inf)
    near = int(apart.argmin())
    tolerance = junction.radius
    if near == len(stem) - 1:
        other = junctions.get(branch.end if branch.start == node else branch.start)
        if other is None:  # a tip
            return
        if other.is_moved:
            tolerance = _same_place(other.radius + junction.radius, other.zone + away + start)
    if apart[near] > tolerance:
        return
    moved[stem_key] = np.concatenate([xy[None], stem[min(near + 1, len(stem) - 1) :]])
    lines.update({key: _outwards(graph, key, node, line) for key, line in moved.items()})
    junction.xy, junction.zone, junction.is_moved = xy, away + start, True


def _most_acute(
    arms: Mapping[int, Points], start: float, length: float
) -> tuple[tuple[int, int], Floats, float] | None:
    """Return the two arms at the most acute angle, where they meet if extended backwards, and the angle, degrees.

    None if no angle is acute, or if these arms do not meet behind the place where they start.

    Args:
        arms: from the branch point outwards, by key.
        start: distance along the arms from where on they are straight, px.
        length: of the part that is taken for the direction, px.
    """
    middles, directions = {}, {}
    for key, line in arms.items():
        along = arc_length(line)
        part = line[(along >= start) & (along <= start + length)]
        if len(part) >= 5:
            middles[key] = part.mean(axis=0)
            axis = np.linalg.svd(part - middles[key], full_matrices=False)[2][0]
            directions[key] = axis * np.sign(axis @ (part[-1] - part[0]))
    angles = {
        (a, b): float(np.degrees(np.arccos(np.clip(directions[a] @ directions[b], -1, 1))))
        for a, b in combinations(directions, 2)
    }
    pair = min(angles, key=lambda pair: angles[pair], default=None)
    if pair is None or not MIN_DEG < angles[pair] < MAX_DEG:
        return None
    (p, q), (u, v) = (middles[key] for key in pair), (directions[key] for key in pair)
    back = np.linalg.solve(np.stack([u, -v], axis=1), q - p)  # p + back[0] u = q + back[1] v
    xy = p + back[0] * u
    origin = next(iter(arms.values()))[0]
    return (pair, xy, angles[pair]) if (origin - xy) @ (u + v) > 0 else None


def _same_place(radii: float, zones: float) -> float:
    """Return up to what distance two moved branch points are the same crossing, from the sums of their sizes, px."""
    return max(radii, zones / 4)


def _merge_ends(graph: SkeletonGraph, key: int, junctions: Mapping[int, Junction], lines: dict[int, Points]) -> None:
    """Merge the branch points at both ends of a branch, and remove it, if both have moved to about the same place."""
    branch = graph.branches[key]
    first, last = junctions.get(branch.start), junctions.get(branch.end)
    if first is None or last is None or not (first.is_moved and last.is_moved):
        return
    if np.hypot(*(last.xy - first.xy)) > _same_place(first.radius + last.radius, first.zone + last.zone):
        return
    middle = (first.xy + last.xy) / 2
    for node, junction in ((branch.start, first), (branch.end, last)):
        junction.xy = middle
        for other in set(graph.at_node[node]) - {key}:
            line = _outwards(graph, other, node, lines[other]).copy()
            line[0] = middle
            lines[other] = _outwards(graph, other, node, line)
    graph.remove(key)
    del lines[key]
