"""Oracles of the target maps: their definitions, with SciPy."""

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

CROSS = ndimage.generate_binary_structure(2, 1)


def reference_maps(mask, valid=None):
    """Return the target maps of (B, C, H, W) masks; 0 where `valid` is 0."""
    found = [
        [
            one_map(mask[b, c] > 0, np.ones(mask.shape[2:], bool) if valid is None else valid[b, 0] > 0)
            for c in range(len(mask[b]))
        ]
        for b in range(len(mask))
    ]
    maps = {name: np.array([[one[name] for one in image] for image in found]) for name in found[0][0]}
    return {name: values if valid is None else values * (valid > 0) for name, values in maps.items()}


def distance_to(where):
    return ndimage.distance_transform_edt(~where) if where.any() else np.full(where.shape, np.hypot(*where.shape))


def one_map(mask, ok):
    """Return the target maps of one (H, W) mask."""
    inside, outside = mask & ok, ~mask & ok
    distance, interior = distance_to(inside), np.where(inside, distance_to(outside), 0)
    line = skeletonize(inside)
    neighbours = ndimage.convolve(line.astype(int), np.ones((3, 3), int), mode="constant") - 1
    ends = line & (neighbours == 1)
    border = np.ones_like(ends)
    border[3:-3, 3:-3] = False
    ends &= ~border
    rows, columns = np.indices(mask.shape)
    tips = sum(
        (np.exp(-((rows - i) ** 2 + (columns - j) ** 2) / 50) for i, j in np.argwhere(ends)), np.zeros(mask.shape)
    )
    return {
        "distance": distance,
        "interior_distance": interior,
        "signed_distance": distance - interior,
        "skeleton": ndimage.binary_dilation(line, CROSS, iterations=2) & inside,
        "tips": np.minimum(tips, 1),
        "tip_distance": distance_to(ends),
        "boundary_distance": distance_to(inside & ndimage.binary_dilation(outside, CROSS)),
    }
