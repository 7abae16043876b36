"""The exact Euclidean distance transform, compiled by Numba: a vectorized pass along columns, then lower envelopes along rows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., object])

STRIP = 512
"""Number of columns that one pass handles together: their counters fit the L1 cache and fill SIMD registers."""
LARGE = 1 << 22
"""Number of pixels from which threads pay off."""


def compiled(function: Function) -> Function:
    """Compile a function with Numba, without the GIL; cache the machine code on disk if a folder is writable.

    Example:
        >>> compiled(lambda value: 2 * value)(21)
        42
    """
    try:
        return cast("Function", numba.njit(nogil=True, error_model="numpy", cache=True)(function))
    except RuntimeError:  # neither the package's folder nor the user's cache folder is writable
        return cast("Function", numba.njit(nogil=True, error_model="numpy")(function))


def distance_transform(where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the exact Euclidean distance, px, of every pixel to the nearest True (Felzenszwalb and Huttenlocher 2012).

    d(y, x)^2 = min over u of (x - u)^2 + g(y, u)^2, where g is the distance to the nearest True in the same column.
    Squared distances are integers, so the result has the same bits on every machine. Images of `LARGE` pixels or more use
    OpenCV's number of threads, which is 1 in a worker of a data loader.

    Args:
        where: (H, W), with at least one True.

    Returns:
        (H, W).

    Example:
        >>> distance_transform(np.array([[True, False, False, False]])).tolist()
        [[0.0, 1.0, 2.0, 3.0]]
    """
    height, width = where.shape
    flags = np.ascontiguousarray(where).view(np.uint8)
    down, distance = np.empty(where.shape, np.int32), np.empty(where.shape, np.float32)
    if where.size < LARGE or cv2.getNumThreads() < 2:
        _columns(flags, down, 0, width)
        _rows(down, distance, 0, height)
        return distance
    with ThreadPoolExecutor(cv2.getNumThreads()) as pool:
        list(pool.map(lambda left: _columns(flags, down, left, min(left + STRIP, width)), range(0, width, STRIP)))
        list(pool.map(lambda top: _rows(down, distance, top, min(top + STRIP, height)), range(0, height, STRIP)))
    return distance


@compiled
def _columns(where: NDArray[np.uint8], down: NDArray[np.int32], left: int, right: int) -> None:
    """Write the distance to the nearest True in the same column to `down`; more than the diagonal in a column without one."""
    height, width = where.shape
    last = np.empty(STRIP, np.int32)
    for start in range(left, right, STRIP):
        count = min(STRIP, right - start)
        last[:] = height + width
        for y in range(height):
            flags, here = where[y, start : start + count], down[y, start : start + count]
            for x in range(count):
                last[x] = (last[x] + np.int32(1)) * np.int32(1 - flags[x])
                here[x] = last[x]
        for y in range(height - 2, -1, -1):
            here = down[y, start : start + count]
            for x in range(count):
                last[x] = min(here[x], last[x] + np.int32(1))
                here[x] = last[x]


@compiled
def _rows(down: NDArray[np.int32], distance: NDArray[np.float32], top: int, bottom: int) -> None:
    """Write the lower envelope of each row's parabolas (x - u)^2 + g(u)^2, stored as x^2 - 2 u x + (g(u)^2 + u^2)."""
    width = down.shape[1]
    apex, height, start = np.empty(width, np.int64), np.empty(width, np.int64), np.empty(width + 1, np.int64)
    for y in range(top, bottom):
        last, u, h, p = -1, 0, 0, 0  # the last parabola of the envelope: its u, its constant, its first column
        for x in range(width):
            new = int(down[y, x]) ** 2 + x * x
            while last >= 0 and new - 2 * p * x < h - 2 * p * u:
                last -= 1
                if last >= 0:
                    u, h, p = apex[last], height[last], start[last]
            if last < 0:
                begin = 0
            elif new - h < 2 * (width - 1) * (x - u):  # it is the lowest before the row ends
                # integers below 2^53: the quotient is never rounded up to the next integer
                begin = int((new - h) / (2 * (x - u))) + 1
            else:
                continue
            last += 1
            u, h, p = x, new, begin
            apex[last], height[last], start[last] = u, h, p
        start[last + 1] = width
        for k in range(last + 1):
            for x in range(start[k], start[k + 1]):
                distance[y, x] = np.sqrt(np.float32(x * (x - 2 * apex[k]) + height[k]))
