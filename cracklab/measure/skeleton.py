"""The skeleton of a crack: thinned by distance, and traced as branches between tips and branch points."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cracklab.geometry.distance_transform import compiled
from cracklab.geometry.masks import Map
from cracklab.measure.lines import Points

NEIGHBOURS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Rows down and columns to the right of the eight neighbours, anticlockwise from the right one."""


class Branch(NamedTuple):
    """A chain of pixels between two nodes; a node is a tip, a branch point, or the seam of a closed line.

    Example:
        >>> Branch(7, 9, np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 1.0]])).backwards().points.tolist()
        [[2.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    """

    start: int
    end: int
    points: Points

    @property
    def length(self) -> float:
        """Length of the chain of pixel centres, px."""
        return float(np.hypot(*np.diff(self.points, axis=0).T).sum())

    def backwards(self) -> "Branch":
        """Return the branch from its end to its start."""
        return Branch(self.end, self.start, self.points[::-1])


def skeleton_branches(depth: Map) -> list[Branch]:
    """Return the branches of the skeleton of a crack; a single pixel has none.

    Pixels are removed in layers of increasing depth, 1 px each, from the four sides in turn, if they are simple (their
    removal changes no connection and no hole) and have more than one neighbour. So the skeleton follows the ridge of the
    distance map.

    Args:
        depth: (H, W), distance to the nearest pixel outside of the crack, px; 0 outside, and along the border.

    Example:
        >>> depth = np.zeros((5, 11), np.float32)
        >>> depth[1:4, 1:10], depth[2, 2:9] = 1, 2  # 9 x 3 pixels
        >>> (branch,) = skeleton_branches(depth)
        >>> branch.points[[0, -1]].tolist()
        [[2.0, 2.0], [8.0, 2.0]]
    """
    width = depth.shape[1]
    image = (depth > 0).ravel().view(np.uint8)
    pixels = np.flatnonzero(image)
    layer = np.ceil(depth.ravel()[pixels])
    order = np.argsort(layer, kind="stable")
    steps = np.array([down * width + right for down, right in NEIGHBOURS])
    _thin(image, pixels[order], np.flatnonzero(np.diff(layer[order], append=np.inf)) + 1, steps, REMOVABLE)
    pixels = pixels[image[pixels] > 0]
    near = image[pixels[:, None] + steps] > 0
    near[:, 1::2] &= ~near[:, ::2] & ~np.roll(near, -2, axis=1)[:, ::2]  # no diagonal beside a way around the corner
    links, is_node = np.zeros(len(image), np.uint8), np.zeros(len(image), np.bool_)
    links[pixels], is_node[pixels] = near @ (1 << np.arange(8)), near.sum(axis=1) != 2
    starts = np.concatenate(
        [pixels[is_node[pixels]], pixels[~is_node[pixels]]]
    )  # pixels that no node reaches form rings
    chains, ends = np.empty(5 * len(pixels), np.int64), np.zeros(2 * len(pixels) + 1, np.int64)
    _trace(links, is_node, starts, steps, chains, ends)
    points = np.stack([chains % width, chains // width], axis=1).astype(np.float64)
    parts = pairwise([0, *ends[: np.count_nonzero(ends)].tolist()])
    return [Branch(int(chains[first]), int(chains[end - 1]), points[first:end]) for first, end in parts]


def _removable() -> NDArray[np.bool_]:
    """Return, for each of the 256 neighbourhoods, whether a pixel with it is simple and has several neighbours."""
    near = (np.arange(256)[:, None] >> np.arange(8)) & 1  # (256, 8), in the order of NEIGHBOURS
    ahead = np.roll(near, -1, axis=1), np.roll(near, -2, axis=1)
    # Yokoi's number of 8-connected parts, from the four sides; it is 1 if and only if the pixel is simple
    parts = ((1 - near) * (1 - (1 - ahead[0]) * (1 - ahead[1])))[:, ::2].sum(axis=1)
    return np.asarray((parts == 1) & (near.sum(axis=1) > 1))


REMOVABLE = _removable()


@compiled
def _thin(
    image: NDArray[np.uint8],
    pixels: NDArray[np.int64],
    layers: NDArray[np.int64],
    steps: NDArray[np.int64],
    removable: NDArray[np.bool_],
) -> None:
    """Remove pixels of a flat image, in place; `layers` are the ends of the layers in `pixels`."""
    active, marked = np.empty_like(pixels), np.empty_like(pixels)
    count, first = 0, 0
    for end in layers:
        for i in range(first, end):
            active[count] = pixels[i]
            count += 1
        first = end
        changed = True
        while changed:
            changed = False
            for side in range(0, 8, 2):
                found = 0
                for i in range(count):
                    if image[active[i] + steps[side]] == 0:
                        marked[found] = active[i]
                        found += 1
                for i in range(found):
                    p, code = marked[i], np.int64(0)
                    for k in range(8):
                        code |= np.int64(image[p + steps[k]]) << k
                    if removable[code]:
                        image[p] = 0
                        changed = True
                kept = 0
                for i in range(count):
                    if image[active[i]]:
                        active[kept] = active[i]
                        kept += 1
                count = kept


@compiled
def _trace(
    links: NDArray[np.uint8],
    is_node: NDArray[np.bool_],
    starts: NDArray[np.int64],
    steps: NDArray[np.int64],
    chains: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> None:
    """Write the chains of pixels between nodes one after the other.

    Args:
        links: flat image, a bit for each linked neighbour; removed on the way.
        is_node: flat image.
        starts: pixels of the skeleton, nodes first.
        steps: to the neighbours.
        chains: pixels of all chains.
        ends: of the chains in `chains`; the rest stays 0.
    """
    place, count = 0, 0
    for start in starts:
        for first in range(8):
            if not links[start] >> first & 1:
                continue
            p, way = start, first
            chains[place] = p
            place += 1
            while True:
                links[p] &= ~np.uint8(1 << way)
                p += steps[way]
                links[p] &= ~np.uint8(1 << ((way + 4) % 8))
                chains[place] = p
                place += 1
                if is_node[p] or p == start:
                    break
                way = 0
                while not links[p] >> way & 1:
                    way += 1
            ends[count] = place
            count += 1
