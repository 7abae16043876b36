"""The paths of cracks: single cracks with branches, bundles, and the nets of alligator and map cracking.

A path wanders at every length, as real ones do: the direction is a first-order autoregressive process with sudden turns,
and the points are jittered along the grains.
"""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.spatial import Voronoi

from cracklab.synthetic.randomized.fields import Size

Points = NDArray[np.float64]

WIDTH = (0.3, 44.0)
"""Minimum and maximum width of a crack before its tips, px."""
SPACING = 0.75
"""Largest distance between the points of a path, px; each pixel on the path gets a point."""


class Path(NamedTuple):
    """The middle line of a crack: points (N, 2) at most `SPACING` apart, and the width at each (N,), px."""

    points: Points
    width: NDArray[np.float64]


def crack_pattern(rng: Generator, size: Size, scale: float) -> list[Path]:
    """Draw the cracks of a photo: mostly one to three that cross it, sometimes a net."""
    width = float(np.clip(rng.lognormal(0.75, 0.6) * scale, 0.35, 40))
    if rng.random() < 0.1:
        return net(rng, size, min(width, 0.06 * min(size)))
    diagonal = float(np.hypot(*size))
    count = 1 + min(4, rng.poisson(0.5))
    common, habit = rng.uniform(0, np.pi), rng.uniform(0.1, 0.75)
    rate = float(rng.choice((0.0, 1.0))) * rng.uniform(0, 0.006) / max(1.0, width / 4)
    paths: list[Path] = []
    for number in range(count):
        length = max(rng.uniform(0.4, 1.8) * diagonal, min(20 * width, 1.6 * diagonal))
        heading = common + rng.normal(0, 0.5)
        middle = rng.uniform(0.15, 0.85, 2) * size[::-1]
        start = middle - length * rng.uniform(0.3, 0.7) * np.array([np.cos(heading), np.sin(heading)])
        own = width * (1 if number == 0 else rng.uniform(0.3, 1))
        paths += grow(rng, start, heading, length, own, scale, habit, rate)
    return paths


def grow(
    rng: Generator, start: Points, heading: float, length: float, width: float, scale: float, habit: float, rate: float
) -> list[Path]:
    """Draw a crack and its branches.

    Args:
        rng: the source of randomness.
        start: (2,), one end of the crack.
        heading: mean direction, radians.
        length: px, measured along the heading.
        width: typical width, px.
        scale: px per unit; turns are as far apart as grains are.
        habit: how far the direction strays from the heading, radians.
        rate: mean number of branches per px.
    """
    step = float(np.clip(0.4 * width, 1.2, 3.0))
    count = max(5, round(length / step))
    direction = heading + _stray(rng, count, step / (40 * scale), 0.3 * habit)
    direction += _stray(rng, count, step / max(2.0, rng.uniform(3, 12) * scale), 0.7 * habit)
    # pieces between sudden turns, as a crack takes around grains
    turns = np.flatnonzero(rng.random(count) < min(0.5, step / max(3.0, rng.uniform(3, 10) * scale)))
    pieces = np.searchsorted(turns, np.arange(count))
    direction += rng.normal(0, 0.9 * habit, len(turns) + 1)[pieces] + rng.normal(0, 0.3 * habit, count)
    points = start + np.cumsum(step * np.stack([np.cos(direction), np.sin(direction)], axis=1), axis=0)
    paths = [dense(points, widths(rng, count, step, width, scale))]
    if length < 15 or rate == 0:
        return paths
    for at in rng.integers(count // 10, count - count // 10, min(6, rng.poisson(rate * length))).tolist():
        away = heading + float(rng.choice((-1, 1))) * rng.uniform(0.5, 1.4)
        shorter, thinner = length * rng.uniform(0.1, 0.5), width * rng.uniform(0.3, 0.8)
        paths += grow(rng, points[at], away, shorter, thinner, scale, habit, rate * 0.5)
    return paths


def _stray(rng: Generator, count: int, step: float, amount: float) -> NDArray[np.float64]:
    """Return a first-order autoregressive process of standard deviation `amount`; `step` is relative to its memory."""
    memory = np.exp(-step)
    pushes = amount * np.sqrt(1 - memory**2) * rng.standard_normal(count)
    return np.asarray(lfilter([1], [1, -memory], pushes), np.float64)


def widths(rng: Generator, count: int, step: float, width: float, scale: float) -> NDArray[np.float64]:
    """Return the width at `count` points: varied slowly and from grain to grain, and zero at the tips of most cracks."""
    place = np.arange(count) * step
    swell = np.zeros(count)
    for wave, amount in ((60 * scale, rng.uniform(0.1, 0.5)), (max(4.0, 6 * scale), rng.uniform(0.05, 0.35))):
        knots = np.arange(-wave * rng.random(), place[-1] + 2 * wave, wave)
        swell += np.interp(place, knots, rng.normal(0, amount, len(knots)))
    share = rng.uniform(0.05, 0.5)
    taper = np.minimum(np.minimum(place, place[-1] - place) / (share * place[-1]), 1) ** rng.uniform(0.4, 1)
    if rng.random() < 0.1:
        swell -= 3.0 * (np.interp(place, knots, rng.random(len(knots))) < 0.25)
    bounded: NDArray[np.float64] = np.clip(width * np.exp(swell), *WIDTH) * np.maximum(taper, 0)
    return bounded


def net(rng: Generator, size: Size, width: float) -> list[Path]:
    """Draw the edges of irregular cells: alligator cracking of roads, map cracking of concrete."""
    cell = max(16.0, rng.uniform(10, 30) * width, min(size) * rng.uniform(0.1, 0.4))
    grid = np.stack(np.meshgrid(*(np.arange(-cell, side + cell, cell) for side in size[::-1])), axis=-1).reshape(-1, 2)
    points = grid + rng.uniform(-0.45, 0.45, grid.shape) * cell
    diagram = Voronoi(points)
    kept, wander = rng.uniform(0.5, 1), rng.uniform(0.03, 0.12) * cell
    corners = diagram.vertices + rng.normal(0, 0.05 * cell, diagram.vertices.shape)
    paths = []
    for one, other in diagram.ridge_vertices:
        ends = corners[[one, other]]
        if one < 0 or rng.random() > kept or (np.abs(ends - np.array(size[::-1]) / 2) > np.array(size[::-1])).any():
            continue
        count = max(3, int(np.hypot(*(ends[1] - ends[0])) / 4))
        along = np.linspace(0, 1, count)[:, None]
        bend = lfilter([1], [1, -0.8], rng.normal(0, 0.35, (count, 2)), axis=0) * wander * np.sin(np.pi * along)
        local = np.full(count, width * rng.lognormal(0, 0.3)) * np.exp(rng.normal(0, 0.15, count))
        paths.append(dense(ends[0] + along * (ends[1] - ends[0]) + bend, np.clip(local, *WIDTH)))
    return paths


def dense(points: Points, width: NDArray[np.float64]) -> Path:
    """Return a path with points at most `SPACING` apart."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    every = np.arange(0, along[-1] + SPACING, SPACING)
    x, y = (np.interp(every, along, points[:, axis]) for axis in (0, 1))
    return Path(np.stack([x, y], axis=1), np.interp(every, along, width))
