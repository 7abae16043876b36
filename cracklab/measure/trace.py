"""From a mask to its cracks: skeleton, centre lines, widths."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cracklab.errors import ConfigError, DataError
from cracklab.geometry.masks import Map, Mask, distance_to
from cracklab.measure.gaps import bridge_gaps
from cracklab.measure.graph import Branch, SkeletonGraph, skeleton_branches, values_at
from cracklab.measure.lines import (
    MIN_SIGMA_PX,
    Floats,
    Points,
    extend_to_end,
    principal_axis,
    resample,
    smooth,
    trim_end,
)
from cracklab.measure.measurement import Crack, Line, Measurement
from cracklab.measure.widths import line_widths

Discs = tuple[Points, Floats]
"""Centres and radii, px."""

HOLE_PX = 16
"""Holes of up to this area are errors of the mask, not islands between two cracks, px."""


def measure_mask(
    mask: NDArray[np.bool_], mm_per_px: float | None = None, bridge_px: float = 0.0, min_length_px: float = 0.0
) -> Measurement:
    """Measure the centre lines and widths of all cracks of a mask.

    A crack is an 8-connected part of the mask. Its centre line is the skeleton without spurs, smoothed, and extended to
    the ends of the mask. Its widths are computed from areas and the exact distance map, see `line_widths`.

    Args:
        mask: (H, W) bool.
        mm_per_px: scale of the photo, mm per px.
        bridge_px: maximum gap over which two cracks are joined if both lead into it, px.
        min_length_px: shorter cracks are ignored; bridges count as length, px.

    Returns:
        The cracks, the longest first.

    Raises:
        ConfigError: for a scale that is not positive, or a negative gap or length.
        DataError: for a mask that is not bool (H, W).

    Example:
        >>> mask = np.zeros((40, 60), bool)
        >>> mask[10:13, 5:55] = True  # 50 px long, 3 px wide
        >>> summary = measure_mask(mask, mm_per_px=0.2).summary()
        >>> [round(summary[name]) for name in ("length_px", "length_mm", "width_p50_px")]
        [50, 10, 3]
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise DataError(f"the mask is {mask.dtype} {mask.shape}: give bool (H, W), such as values > 0")
    if mm_per_px is not None and not 0 < mm_per_px < np.inf:
        raise ConfigError(f"the scale is {mm_per_px} mm per px: give a positive number")
    if not 0 <= bridge_px < np.inf:
        raise ConfigError(f"the largest gap to bridge is {bridge_px} px: give 0 or more")
    if not 0 <= min_length_px < np.inf:
        raise ConfigError(f"the minimum length of a crack is {min_length_px} px: give 0 or more")
    height, width = mask.shape
    cracks = bridge_gaps(_trace_parts(fill_small_holes(mask)), bridge_px)
    long_enough = [crack for crack in cracks if crack.length_px >= min_length_px]
    longest_first = sorted(long_enough, key=lambda crack: -crack.length_px)
    return Measurement(tuple(longest_first), height, width, mm_per_px)


def fill_small_holes(mask: Mask) -> Mask:
    """Return the mask without holes of up to `HOLE_PX`.

    Example:
        >>> mask = np.ones((12, 12), bool)
        >>> mask[2:4, 2:4] = mask[5:10, 5:10] = False
        >>> int((~mask).sum()), int((~fill_small_holes(mask)).sum())  # 4 + 25 px
        (29, 25)
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(np.logical_not(mask).view(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] <= HOLE_PX
    small[0] = False  # the label of the cracks
    return np.asarray(mask | small[labels], np.bool_) if small.any() else mask


def _trace_parts(mask: Mask) -> list[Crack]:
    """Return every connected part of a mask as a crack."""
    count, labels = cv2.connectedComponents(np.ascontiguousarray(mask).view(np.uint8), connectivity=8)
    if count == 1:
        return []
    depth = distance_to(np.logical_not(mask))
    rows, columns = np.nonzero(mask)
    part_of = labels[rows, columns]
    order = np.argsort(part_of, kind="stable")
    pixels = np.stack([columns, rows], axis=1)[order].astype(np.float64)
    bounds = np.searchsorted(part_of[order], np.arange(1, count + 1))
    branches: list[list[Branch]] = [[] for _ in range(count)]
    for branch in skeleton_branches(mask):
        x, y = branch.points[0].astype(int)
        branches[labels[y, x]].append(branch)
    return [_trace_part(branches[i], pixels[start:end], depth) for i, (start, end) in enumerate(pairwise(bounds), 1)]


def _trace_part(branches: list[Branch], pixels: Points, depth: Map) -> Crack:
    """Return a connected part of a mask as a crack.

    Args:
        branches: of the part's skeleton.
        pixels: (M, 2), of the part.
        depth: (H, W), distance to the nearest pixel outside of the mask, px.
    """
    graph = SkeletonGraph(branches)
    graph.prune(depth)
    depth_of_pixels = values_at(depth, pixels)
    kept = list(graph.branches.values())
    is_patch = not kept or (
        len(kept) == 1 and kept[0].start != kept[0].end and kept[0].length <= 2 * depth_of_pixels.max()
    )
    if is_patch:
        lines = [resample(principal_axis(pixels))]
        tips, branch_points = lines[0][[0, -1]], np.empty((0, 2))
    else:
        lines, tips = _centre_lines(graph, pixels, depth)
        nodes = {branch.start: branch.points[0] for branch in kept} | {branch.end: branch.points[-1] for branch in kept}
        branch_points = np.array([xy for node, xy in nodes.items() if graph.degree(node) > 2]).reshape(-1, 2)
    discs = branch_points, values_at(depth, branch_points)
    widths = line_widths(lines, pixels, depth_of_pixels)
    valid = _valid_widths(lines, widths, tips, discs)
    measured = tuple(Line(*values) for values in zip(lines, widths, valid, strict=True))
    return Crack(measured, np.empty((0, 2, 2)), tips, _distinct(discs), len(pixels))


def _centre_lines(graph: SkeletonGraph, pixels: Points, depth: Map) -> tuple[list[Points], Points]:
    """Return smooth centre lines of all branches, and the tips (T, 2)."""
    tree = cKDTree(pixels)
    lines, tips = [], []
    for branch in graph.branches.values():
        chain = branch.points
        radii: list[float | None] = [None, None]
        for end, node in enumerate((branch.start, branch.end)):
            if graph.degree(node) == 1:
                chain, radii[end] = trim_end(chain, values_at(depth, chain))
            chain = chain[::-1]
        sigma = max(MIN_SIGMA_PX, float(np.median(values_at(depth, branch.points))))
        line = smooth(chain, sigma)
        for radius in radii:
            if radius is not None:
                around = pixels[tree.query_ball_point(line[0], 8 * radius + 8)]
                line = extend_to_end(line, radius, around)
                tips.append(line[0])
            line = line[::-1]
        lines.append(resample(line))
    return lines, np.array(tips).reshape(-1, 2)


def _valid_widths(lines: list[Points], widths: list[Floats], tips: Points, discs: Discs) -> list[NDArray[np.bool_]]:
    """Return which vertices are outside of the discs inscribed at branch points, and over half a width from a tip."""
    valid = np.ones(sum(map(len, lines)), bool)
    if len(discs[0]):
        tree = cKDTree(np.concatenate(lines))
        for centre, radius in zip(*discs, strict=True):
            valid[tree.query_ball_point(centre, radius + 1)] = False
    parts = np.split(valid, np.cumsum([len(line) for line in lines])[:-1])
    ends = {tuple(tip) for tip in tips}
    for line, width, part in zip(lines, widths, parts, strict=True):
        for end in (line[0], line[-1]):
            if tuple(end) in ends:
                part &= np.hypot(*(line - end).T) > np.median(width) / 2
    return parts


def _distinct(discs: Discs) -> Points:
    """Return the branch points (B, 2); of those inside of another's inscribed disc, the one with the largest disc."""
    points, radii = discs
    if not len(points):
        return points
    tree, kept = cKDTree(points), np.ones(len(points), bool)
    for i in np.argsort(-radii):
        if kept[i]:
            kept[tree.query_ball_point(points[i], radii[i])] = False
            kept[i] = True
    return points[kept]
