"""Batches for the tests of losses: thin cracks, several classes, ignored pixels."""

import numpy as np
import torch
from loss_maps import reference_maps

from cracklab.losses import build_loss


def batch(classes=1, size=(17, 22), images=3, ignore=False, seed=0, spread=2.0):
    """Return NumPy logits, mask, maps and valid; every image but the last has a cross of cracks of each class."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, spread, (images, classes, *size))
    index = np.zeros((images, *size), int)
    for b in range(images - 1):
        for c in range(1, max(classes, 2)):
            row, column = rng.integers(2, size[0] - 3), rng.integers(2, size[1] - 3)
            index[b, row : row + 1 + b, 2:-3] = c
            index[b, 1:-2, column] = c
    mask = np.stack([index == c for c in range(classes)], 1) if classes > 1 else index[:, None] > 0
    valid = None
    if ignore:
        valid = rng.random((images, 1, *size)) > 0.3
        valid[:, :, : size[0] // 3, : size[1] // 2] = False
        valid = valid.astype(float)
    mask = mask.astype(float) if valid is None else mask * valid
    return z, mask, reference_maps(mask, valid), valid


def tensors(z, mask, maps, valid, dtype=torch.float64):
    """Return the arrays of `batch` as tensors."""
    maps = {name: torch.as_tensor(m, dtype=dtype) for name, m in maps.items()}
    return (
        torch.as_tensor(z, dtype=dtype),
        torch.as_tensor(mask, dtype=dtype),
        maps,
        None if valid is None else torch.as_tensor(valid),
    )


def make(name):
    """Build a registered loss with its defaults; `weighted_sum`, which has none, from two losses."""
    if name == "weighted_sum":
        return build_loss(name, losses=[(build_loss("dice"), 1.0), (build_loss("boundary"), 0.5)])
    return build_loss(name)
