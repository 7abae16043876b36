"""The reach of a net, and the tiling that follows from it."""

import numpy as np

from cracklab.errors import ConfigError
from cracklab.predict.tiles import GRID, Score, Tiling
from cracklab.synthetic.draw import draw

WALL = 512
"""Side of the drawn wall on which the reach is measured, px."""
SMALLEST_CHANGE = 0.005
"""Smaller changes of a probability are ignored."""
DEFAULT_TILE, LARGEST_TILE = 512, 1024
"""Smallest and largest side of a tile that is chosen automatically, px; nets with a larger reach get larger tiles."""
DEFAULT_OVERLAP = 128
"""Overlap for nets without a reach, px; for these, no overlap makes tiles exact."""


def measure_reach(score: Score) -> int | None:
    """Return the reach of a net, px: how far from the edge of a tile the edge changes probabilities.

    It is the extent of the receptive field that matters. A drawn wall is scored whole, and in halves, cut through its middle
    along either axis. At `reach` px and more from the cut, no probability changes by more than 0.005.

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
    wall, _ = draw(1, (WALL, WALL))
    half = WALL // 2
    whole = score(wall[None])[0]
    changes = np.zeros(half, np.float32)  # by distance from the cut
    for rows, columns, axis, cut_at_end in (
        (slice(None), slice(None, half), 1, True),
        (slice(None), slice(half, None), 1, False),
        (slice(None, half), slice(None), 0, True),
        (slice(half, None), slice(None), 0, False),
    ):
        change = np.abs(score(wall[None, rows, columns])[0] - whole[:, rows, columns]).max(axis=(0, 2 - axis))
        changes = np.maximum(changes, change[::-1] if cut_at_end else change)
    far = np.flatnonzero(changes > SMALLEST_CHANGE)
    reach = int(far[-1]) + 1 if far.size else 0
    return None if reach > half - GRID else reach


def choose_tiling(
    reach: int | None, tile: int | None = None, overlap: int | None = None, batch_size: int = 1
) -> Tiling:
    """Return the tiling for a net: an overlap of twice its reach, so that the middle of the overlap feels neither tile's edge.

    Args:
        reach: of the net, px; ignored if `overlap` is given.
        tile: side of the tiles, px; None: three times the overlap, at least 512 and at most 1024.
        overlap: of neighbouring tiles, px; None: twice the reach, or 128 for a net without one.
        batch_size: number of tiles that the net gets at a time.

    Example:
        >>> choose_tiling(reach=100)
        Tiling(tile=608, overlap=200, batch=1)
        >>> choose_tiling(reach=None)
        Tiling(tile=512, overlap=128, batch=1)
    """
    if overlap is None:
        overlap = DEFAULT_OVERLAP if reach is None else 2 * reach
    if tile is None:
        tile = min(LARGEST_TILE, max(DEFAULT_TILE, -(-3 * overlap // GRID) * GRID))
    return Tiling(tile, min(overlap, tile - GRID), batch_size)


def check_tiling(tile: int | None, overlap: int | None, batch_size: int | None) -> None:
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
