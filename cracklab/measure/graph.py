"""The skeleton of a mask as a graph: branches between tips and branch points, without the spurs of rough edges."""

import heapq
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from cracklab.geometry.masks import Map
from cracklab.measure.lines import Floats, Points, arc_length
from cracklab.measure.skeleton import Branch

SPUR_PX = 3.0
"""A branch that extends beyond its crack by less than this is roughness of the edge, however thin the crack, px."""


def values_at(map: Map, points: Points) -> Floats:
    """Return the values of a map (H, W) at pixels (N, 2).

    Example:
        >>> values_at(np.array([[1, 2, 3], [4, 5, 6]], np.float32), np.array([[2.0, 0.0], [0.0, 1.0]]))
        array([3., 4.])
    """
    columns, rows = points.astype(int).T
    return np.asarray(map[rows, columns], np.float64)


class SkeletonGraph:
    """Branches by key, and the nodes where they meet. A node is dissolved when only two branches are left there.

    Example:
        >>> stem = Branch(0, 1, np.array([[0.0, 5.0], [5.0, 5.0]]))
        >>> left = Branch(1, 2, np.array([[5.0, 5.0], [9.0, 1.0]]))
        >>> right = Branch(1, 3, np.array([[5.0, 5.0], [9.0, 9.0]]))
        >>> graph = SkeletonGraph([stem, left, right])
        >>> graph.degree(1)
        3
        >>> graph.remove(2).end
        3
        >>> graph.branches[graph.dissolve(1)].points.tolist()
        [[0.0, 5.0], [5.0, 5.0], [9.0, 1.0]]
    """

    def __init__(self, branches: Iterable[Branch]) -> None:
        self.branches: dict[int, Branch] = {}
        self.at_node: defaultdict[int, list[int]] = defaultdict(list)
        self._next = 0
        for branch in branches:
            self.add(branch)

    def add(self, branch: Branch) -> int:
        """Add a branch and return its key."""
        key, self._next = self._next, self._next + 1
        self.branches[key] = branch
        self.at_node[branch.start].append(key)
        self.at_node[branch.end].append(key)
        return key

    def remove(self, key: int) -> Branch:
        """Remove a branch and return it."""
        branch = self.branches.pop(key)
        self.at_node[branch.start].remove(key)
        self.at_node[branch.end].remove(key)
        return branch

    def degree(self, node: int) -> int:
        """Return the number of ends of branches at a node."""
        return len(self.at_node[node])

    def dissolve(self, node: int) -> int | None:
        """Merge the two branches of a node and return the key of the merged one; None if there are not just two."""
        if self.degree(node) != 2 or self.at_node[node][0] == self.at_node[node][1]:
            return None
        first, second = (self.remove(key) for key in tuple(self.at_node[node]))
        first = first if first.end == node else first.backwards()
        second = second if second.start == node else second.backwards()
        return self.add(Branch(first.start, second.end, np.concatenate([first.points, second.points[1:]])))

    def prune(self, depth: Map) -> None:
        """Remove spurs, the shortest first, so that one prong of a fork at a crack's end is kept.

        A spur is a branch from a branch point to a tip. Its inscribed discs extend beyond the disc of the branch point by
        less than `SPUR_PX` or the radius of that disc. (The prongs towards the corners of a square end extend by 0.41 of
        the radius.)

        Args:
            depth: (H, W), distance to the nearest pixel outside of the mask, px.
        """
        waiting = [(branch.length, key) for key, branch in self.branches.items()]
        heapq.heapify(waiting)
        while waiting:
            _, key = heapq.heappop(waiting)
            if key not in self.branches:
                continue
            branch = self.branches[key]
            if self.degree(branch.start) < self.degree(branch.end):
                branch = branch.backwards()
            if self.degree(branch.end) != 1 or self.degree(branch.start) < 3:
                continue
            radii = values_at(depth, branch.points)
            extent = (arc_length(branch.points) + radii).max() - radii[0]
            if extent < max(SPUR_PX, radii[0]):
                self.remove(key)
                merged = self.dissolve(branch.start)
                if merged is not None:
                    heapq.heappush(waiting, (self.branches[merged].length, merged))
