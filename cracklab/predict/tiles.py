"""Tiled prediction of a photo of any size, from top to bottom, with one band of tiles in memory.

This file needs NumPy and OpenCV alone, since `cracklab export` copies it into a bundle. MONAI's sliding window is not used for
three reasons. It keeps probabilities and weights of the whole photo in memory. Its last tiles are off the net's grid. Its weights
have a positive minimum, so that the very edge of a tile counts where four tiles meet. Here every tile is on the grid and weights
fall to zero at its edge, so that tiles and one pass over the whole photo differ by no more than the net's reach explains.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
Floats = NDArray[np.float32]
Score = Callable[[Photo], Floats]
"""A function from tiles (B, h, w, 3) uint8 RGB to probabilities (B, C, h, w)."""

GRID = 32
"""Tiles begin and end at multiples of this, px, so that a net which halves five times sees every pixel in the same phase.

It is `cracklab.batch.GRID`, which a bundle does not have."""
LARGEST_TILE = 4096
"""Largest side of a tile that is chosen automatically, px."""
SMALLEST_STEP = 128
"""By how much a tile is larger than an overlap that is given, at least, px, however small the memory."""
ROWS = 64
"""Number of rows of probabilities, at the net's scale, that are resized to the photo's size at once."""


@dataclass(frozen=True)
class Tiling:
    """The position and the weight of each tile; the same rule along both axes.

    Args:
        tile: largest side of a tile, px at the net's scale, a multiple of 32.
        overlap: least overlap of neighbouring tiles, px.
        batch: number of tiles that the net gets at a time.

    Example:
        >>> tiling = Tiling(tile=128, overlap=32)
        >>> tiling.starts(300)  # a side of 300 px is padded to 320 px
        [0, 96, 192]
        >>> tiling.count((300, 40))
        3
    """

    tile: int = 512
    overlap: int = 128
    batch: int = 1

    def starts(self, side: int) -> list[int]:
        """Return the first pixel of each tile along a side of a photo, evenly spread; the last tile may end past the photo."""
        gaps, free = self._gaps(side), (-(-side // GRID) * GRID - self.length(side)) // GRID
        return [GRID * (i * free // gaps) for i in range(gaps + 1)] if gaps else [0]

    def length(self, side: int) -> int:
        """Return the length of the tiles along a side, px: as short as their number and the overlap allow.

        Example:
            >>> Tiling(tile=512, overlap=64).length(600)  # two tiles of 512 px would overlap by 424 px
            352
        """
        cells, gaps, overlap = -(-side // GRID), self._gaps(side), -(-self.overlap // GRID)
        length = -(-(cells + gaps * overlap) // (gaps + 1))
        while gaps and -(-(cells - length) // gaps) + overlap > length:
            length += 1
        return GRID * length

    def _gaps(self, side: int) -> int:
        """Return the number of tiles along a side, less one."""
        free = max(-(-side // GRID) - self.tile // GRID, 0)
        return -(-free // max((self.tile - self.overlap) // GRID, 1))

    def weights(self, side: int) -> list[Floats]:
        """Return the weight of each tile at each of its pixels: nearly 0 at its edge, 1 where no other tile is; sums are 1."""
        length, starts = self.length(side), self.starts(side)
        inside = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
        one = np.minimum(inside / max(self.overlap, 1), 1) ** 4
        total = np.zeros(starts[-1] + length)
        for start in starts:
            total[start : start + length] += one
        return [(one / total[start : start + length]).astype(np.float32) for start in starts]

    def count(self, size: tuple[int, int]) -> int:
        """Return the number of tiles of a photo of size (height, width), px at the net's scale."""
        return len(self.starts(size[0])) * len(self.starts(size[1]))

    def count_pixels(self, size: tuple[int, int]) -> int:
        """Return the number of pixels in all tiles of a photo of size (height, width), px at the net's scale."""
        return self.count(size) * self.length(size[0]) * self.length(size[1])


def largest_tile(memory_gb: float, bytes_per_px: float, overlap: int = 0) -> int:
    """Return the side of the largest tile that fits into some memory, px; overlaps are scored twice, so that large tiles are faster.

    Args:
        memory_gb: 1e9 bytes.
        bytes_per_px: memory that the net needs for each pixel.
        overlap: of neighbouring tiles if it is given, px; tiles are at least 128 px larger.

    Example:
        >>> largest_tile(memory_gb=2, bytes_per_px=400)
        2208
    """
    side = int(min((memory_gb * 1e9 / bytes_per_px) ** 0.5, LARGEST_TILE))
    return max(side, overlap + SMALLEST_STEP) // GRID * GRID


def affordable_overlap(wanted: int, tile: int) -> int:
    """Return an overlap of neighbouring tiles, px: the wanted one, but at most half a tile.

    Steps of half a tile score each pixel 4 times. An overlap that leaves steps of 32 px of a tile of 512 px scores it 256 times.

    Example:
        >>> affordable_overlap(580, tile=2656), affordable_overlap(580, tile=512)
        (580, 256)
    """
    return min(wanted, tile // 2 // GRID * GRID)


def seam_warning(tiling: Tiling, reach: int | None) -> str | None:
    """Return a warning if tiles overlap by less than twice the net's reach, px; None if they do not, or the net has no reach.

    Example:
        >>> print(seam_warning(Tiling(tile=512, overlap=256), reach=290))
        tiles of 512 px overlap by 256 px, less than twice the net's reach of 290 px, so their edges may show; those of 1216 px do not
    """
    if reach is None or tiling.overlap >= 2 * reach:
        return None
    enough = 2 * GRID * -(-2 * reach // GRID)
    return (
        f"tiles of {tiling.tile} px overlap by {tiling.overlap} px, less than twice the net's reach of {reach} px, so their edges "
        f"may show; those of {enough} px do not"
    )


def tiled_probabilities(
    score: Score, image: Photo, size: tuple[int, int], tiling: Tiling
) -> Iterator[tuple[slice, Floats]]:
    """Yield rows of a photo and their probabilities (C, rows, W), from top to bottom.

    The image is scored in overlapping tiles that fade into each other. The probabilities are resized to the photo's size
    (bilinear).

    Args:
        score: scores a batch of tiles.
        image: (h, w, 3) uint8 RGB, the photo at the net's scale.
        size: (H, W) of the photo, px.
        tiling: position and weight of the tiles.

    Example:
        >>> def brightness(tiles):
        ...     return tiles[..., 0][:, None].astype(np.float32) / 255
        >>> photo = np.full((100, 40, 3), 51, np.uint8)
        >>> for rows, probabilities in tiled_probabilities(brightness, photo, (200, 80), Tiling(64, 32)):
        ...     print(rows.start, rows.stop, probabilities.shape, probabilities.mean().round(3))
        0 63 (1, 63, 80) 0.2
        63 127 (1, 64, 80) 0.2
        127 200 (1, 73, 80) 0.2
    """
    yield from resize_rows(score_bands(score, image, tiling), (image.shape[0], image.shape[1]), size)


def fused_rows(passes: Sequence[Iterator[tuple[slice, Floats]]], height: int) -> Iterator[tuple[slice, Floats]]:
    """Yield rows of a photo and the quadratic mean of their probabilities over several passes, sqrt(mean p^2).

    With several classes, it is divided by its sum over the classes. One pass is yielded as it is. Only the rows of one step are
    in memory.

    Args:
        passes: at least one result of `tiled_probabilities`; each yields all rows of the photo, from top to bottom.
        height: of the photo, px.

    Example:
        >>> coarse = [(slice(0, 2), np.array([[[0.1], [0.3]]], np.float32))]
        >>> fine = [(slice(0, 1), np.array([[[0.7]]], np.float32)), (slice(1, 2), np.array([[[0.3]]], np.float32))]
        >>> for rows, probabilities in fused_rows([iter(coarse), iter(fine)], height=2):
        ...     print(rows.start, rows.stop, [round(float(p), 3) for p in probabilities.ravel()])
        0 1 [0.5]
        1 2 [0.3]
    """
    if len(passes) == 1:
        yield from passes[0]
        return
    parts = [next(one) for one in passes]
    done = 0
    while done < height:
        end = min(rows.stop for rows, _ in parts)
        squares = [values[:, done - rows.start : end - rows.start] ** 2 for rows, values in parts]
        fused = np.sqrt(np.mean(squares, axis=0, dtype=np.float32))
        yield slice(done, end), fused if len(fused) == 1 else fused / fused.sum(0)
        done = end
        if done < height:
            parts = [next(one) if part[0].stop == done else part for one, part in zip(passes, parts, strict=True)]


def score_bands(score: Score, image: Photo, tiling: Tiling) -> Iterator[Floats]:
    """Yield probabilities (C, rows, W) of an image (H, W, 3), at most 64 rows at a time.

    Each array is a view into a buffer, valid until the next one is asked for.

    Example:
        >>> def brightness(tiles):
        ...     return tiles[..., 0][:, None].astype(np.float32) / 255
        >>> [rows.shape for rows in score_bands(brightness, np.zeros((100, 40, 3), np.uint8), Tiling(64, 0))]
        [(1, 64, 40), (1, 36, 40)]
    """
    height, width = image.shape[:2]
    down, across = tiling.length(height), tiling.length(width)
    tops, lefts = tiling.starts(height), tiling.starts(width)
    columns, weights = reflected(np.arange(lefts[-1] + across), width), tiling.weights(width)
    sums = np.zeros((0, 0, 0), np.float32)
    for top, end, fade in zip(tops, [*tops[1:], height], tiling.weights(height), strict=True):
        band = image[reflected(np.arange(top, top + down), height)]
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


def reflected(index: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Reflect indices past the end of a side back into it; black padding there would look like a crack.

    Example:
        >>> reflected(np.arange(6), 4)
        array([0, 1, 2, 3, 2, 1])
    """
    period = max(2 * (side - 1), 1)
    return np.minimum(index % period, period - index % period) if side > 1 else np.zeros_like(index)


def resize_rows(
    chunks: Iterator[Floats], scaled: tuple[int, int], size: tuple[int, int]
) -> Iterator[tuple[slice, Floats]]:
    """Resize probabilities that arrive some rows at a time, bilinearly, with OpenCV's convention for pixel centres.

    Args:
        chunks: rows (C, rows, w), from top to bottom.
        scaled: (h, w) of all rows together, px.
        size: (H, W) after resizing, px.

    Yields:
        Rows of the result and their values (C, rows, W).

    Example:
        >>> rows = np.array([[[0.0], [1.0]]], np.float32)
        >>> [values[0, :, 0].tolist() for _, values in resize_rows(iter([rows]), (2, 1), (4, 1))]
        [[0.0, 0.25, 0.75, 1.0]]
    """
    source = np.clip((np.arange(size[0]) + 0.5) * scaled[0] / size[0] - 0.5, 0, scaled[0] - 1)
    above = source.astype(np.int64)
    share = (source - above).astype(np.float32)[:, None]
    known, done, held = 0, 0, None  # rows that have arrived, rows that were yielded, the last row of the chunk before
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
