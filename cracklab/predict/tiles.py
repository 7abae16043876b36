"""Probabilities of a photo of any size, from top to bottom: memory holds a band of tiles, whatever the photo's size.

NumPy and OpenCV alone, since an exported bundle carries this file along. MONAI's sliding window holds probabilities and
weights of the whole photo; its tiles at the end lie off the net's grid, and its weights have a floor that lets the very
edge of a tile count where four tiles meet. Here tiles lie on the grid, and weights fall to zero: one pass over the whole
photo and tiles of it differ by no more than the net's reach explains.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
Floats = NDArray[np.float32]
Score = Callable[[Photo], Floats]
"""Tiles (B, h, w, 3) uint8 RGB to probabilities (B, C, h, w)."""

GRID = 32
"""Tiles begin and end at multiples of this, px: a net that halves five times then sees every pixel in the same phase."""
ROWS = 64
"""So many rows of probabilities, at the net's scale, are brought to the photo's size at once."""


@dataclass(frozen=True)
class Tiling:
    """Where tiles lie, and how much each counts; the same along both axes.

    Args:
        tile: side of a tile, px at the net's scale, a multiple of 32.
        overlap: what neighbours share at least, px.
        batch: tiles that the net gets at a time.
    """

    tile: int = 512
    overlap: int = 128
    batch: int = 1

    def starts(self, side: int) -> list[int]:
        """First pixels of the tiles along a side of a photo, evenly spread; the last may end past the photo."""
        free = (-(-side // GRID) * GRID - self.length(side)) // GRID
        gaps = -(-free // max((self.tile - self.overlap) // GRID, 1))
        return [GRID * (i * free // gaps) for i in range(gaps + 1)] if gaps else [0]

    def length(self, side: int) -> int:
        """Length of the tiles along a side, px: a photo smaller than a tile is one tile."""
        return min(self.tile, -(-side // GRID) * GRID)

    def weights(self, side: int) -> list[Floats]:
        """How much each tile counts at its pixels: nothing at its edge, all in its middle; they add up to 1."""
        length, starts = self.length(side), self.starts(side)
        inside = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
        one = np.minimum(inside / max(self.overlap, 1), 1) ** 4
        total = np.zeros(starts[-1] + length)
        for start in starts:
            total[start : start + length] += one
        return [(one / total[start : start + length]).astype(np.float32) for start in starts]

    def number(self, size: tuple[int, int]) -> int:
        """Number of tiles of a photo of this size (height, width), px at the net's scale."""
        return len(self.starts(size[0])) * len(self.starts(size[1]))


def probabilities(score: Score, image: Photo, size: tuple[int, int], tiling: Tiling) -> Iterator[tuple[slice, Floats]]:
    """Rows of a photo and their probabilities (C, rows, W), from top to bottom.

    The image is scored in overlapping tiles that fade into each other; the probabilities are brought to the photo's size
    (bilinear).

    Args:
        score: what scores a batch of tiles.
        image: (h, w, 3) uint8 RGB, the photo at the net's scale.
        size: (H, W) of the photo, px.
        tiling: where tiles lie.
    """
    yield from brought_back(bands(score, image, tiling), (image.shape[0], image.shape[1]), size)


def bands(score: Score, image: Photo, tiling: Tiling) -> Iterator[Floats]:
    """Probabilities (C, rows, W) of an image (H, W, 3), some rows at a time; valid until the next are asked for."""
    height, width = image.shape[:2]
    down, across = tiling.length(height), tiling.length(width)
    tops, lefts = tiling.starts(height), tiling.starts(width)
    columns, weights = mirrored(np.arange(lefts[-1] + across), width), tiling.weights(width)
    sums = np.zeros((0, 0, 0), np.float32)
    for top, end, fade in zip(tops, [*tops[1:], height], tiling.weights(height), strict=True):
        band = image[mirrored(np.arange(top, top + down), height)]
        for first in range(0, len(lefts), tiling.batch):
            part = range(first, min(first + tiling.batch, len(lefts)))
            scores = score(np.stack([band[:, columns[lefts[i] : lefts[i] + across]] for i in part]))
            if not sums.size:
                sums = np.zeros((scores.shape[1], down, lefts[-1] + across), np.float32)
            for i, one in zip(part, scores, strict=True):
                sums[:, :, lefts[i] : lefts[i] + across] += one * (fade[:, None] * weights[i])
        for row in range(0, end - top, ROWS):
            yield sums[:, row : min(row + ROWS, end - top), :width]
        sums[:, : down - (end - top)] = sums[:, end - top :]
        sums[:, down - (end - top) :] = 0


def mirrored(index: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Indices past the end of a side turned back into it, as in a mirror; black there would look like a crack."""
    period = max(2 * (side - 1), 1)
    return np.minimum(index % period, period - index % period) if side > 1 else np.zeros_like(index)


def brought_back(
    chunks: Iterator[Floats], scaled: tuple[int, int], size: tuple[int, int]
) -> Iterator[tuple[slice, Floats]]:
    """Chunks of rows (C, rows, w) of probabilities of size `scaled`, bilinearly at `size`; pixels are where OpenCV has them."""
    source = np.clip((np.arange(size[0]) + 0.5) * scaled[0] / size[0] - 0.5, 0, scaled[0] - 1)
    above = source.astype(np.int64)
    share = (source - above).astype(np.float32)[:, None]
    known, done, held = 0, 0, None
    for chunk in chunks:
        rows = chunk
        if scaled[1] != size[1]:
            rows = np.stack([cv2.resize(one, (size[1], chunk.shape[1])) for one in chunk])
        if scaled[0] == size[0]:
            yield slice(known, known + chunk.shape[1]), rows
            known += chunk.shape[1]
            continue
        start = known if held is None else known - 1
        rows = rows if held is None else np.concatenate([held, rows], axis=1)
        known += chunk.shape[1]
        end = size[0] if known == scaled[0] else int(np.searchsorted(above, known - 1))
        here, below = above[done:end] - start, np.minimum(above[done:end] + 1, known - 1) - start
        if end > done:
            yield slice(done, end), rows[:, here] * (1 - share[done:end]) + rows[:, below] * share[done:end]
        done, held = end, rows[:, -1:].copy()
