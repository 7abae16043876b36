"""The canonical orientation of a set of pixels, which is the same for its mirror images and rotations by 90 degrees."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cracklab.measure.lines import Points

Pixels = NDArray[np.int64]
"""(N, 2): x and y, px."""

SYMMETRIES = [np.diag(signs)[::order] for order in (1, -1) for signs in product((1, -1), repeat=2)]
"""Matrices of the eight mirror images and rotations of a square."""


@dataclass(frozen=True)
class Orientation:
    """A mirror image or rotation of a set of pixels.

    Attributes:
        matrix: (2, 2), one of `SYMMETRIES`.
        origin: (2,), the corner of the set's bounding box that becomes (0, 0), px.

    Example:
        >>> turn = Orientation(SYMMETRIES[6], np.array([5, 9]))
        >>> turn.apply(np.array([[5, 9], [4, 11]])).tolist(), turn.undo(np.array([[2.0, 1.0]])).tolist()
        ([[0, 0], [2, 1]], [[4.0, 11.0]])
    """

    matrix: NDArray[np.int64]
    origin: NDArray[np.int64]

    def apply(self, pixels: Pixels) -> Pixels:
        """Return pixels in this orientation."""
        return np.asarray((pixels - self.origin) @ self.matrix.T)

    def undo(self, points: Points) -> Points:
        """Return points in this orientation at their place in the photo."""
        return np.asarray(points @ self.matrix + self.origin)


def canonical_orientation(pixels: Pixels) -> Orientation:
    """Return the orientation of a set of pixels that makes it equal for all its mirror images and rotations.

    It is the one with the smallest moments; if several have the same moments, that with the smallest sorted pixels.

    Example:
        >>> tee = np.array([[0, 0], [1, 0], [2, 0], [1, 1]])
        >>> turned = tee @ SYMMETRIES[5].T + (30, 40)
        >>> both = [canonical_orientation(pixels).apply(pixels) for pixels in (tee, turned)]
        >>> [sorted(pixels.tolist()) for pixels in both]
        [[[0, 0], [0, 1], [0, 2], [1, 1]], [[0, 0], [0, 1], [0, 2], [1, 1]]]
    """
    corners = np.array([pixels.min(axis=0), pixels.max(axis=0)])
    orientations = [Orientation(matrix, corners[(matrix.sum(axis=0) < 0).astype(int), [0, 1]]) for matrix in SYMMETRIES]
    moments = [_moments(orientation.apply(pixels)) for orientation in orientations]
    best = [one for one, values in zip(orientations, moments, strict=True) if values == min(moments)]
    return best[0] if len(best) == 1 else min(best, key=lambda one: _sorted(one.apply(pixels)))


def is_isotropic(pixels: Pixels) -> bool:
    """Return whether a set of pixels extends as far in all directions: its second moments are those of a disc.

    Example:
        >>> square, strip = (np.array([[x, y] for x in range(length) for y in range(2)]) for length in (2, 3))
        >>> is_isotropic(square), is_isotropic(strip)
        (True, False)
    """
    (x, y), count = (pixels - pixels.min(axis=0)).T, len(pixels)
    sums = [int(values.sum()) for values in (x, y, x * x, y * y, x * y)]
    right, down, right_right, down_down, right_down = sums  # exact: Python's integers
    return count * (right_right - down_down) == right**2 - down**2 and count * right_down == right * down


def _moments(pixels: Pixels) -> tuple[int, ...]:
    x, y = pixels.T
    return (int(x.max()), *(int(values.sum()) for values in (x, y, x * x, y * y, x * y, x * x * y)))


def _sorted(pixels: Pixels) -> bytes:
    x, y = pixels.T
    return np.sort(y * (x.max() + 1) + x).astype(">i8").tobytes()
