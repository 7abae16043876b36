"""Centre lines of a mask as paths between tips and branch points, without the spurs that rough edges make."""

import heapq
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from cracklab.geometry.masks import Map, Mask

Floats = NDArray[np.float64]
Points = NDArray[np.float64]
"""(N, 2): x and y, px, the centre of the top left pixel at (0, 0)."""

SPUR_PX = 3.0
"""A branch that stands out of its crack by less than this is roughness of the edge, however thin the crack, px."""


def at(depth: Map, points: Points) -> Floats:
    """Values of a map at the pixels (N, 2)."""
    columns, rows = points.astype(int).T
    return np.asarray(depth[rows, columns], np.float64)


class Path(NamedTuple):
    """A chain of pixels between two nodes; a node is a tip, a branch point, or the seam of a closed line."""

    start: int
    end: int
    points: Points

    @property
    def length(self) -> float:
        """Length of the chain of pixel centres, px."""
        return float(np.hypot(*np.diff(self.points, axis=0).T).sum())

    def backwards(self) -> "Path":
        """The same path from its end to its start."""
        return Path(self.end, self.start, self.points[::-1])


def paths(mask: Mask) -> list[Path]:
    """The skeleton of a mask (Lee 1994) as paths; isolated pixels have none.

    Not that of Zhang and Suen (1984), which eats strips at 45 degrees from both ends, up to the whole of them.
    """
    from skan import Skeleton  # its compiler takes seconds to import

    line = np.asarray(skeletonize(mask, method="lee"), np.bool_)  # type: ignore[no-untyped-call]  # no types
    if np.count_nonzero(line) < 2:
        return []
    skeleton = Skeleton(line, keep_images=False)
    pixels = skeleton.coordinates[:, ::-1].astype(np.float64)
    chains = (skeleton.path(i) for i in range(skeleton.n_paths))
    return [Path(int(chain[0]), int(chain[-1]), pixels[chain]) for chain in chains if len(chain) > 1]


class Net:
    """Paths and the nodes that they meet at; a node where two paths meet is dissolved as soon as others leave it."""

    def __init__(self, found: Iterable[Path]) -> None:
        self.paths: dict[int, Path] = {}
        self.at: defaultdict[int, list[int]] = defaultdict(list)
        self._next = 0
        for path in found:
            self.add(path)

    def add(self, path: Path) -> int:
        """Add a path; returns its key."""
        key, self._next = self._next, self._next + 1
        self.paths[key] = path
        self.at[path.start].append(key)
        self.at[path.end].append(key)
        return key

    def remove(self, key: int) -> Path:
        """Take a path out."""
        path = self.paths.pop(key)
        self.at[path.start].remove(key)
        self.at[path.end].remove(key)
        return path

    def degree(self, node: int) -> int:
        """How many ends of paths meet at a node."""
        return len(self.at[node])

    def dissolve(self, node: int) -> int | None:
        """Make one path of the two that meet at a node; returns its key, or None where there are not two."""
        if self.degree(node) != 2 or self.at[node][0] == self.at[node][1]:
            return None
        first, second = (self.remove(key) for key in tuple(self.at[node]))
        first = first if first.end == node else first.backwards()
        second = second if second.start == node else second.backwards()
        return self.add(Path(first.start, second.end, np.concatenate([first.points, second.points[1:]])))

    def prune(self, depth: Map) -> None:
        """Remove spurs, the shortest first, so that of a fork at a crack's end one prong stays.

        A spur is a path from a branch point to a tip whose inscribed discs reach out of the one at the branch point by
        less than `SPUR_PX` or that one's radius. (The prongs towards the corners of a square end reach out by 0.41 of it.)

        Args:
            depth: (H, W), distance to the nearest pixel outside of the mask, px.
        """
        waiting = [(path.length, key) for key, path in self.paths.items()]
        heapq.heapify(waiting)
        while waiting:
            _, key = heapq.heappop(waiting)
            if key not in self.paths:
                continue
            path = self.paths[key]
            if self.degree(path.start) < self.degree(path.end):
                path = path.backwards()
            if self.degree(path.end) != 1 or self.degree(path.start) < 3:
                continue
            radii = at(depth, path.points)
            along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path.points, axis=0).T))])
            if (along + radii).max() - radii[0] < max(SPUR_PX, radii[0]):
                self.remove(key)
                merged = self.dissolve(path.start)
                if merged is not None:
                    heapq.heappush(waiting, (self.paths[merged].length, merged))
