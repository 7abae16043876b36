"""From a mask to its cracks: skeleton, centre lines, widths."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cracklab.errors import ConfigError, DataError
from cracklab.geometry.masks import Mask, distance_to
from cracklab.measure.centring import centre_line, sigma_of
from cracklab.measure.ends import extend_to_end, trim_end
from cracklab.measure.gaps import bridge_gaps
from cracklab.measure.graph import SkeletonGraph, values_at
from cracklab.measure.junctions import Junction, place_junctions
from cracklab.measure.lines import Floats, Points, principal_axis
from cracklab.measure.measurement import Crack, Line, Measurement
from cracklab.measure.skeleton import Branch, skeleton_branches
from cracklab.measure.smoothing import resample
from cracklab.measure.symmetry import Pixels, canonical_orientation, is_isotropic
from cracklab.measure.widths import line_widths

HOLE_PX = 16
"""Holes of up to this area are errors of the mask, not islands between two cracks, px."""
SAME_PX = 1.0
"""Branch points this close to the disc inscribed at another one are the same: where thin cracks cross, the skeleton has two."""


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
    cracks = bridge_gaps([_trace_part(*part) for part in _connected_parts(fill_small_holes(mask))], bridge_px)
    long_enough = [crack for crack in cracks if crack.length_px >= min_length_px]
    longest_first = sorted(long_enough, key=lambda crack: -crack.length_px)
    short = [crack.length_px for crack in cracks if crack.length_px < min_length_px]
    return Measurement(tuple(longest_first), height, width, mm_per_px, min_length_px, len(short), float(sum(short)))


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


def _connected_parts(mask: Mask) -> list[tuple[Pixels, Floats]]:
    """Return the pixels (M, 2) of every connected part of a mask, and their distance to the nearest pixel outside (M,), px."""
    count, labels = cv2.connectedComponents(np.ascontiguousarray(mask).view(np.uint8), connectivity=8)
    if count == 1:
        return []
    depth = distance_to(np.logical_not(mask))
    rows, columns = np.nonzero(mask)
    part_of = labels[rows, columns]
    order = np.argsort(part_of, kind="stable")
    pixels = np.stack([columns, rows], axis=1)[order]
    depths = depth[rows, columns][order].astype(np.float64)
    bounds = np.searchsorted(part_of[order], np.arange(1, count + 1))
    return [(pixels[first:last], depths[first:last]) for first, last in pairwise(bounds)]


def _trace_part(pixels: Pixels, depths: Floats) -> Crack:
    """Return a connected part of a mask as a crack, in the same way for its mirror images and rotations by 90 degrees.

    Args:
        pixels: (M, 2), of the part.
        depths: (M,), distance of each to the nearest pixel outside of the mask, px.
    """
    orientation = canonical_orientation(pixels)
    turned = orientation.apply(pixels) + 1  # a border of one pixel
    width, height = turned.max(axis=0) + 2
    order = np.argsort(turned[:, 1] * width + turned[:, 0])
    crack = _trace_canonical(turned[order], depths[order], (int(height), int(width)))
    return Crack(
        lines=tuple(replace(line, points=orientation.undo(line.points - 1)) for line in crack.lines),
        gaps=crack.gaps,
        tips=orientation.undo(crack.tips - 1),
        branch_points=orientation.undo(crack.branch_points - 1),
        area_px=crack.area_px,
    )


def _trace_canonical(pixels: Pixels, depths: Floats, shape: tuple[int, int]) -> Crack:
    """Return the pixels of a part, in its canonical orientation and in raster order, as a crack."""
    depth = np.zeros(shape, np.float32)
    depth[pixels[:, 1], pixels[:, 0]] = depths
    graph = SkeletonGraph(skeleton_branches(depth))
    graph.prune(depth)
    branches, junctions = list(graph.branches.values()), list[Junction]()
    points = pixels.astype(np.float64)
    is_patch = not branches or (len(branches) == 1 and _is_patch(branches[0], depths))
    if is_patch:
        lines = [resample(principal_axis(points))]
        tips = lines[0][[0, -1]]
    else:
        lines, tips, junctions = _centre_lines(graph, depth)
    widths = line_widths(lines, points, depths)
    valid = _valid_widths(lines, widths, tips, junctions)
    isotropic = is_patch and is_isotropic(pixels)
    measured = tuple(Line(*values, isotropic) for values in zip(lines, widths, valid, strict=True))
    return Crack(measured, np.empty((0, 2, 2)), tips, _distinct(junctions), len(pixels))


def _is_patch(branch: Branch, depths: Floats) -> bool:
    """Return whether the only branch of a part is no longer than the part is wide."""
    return branch.start != branch.end and branch.length <= 2 * depths.max()


def _centre_lines(graph: SkeletonGraph, depth: NDArray[np.float32]) -> tuple[list[Points], Points, list[Junction]]:
    """Return the centre lines of all branches, the tips (T, 2) and the branch points."""
    lines: dict[int, Points] = {}
    radii: dict[int, list[float | None]] = {}
    for key, branch in graph.branches.items():
        chain, radii[key] = branch.points, [None, None]
        for end, node in enumerate((branch.start, branch.end)):
            if graph.degree(node) == 1:
                chain, radii[key][end] = trim_end(chain, values_at(depth, chain))
            chain = chain[::-1]
        sigma = sigma_of(float(np.median(values_at(depth, branch.points))))
        lines[key] = centre_line(chain, depth, sigma, (radii[key][0] is None, radii[key][1] is None))
    junctions = place_junctions(graph, lines, depth)
    tips = []
    for key, line in lines.items():
        for radius in radii[key]:
            if radius is not None:
                line = extend_to_end(line, radius, depth)
                tips.append(line[0])
            line = line[::-1]
        lines[key] = resample(line)
    return list(lines.values()), np.array(tips).reshape(-1, 2), junctions


def _valid_widths(
    lines: list[Points], widths: list[Floats], tips: Points, junctions: list[Junction]
) -> list[NDArray[np.bool_]]:
    """Return which vertices are outside of the zones of branch points, and over half a width from a tip."""
    valid = np.ones(sum(map(len, lines)), bool)
    if junctions:
        tree = cKDTree(np.concatenate(lines))
        for junction in junctions:
            valid[tree.query_ball_point(junction.xy, junction.zone)] = False
    parts = np.split(valid, np.cumsum([len(line) for line in lines])[:-1])
    ends = {tuple(tip) for tip in tips}
    for line, width, part in zip(lines, widths, parts, strict=True):
        for end in (line[0], line[-1]):
            if tuple(end) in ends:
                part &= np.hypot(*(line - end).T) > np.median(width) / 2
    return parts


def _distinct(junctions: list[Junction]) -> Points:
    """Return the branch points (B, 2); of those within `SAME_PX` of another's inscribed disc, the one with the largest disc."""
    if not junctions:
        return np.empty((0, 2))
    points, radii = np.array([one.xy for one in junctions]), np.array([one.radius for one in junctions])
    tree, kept = cKDTree(points), np.ones(len(points), bool)
    for i in np.argsort(-radii, kind="stable"):
        if kept[i]:
            kept[tree.query_ball_point(points[i], radii[i] + SAME_PX)] = False
            kept[i] = True
    return points[kept]
