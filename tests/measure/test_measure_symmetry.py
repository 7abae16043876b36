"""Mirror images and rotations by 90 degrees of a mask have the same measurements."""

import cv2
import numpy as np
import pytest
from crack_shapes import CURVES, drawn
from scipy import ndimage

from cracklab.measure import measure_mask

TURNED = ("orientation_deg", "widest_x", "widest_y", "crack")
"""Values that turn with the photo, and the number of a crack among those of equal length."""


def symmetries(mask):
    """Yield the quarter turns anticlockwise, whether the mask is mirrored before, and the mask, for all eight symmetries."""
    for mirrored in (False, True):
        for turns in range(4):
            yield turns, mirrored, np.ascontiguousarray(np.rot90(mask[:, ::-1] if mirrored else mask, turns))


def check(mask, **settings):
    """Compare the tables of all eight; orientations turn with the mask."""
    expected = measure_mask(mask, **settings)
    for turns, mirrored, turned in list(symmetries(mask))[1:]:
        measurement = measure_mask(turned, **settings)
        before, after = expected.summary(), measurement.summary()
        rows = zip(*(sorted(one.crack_rows(), key=order) for one in (expected, measurement)), strict=True)
        for row, other in [(before, after), *rows]:
            names = [name for name in row if name not in TURNED and row[name] is not None]
            np.testing.assert_allclose(*([one[name] for name in names] for one in (other, row)), rtol=0, atol=1e-9)
        if (before["alignment"] or 0) > 0.1:  # rings have no direction, and an empty mask has none either
            angle = (180 - before["orientation_deg"] if mirrored else before["orientation_deg"]) + 90 * turns
            assert abs((after["orientation_deg"] - angle + 90) % 180 - 90) < 1e-6


def order(row):
    """Cracks of equal length come in the order of the photo."""
    return tuple(round(row[name], 6) for name in ("length_px", "area_px", "width_max_px", "width_p50_px", "alignment"))


def broken_lines(seed, lines=6):
    """Draw random lines 1 px wide, and erase twelve squares of 5 px."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((100, 120), np.uint8)
    for _ in range(lines):
        cv2.line(mask, *(tuple(int(value) for value in rng.integers(5, 95, 2)) for _ in range(2)), 1)
    for row, column in rng.integers(5, 95, (12, 2)):
        mask[row : row + 5, column : column + 5] = 0
    return mask > 0


def without_symmetric_parts(mask):
    """Erase parts that are equal to one of their mirror images or rotations."""
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        part = labels[box] == label
        if any(np.array_equal(part, turned) for _, _, turned in list(symmetries(part))[1:]):
            labels[box][part] = 0
    return labels > 0


def test_drawn_curves_measure_the_same_in_all_orientations():
    rng = np.random.default_rng(0)
    for curves, width in CURVES.values():
        check(drawn(curves, width, rng))


def test_gaps_are_bridged_the_same_in_all_orientations():
    masks = [without_symmetric_parts(broken_lines(seed, lines=9)) for seed in range(4)]
    for mask in masks:
        check(mask, bridge_px=8)
    assert sum(measure_mask(mask, bridge_px=8).summary()["gaps"] for mask in masks) > 4


def test_specks_measure_the_same_in_all_orientations():
    check(np.random.default_rng(0).random((30, 40)) < 0.08)
    summary = measure_mask(np.pad(np.ones((2, 2), bool), 3)).summary()
    assert summary["orientation_deg"] is None  # a square has no direction
    assert summary["alignment"] == 0


def test_real_masks_measure_the_same_in_all_orientations(deepcrack):
    paths = sorted((deepcrack / "test_lab").iterdir())[::16]
    parts = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[100:280, 150:350] > 0 for path in paths]
    cracked = [part for part in parts if part.any()]
    assert len(cracked) >= 12
    for part in cracked:
        check(part)


@pytest.mark.slow
def test_whole_real_masks_measure_the_same_in_all_orientations(deepcrack):
    for path in sorted((deepcrack / "test_lab").iterdir())[::10]:
        check(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0)
