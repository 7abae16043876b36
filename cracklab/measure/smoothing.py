"""Lines with equally spaced vertices, and without the steps of a chain of pixels."""

import numpy as np

from cracklab.geometry.distance_transform import compiled
from cracklab.measure.lines import Points, is_closed


def resample(points: Points, spacing_px: float = 1.0) -> Points:
    """Return a line with equally spaced vertices, as close to `spacing_px` as its length allows.

    Example:
        >>> resample(np.array([[0.0, 0.0], [2.9, 0.0]])).shape  # 3 steps of 0.97 px
        (4, 2)
    """
    return resampled(np.ascontiguousarray(points), spacing_px, is_closed(points))


def smooth(points: Points, sigma_px: float) -> Points:
    """Return a line without its steps; the ends of an open one do not move.

    A chain of pixels is longer than the line that it follows, by up to 8 % (Vossepoel and Smeulders 1982). A Gaussian
    along the chain removes its steps, but shrinks bends: a circle of radius R by a share of e = 1 - exp(-sigma^2 / (2 R^2)).
    What it removed is smoothed once more and added (twicing, Tukey 1977), so that the circle shrinks by e^2 only.

    Args:
        points: (N, 2).
        sigma_px: standard deviation of the Gaussian.

    Example:
        >>> stairs = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 1.0], [4.0, 1.0], [5.0, 1.0]])
        >>> from cracklab.measure.lines import arc_length
        >>> lengths = [arc_length(line)[-1] for line in (stairs, smooth(stairs, sigma_px=1.5))]
        >>> [round(float(length), 2) for length in lengths]  # straight: 5.10
        [5.41, 5.11]
    """
    return smoothed(np.ascontiguousarray(points), sigma_px, is_closed(points))


@compiled
def resampled(points: Points, spacing: float, closed: bool) -> Points:
    """`resample` for compiled functions, which say whether the line is closed."""
    along, last = np.zeros(len(points)), len(points) - 1
    for i in range(1, len(points)):
        along[i] = along[i - 1] + np.hypot(points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1])
    steps = max(4 if closed else 1, int(np.rint(along[last] / spacing)))  # a tiny ring keeps an inside
    line = np.empty((steps + 1, 2))
    before = 0
    for k in range(steps):
        place = along[last] * k / steps
        while before < last - 1 and along[before + 1] <= place:
            before += 1
        part = (place - along[before]) / max(along[before + 1] - along[before], 1e-12)
        for j in range(2):
            line[k, j] = points[before, j] + part * (points[before + 1, j] - points[before, j])
    line[steps, 0], line[steps, 1] = points[last, 0], points[last, 1]
    return line


@compiled
def _gaussian(line: Points, sigma: float, closed: bool) -> Points:
    """Return a line after a Gaussian along it; an open one continues beyond its ends, turned around them."""
    last, reach = len(line) - 1, int(np.ceil(4 * sigma))
    period = last if closed else 2 * last
    padded, smooth, total = np.empty((2, len(line) + 2 * reach)), np.zeros((len(line), 2)), 0.0
    for i in range(-reach, len(line) + reach):
        turns, k = i // period, i % period
        for j in range(2):
            value = line[k, j] if k <= last else 2 * line[last, j] - line[period - k, j]
            padded[j, i + reach] = value + turns * 2 * (line[last, j] - line[0, j])  # 0 along a closed line
    for k in range(2 * reach + 1):
        weight = np.exp(-0.5 * ((k - reach) / sigma) ** 2)
        total += weight
        for j in range(2):
            for i in range(len(line)):
                smooth[i, j] += weight * padded[j, i + k]
    for i in range(len(line)):
        smooth[i, 0] /= total
        smooth[i, 1] /= total
    return smooth


@compiled
def smoothed(points: Points, sigma: float, closed: bool) -> Points:
    """`smooth` for compiled functions, which say whether the line is closed."""
    chain = resampled(points, 1.0, closed)
    if len(chain) < 3:
        return chain
    line, last = _gaussian(chain, sigma, closed), len(chain) - 1
    removed = np.empty_like(chain)
    for i in range(last + 1):
        for j in range(2):
            removed[i, j] = chain[i, j] - line[i, j]
    removed = _gaussian(removed, sigma, closed)
    for i in range(last + 1):
        for j in range(2):
            line[i, j] += removed[i, j]
    for j in range(2):
        line[0, j] = line[0, j] if closed else chain[0, j]
        line[last, j] = line[0, j] if closed else chain[last, j]
    return line
