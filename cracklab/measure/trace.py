"""From a mask to its cracks."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cracklab.errors import ConfigError, DataError
from cracklab.geometry.masks import Map, Mask, distance_to
from cracklab.measure.gaps import bridged
from cracklab.measure.graph import Floats, Net, Path, Points, at, paths
from cracklab.measure.lines import (
    SMOOTHING_PX,
    extended,
    principal_axis,
    resampled,
    smoothed,
    trimmed,
)
from cracklab.measure.measurement import Crack, Line, Measurement
from cracklab.measure.widths import widths

Discs = tuple[Points, Floats]
"""Centres and radii, px."""

HOLE_PX = 16
"""Holes of up to this area are faults of the mask, not islands between two cracks, px."""


def measure_mask(
    mask: NDArray[np.bool_], mm_per_px: float | None = None, bridge_px: float = 0.0, min_length_px: float = 0.0
) -> Measurement:
    """Centre lines and widths of every crack of a mask.

    A crack is a connected part of the mask, corners included. Its centre line is the skeleton without spurs, smoothed,
    and drawn to the mask's very ends; its widths are from areas and the exact distance map (`widths`).

    Args:
        mask: (H, W) bool.
        mm_per_px: scale of the photo, mm per px.
        bridge_px: cracks are one where a gap of at most this lies between them and both lead into it, px.
        min_length_px: cracks that are shorter, bridges included, are left out, px.

    Returns:
        The cracks, the longest first, with their figures.

    Raises:
        ConfigError: for a scale that is not positive, or a negative gap or length.
        DataError: for a mask that is not bool (H, W).
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise DataError(f"the mask is {mask.dtype} {mask.shape}: give bool (H, W), such as values > 0")
    if mm_per_px is not None and not 0 < mm_per_px < np.inf:
        raise ConfigError(f"the scale is {mm_per_px} mm per px: give a positive number")
    if not 0 <= bridge_px < np.inf:
        raise ConfigError(f"gaps of up to {bridge_px} px are to be bridged: give 0 or more")
    if not 0 <= min_length_px < np.inf:
        raise ConfigError(f"cracks shorter than {min_length_px} px are to be left out: give 0 or more")
    height, width = mask.shape
    cracks = bridged(_parts(filled(mask)), bridge_px)
    long_enough = [crack for crack in cracks if crack.length_px >= min_length_px]
    longest_first = sorted(long_enough, key=lambda crack: -crack.length_px)
    return Measurement(tuple(longest_first), height, width, mm_per_px)


def filled(mask: Mask) -> Mask:
    """The mask without holes of up to `HOLE_PX`."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(np.logical_not(mask).view(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] <= HOLE_PX
    small[0] = False  # the cracks themselves
    return np.asarray(mask | small[labels], np.bool_) if small.any() else mask


def _parts(mask: Mask) -> list[Crack]:
    """Every connected part of a mask as a crack."""
    count, labels = cv2.connectedComponents(np.ascontiguousarray(mask).view(np.uint8), connectivity=8)
    if count == 1:
        return []
    depth = distance_to(np.logical_not(mask))
    rows, columns = np.nonzero(mask)
    owner = labels[rows, columns]
    order = np.argsort(owner, kind="stable")
    pixels = np.stack([columns, rows], axis=1)[order].astype(np.float64)
    bounds = np.searchsorted(owner[order], np.arange(1, count + 1))
    found: list[list[Path]] = [[] for _ in range(count)]
    for path in paths(mask):
        x, y = path.points[0].astype(int)
        found[labels[y, x]].append(path)
    return [_crack(found[i], pixels[start:end], depth) for i, (start, end) in enumerate(pairwise(bounds), 1)]


def _crack(found: list[Path], pixels: Points, depth: Map) -> Crack:
    """A connected part of a mask, from the paths of its skeleton and its pixels."""
    net = Net(found)
    net.prune(depth)
    at_pixels = at(depth, pixels)
    kept = list(net.paths.values())
    if not kept or (len(kept) == 1 and kept[0].start != kept[0].end and kept[0].length <= 2 * at_pixels.max()):
        lines = [resampled(principal_axis(pixels))]
        tips, branch_points = lines[0][[0, -1]], np.empty((0, 2))
    else:
        lines, tips = _lines(net, pixels, depth)
        nodes = {path.start: path.points[0] for path in kept} | {path.end: path.points[-1] for path in kept}
        branch_points = np.array([xy for node, xy in nodes.items() if net.degree(node) > 2]).reshape(-1, 2)
    discs = branch_points, at(depth, branch_points)
    widths_px = widths(lines, pixels, at_pixels)
    clear = _clear(lines, widths_px, tips, discs)
    measured = tuple(Line(*figures) for figures in zip(lines, widths_px, clear, strict=True))
    return Crack(measured, np.empty((0, 2, 2)), tips, _merged(discs), len(pixels))


def _lines(net: Net, pixels: Points, depth: Map) -> tuple[list[Points], Points]:
    """Smooth centre lines of all paths, and the tips (T, 2)."""
    tree = cKDTree(pixels)
    lines, tips = [], []
    for path in net.paths.values():
        chain = path.points
        radii: list[float | None] = [None, None]
        for end, node in enumerate((path.start, path.end)):
            if net.degree(node) == 1:
                chain, radii[end] = trimmed(chain, at(depth, chain))
            chain = chain[::-1]
        sigma = max(SMOOTHING_PX, float(np.median(at(depth, path.points))))
        line = smoothed(chain, sigma)
        for radius in radii:
            if radius is not None:
                around = pixels[tree.query_ball_point(line[0], 8 * radius + 8)]
                line = extended(line, radius, around)
                tips.append(line[0])
            line = line[::-1]
        lines.append(resampled(line))
    return lines, np.array(tips).reshape(-1, 2)


def _clear(lines: list[Points], widths_px: list[Floats], tips: Points, discs: Discs) -> list[NDArray[np.bool_]]:
    """Which vertices lie outside of the discs inscribed at branch points, and more than half a width from a tip."""
    clear = np.ones(sum(map(len, lines)), bool)
    if len(discs[0]):
        tree = cKDTree(np.concatenate(lines))
        for centre, radius in zip(*discs, strict=True):
            clear[tree.query_ball_point(centre, radius + 1)] = False
    parts = np.split(clear, np.cumsum([len(line) for line in lines])[:-1])
    ends = {tuple(tip) for tip in tips}
    for line, width_px, part in zip(lines, widths_px, parts, strict=True):
        for end in (line[0], line[-1]):
            if tuple(end) in ends:
                part &= np.hypot(*(line - end).T) > np.median(width_px) / 2
    return parts


def _merged(discs: Discs) -> Points:
    """Branch points; of those inside of another's inscribed disc, the one with the largest."""
    points, radii = discs
    if not len(points):
        return points
    tree, kept = cKDTree(points), np.ones(len(points), bool)
    for i in np.argsort(-radii):
        if kept[i]:
            kept[tree.query_ball_point(points[i], radii[i])] = False
            kept[i] = True
    return points[kept]
