"""The reach of a net, and the tiling that follows from it."""

import warnings

import numpy as np
import psutil

from cracklab.errors import ConfigError
from cracklab.predict.tiles import (
    GRID,
    Floats,
    Photo,
    Score,
    Tiling,
    affordable_overlap,
    largest_tile,
    seam_warning,
)
from cracklab.synthetic.draw import draw

WALLS = {512: 512, 1024: 256}
"""Length -> width of the parts of a drawn wall on which the reach is measured, px; the long ones only if the short ones do not end it."""
LARGEST_REACH = max(WALLS) // 2 - GRID
"""Largest reach that is measured, px."""
SMALLEST_CHANGE = 0.005
"""Smaller changes of a probability are ignored."""
DEFAULT_TILE = 512
"""Side of the tiles of nets without a reach, px: what they see in a tile should not depend on the memory."""
MEMORY_GB = 3.5
"""Memory for the tiles that a net gets at a time, 1e9 bytes, where twice as much is free."""
DEFAULT_OVERLAP = 128
"""Overlap for nets without a reach, px; for these, no overlap makes tiles exact."""


def measure_reach(score: Score) -> int | None:
    """Return the reach of a net, px: how far from the edge of a tile the edge changes probabilities.

    It is the extent of the receptive field that matters. A part of a drawn wall is scored whole, and in halves, cut through its
    middle along either axis. At `reach` px and more from the cut, no probability changes by more than 0.005.

    Args:
        score: scores a batch of tiles.

    Returns:
        None if the edge is felt everywhere: a net that looks at the whole image (attention, global pooling, normalisation over
        the image) has no reach.

    Example:
        >>> from scipy.ndimage import uniform_filter
        >>> def mean_of_9_by_9(tiles):
        ...     means = [uniform_filter(tile[..., 0] / 255, 9, mode="constant") for tile in tiles]
        ...     return np.stack(means)[:, None].astype(np.float32)
        >>> measure_reach(mean_of_9_by_9)  # 4 px to either side
        4
    """
    for length, width in WALLS.items():
        wall, _ = draw(1, (length, length))
        middle = slice((length - width) // 2, (length + width) // 2)
        changes = np.maximum(_changes(score, wall[middle], axis=1), _changes(score, wall[:, middle], axis=0))
        far = np.flatnonzero(changes > SMALLEST_CHANGE)
        reach = int(far[-1]) + 1 if far.size else 0
        if reach <= length // 2 - GRID:
            return reach
    return None


def _changes(score: Score, wall: Photo, axis: int) -> Floats:
    """Return the largest change of a probability by the distance from a cut through the middle, across `axis`."""

    def scored(part: Photo) -> Floats:
        return np.moveaxis(score(np.ascontiguousarray(part[None]))[0], axis + 1, 2)

    whole = np.split(scored(wall), 2, axis=2)
    first, second = (
        np.abs(scored(part) - same).max(axis=(0, 1)) for part, same in zip(np.split(wall, 2, axis), whole, strict=True)
    )
    changes: Floats = np.maximum(first[::-1], second)
    return changes


def choose_tiling(
    reach: int | None,
    bytes_per_px: float,
    tile: int | None = None,
    overlap: int | None = None,
    batch_size: int = 1,
    memory_gb: float | None = None,
) -> Tiling:
    """Return the tiling for a net: an overlap of twice its reach, so that the middle of the overlap feels neither tile's edge.

    Of small tiles it is at most half a tile, so that at most 4 pixels are scored for each pixel of a photo; a warning says so.

    Args:
        reach: of the net, px; None: it has none, or it is not known.
        bytes_per_px: memory that the net needs for each pixel of a tile; ignored if `tile` is given, and without a reach.
        tile: largest side of the tiles, px; None: as large as the memory allows, since overlaps are scored twice; 512 for a net without
            a reach.
        overlap: of neighbouring tiles, px; None: twice the reach, or 128 for a net without one, at most half a tile.
        batch_size: number of tiles that the net gets at a time.
        memory_gb: memory for them, 1e9 bytes; None: 3.5, or half of what is free if that is less.

    Example:
        >>> choose_tiling(reach=100, bytes_per_px=400, memory_gb=2)
        Tiling(tile=2208, overlap=200, batch=1)
        >>> choose_tiling(reach=None, bytes_per_px=400)
        Tiling(tile=512, overlap=128, batch=1)
    """
    if tile is None and reach is None:
        tile = DEFAULT_TILE
    if tile is None:
        memory = min(MEMORY_GB, psutil.virtual_memory().available / 2e9) if memory_gb is None else memory_gb
        tile = largest_tile(memory, bytes_per_px * batch_size, overlap or 0)
    if overlap is not None:
        return Tiling(tile, overlap, batch_size)
    tiling = Tiling(tile, affordable_overlap(DEFAULT_OVERLAP if reach is None else 2 * reach, tile), batch_size)
    if text := seam_warning(tiling, reach):
        warnings.warn(f"{text}: give a larger tile or memory_gb", stacklevel=2)
    return tiling


def check_tiling(tile: int | None, overlap: int | None, batch_size: int | None, memory_gb: float | None = None) -> None:
    """Check the options of a tiling; None is a value that will be chosen.

    Raises:
        ConfigError: for a value that cannot work.

    Example:
        >>> check_tiling(tile=100, overlap=None, batch_size=None)
        Traceback (most recent call last):
        cracklab.errors.ConfigError: tile is 100: give a multiple of 32 px, at least 64
    """
    if tile is not None and (tile < 2 * GRID or tile % GRID):
        raise ConfigError(f"tile is {tile}: give a multiple of {GRID} px, at least {2 * GRID}")
    largest = (tile or DEFAULT_TILE) - GRID
    if overlap is not None and not 0 <= overlap <= largest:
        raise ConfigError(f"overlap is {overlap}: give 0 to {largest} px, {GRID} px less than a tile")
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}: give 1 or more")
    if memory_gb is not None and not 0 < memory_gb < float("inf"):
        raise ConfigError(f"memory_gb is {memory_gb}: give a number above 0, in 1e9 bytes")
    if memory_gb is not None and tile is not None:
        raise ConfigError(
            f"memory_gb is {memory_gb} and tile is {tile}: give one of the two, since tiles follow from the memory"
        )
