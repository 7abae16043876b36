"""Surfaces with joints, which are lines that are not cracks: bricks, tiles, pavers, rubble stone, formwork boards."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from cracklab.synthetic.randomized.fields import (
    Floats,
    Size,
    any_colour,
    blend,
    colour,
    noise,
    ramp,
    random_colour,
    relief,
    shade,
)
from cracklab.synthetic.randomized.surfaces import asphalt, concrete, grain


class Cells(NamedTuple):
    """A surface in pieces: the distance from the nearest joint's middle, px, and a random number of each piece (H, W)."""

    to_joint: Floats
    tone: Floats


def bond(rng: Generator, size: Size, course: float, length: float, offset: float) -> Cells:
    """Lay rectangular pieces in courses, each shifted against the one before by a share `offset` of the length."""
    angle = (
        rng.normal(0, 0.04) + (np.pi / 2 if rng.random() < 0.25 else 0) + (rng.random() < 0.1) * rng.uniform(0, np.pi)
    )
    x, y = np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32)[:, None]
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    wobble = np.float32(0.02 * course * (rng.random() < 0.6)) * noise(rng, size, course)
    down = (x * sine + y * cosine + wobble + np.float32(rng.uniform(0, course))) / np.float32(course)
    right = (x * cosine - y * sine + wobble + np.float32(rng.uniform(0, length))) / np.float32(length)
    row = np.floor(down)
    right = right + row * np.float32(offset)
    column = np.floor(right)
    down, right = down - row, right - column
    to_row = np.minimum(down, 1 - down) * np.float32(course)
    to_column = np.minimum(right, 1 - right) * np.float32(length)
    number = (row * 37 + column * 101).astype(np.int32) % 256
    tone = rng.standard_normal(256, np.float32)[number]
    return Cells(np.minimum(to_row, to_column), tone)


def rubble(rng: Generator, size: Size, stone: float) -> Cells:
    """Lay irregular stones around random points."""
    step = max(3.0, stone)
    rows, columns = int(size[0] / step) + 3, int(size[1] / step) + 3
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2) - 1
    points = np.rint((grid + rng.uniform(-0.4, 0.4, grid.shape)) * step).astype(int)
    margin = 2
    canvas = np.full((size[0] + 2 * margin, size[1] + 2 * margin), 255, np.uint8)
    points = points[((points >= 0) & (points < (size[1], size[0]))).all(axis=1)] + margin
    canvas[points[:, 1], points[:, 0]] = 0
    _, labels = cv2.distanceTransformWithLabels(canvas, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    edges = (labels != np.roll(labels, 1, 0)) | (labels != np.roll(labels, 1, 1))
    edges[0], edges[:, 0] = False, False
    to_joint = cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, 3)
    inside = slice(margin, margin + size[0]), slice(margin, margin + size[1])
    wobble = np.float32(0.03 * stone) * noise(rng, size, max(2.0, stone / 5), 2)
    tone = rng.standard_normal(256, np.float32)[(labels[inside] * 7) % 256]
    return Cells(np.maximum(to_joint[inside] + wobble, 0), tone)


def laid(rng: Generator, size: Size, scale: float, cells: Cells, face: Floats, joint: float, varied: float) -> Floats:
    """Draw pieces of one face (3, 1, 1) or (3, H, W), each with its own tone, and the joints between them."""
    face = face * (1 + varied * cells.tone)
    bed = random_colour(rng, 0.2, 0.85, 0.12) * (1 + 0.08 * grain(rng, size, scale))
    ragged = cells.to_joint + rng.uniform(0, 0.12) * joint * grain(rng, size, scale)
    mortar = 1 - ramp(ragged, joint / 2, max(0.8, rng.uniform(0.1, 0.5) * joint))
    image = blend(face, bed, mortar)
    if rng.random() < 0.6:
        bulge = ramp(cells.to_joint, joint / 2, max(1.5, rng.uniform(0.5, 3) * joint)) * min(4.0, max(1.0, joint))
        image = image * (1 + rng.uniform(0.1, 0.5) * relief(bulge, rng.uniform(0, 2 * np.pi)))
    return image


def brick(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw brickwork in running bond."""
    course = max(8.0, rng.uniform(14, 30) * scale)
    cells = bond(rng, size, course, course * rng.uniform(1.8, 3.5), 0.5)
    base = random_colour(rng, 0.3, 0.65, 0.1) * (colour(1.3, 0.95, 0.8) if rng.random() < 0.7 else colour(1, 1, 1))
    face = base * (1 + rng.uniform(0.03, 0.12) * grain(rng, size, scale))
    return laid(rng, size, scale, cells, face, max(1.0, course * rng.uniform(0.06, 0.18)), rng.uniform(0.03, 0.2))


def tiles(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw glazed or ceramic tiles with narrow, even joints."""
    side = max(14.0, rng.uniform(25, 120) * scale)
    cells = bond(rng, size, side, side * float(rng.choice((1.0, 1.0, 2.0))), float(rng.choice((0.0, 0.0, 0.5))))
    base = any_colour(rng) if rng.random() < 0.3 else random_colour(rng, 0.4, 0.95, 0.2)
    face = base * (1 + rng.uniform(0.003, 0.05) * noise(rng, size, 10 * scale, 4))
    return laid(rng, size, scale, cells, face, max(0.8, min(side * rng.uniform(0.015, 0.06), 12)), rng.uniform(0, 0.06))


def pavers(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw pavers or slabs of concrete or stone."""
    course = max(12.0, rng.uniform(25, 90) * scale)
    cells = bond(rng, size, course, course * rng.uniform(1, 2.2), float(rng.choice((0.0, 0.33, 0.5))))
    face = (concrete if rng.random() < 0.7 else asphalt)(rng, size, scale)
    return laid(rng, size, scale, cells, face, max(1.0, course * rng.uniform(0.03, 0.12)), rng.uniform(0.02, 0.12))


def stones(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw a wall of rubble stone, cobbles, or a mosaic."""
    stone = max(10.0, rng.uniform(15, 80) * scale)
    face = concrete(rng, size, scale) * random_colour(rng, 0.7, 1.2, 0.2)
    cells = rubble(rng, size, stone)
    return laid(rng, size, scale, cells, face, max(1.5, stone * rng.uniform(0.06, 0.25)), rng.uniform(0.05, 0.2))


def boards(rng: Generator, size: Size, scale: float) -> Floats:
    """Draw concrete with the marks of its formwork: boards with grain, seams, and ties."""
    upright = rng.random() < 0.5
    height, width = size if upright else size[::-1]
    board = max(10.0, rng.uniform(18, 90) * scale)
    position = ((np.arange(width) + rng.uniform(0, board)) / board).astype(np.float32)
    tone = rng.normal(0, rng.uniform(0.01, 0.06), int(position[-1]) + 1).astype(np.float32)[position.astype(int)]
    seam = np.minimum(position % 1, 1 - position % 1) * np.float32(board)
    line = 1 - ramp(seam, rng.uniform(0.3, 0.9) * max(1, 0.5 * scale), 1.0)
    fibres = rng.uniform(0, 0.07) * noise(rng, (height, width), (60 * scale, 2 * scale), 2)
    field = tone + rng.uniform(-0.15, 0.3) * -line + fibres
    return shade(concrete(rng, size, scale), field if upright else field.T)
