"""The distance transform against SciPy's, bit for bit."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from cracklab.geometry.distance_transform import LARGE, compiled
from cracklab.geometry.masks import distance_to


def scipy_distance_to(where):
    """Distance to the nearest True, by SciPy, rounded to single precision."""
    return ndimage.distance_transform_edt(~where).astype(np.float32)


@given(where=hnp.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24))).filter(np.any))
@settings(max_examples=60, deadline=None)
def test_distances_equal_scipys(where):
    np.testing.assert_array_equal(distance_to(where), scipy_distance_to(where))


def test_the_distance_to_nothing_is_the_diagonal():
    found = distance_to(np.zeros((6, 8), bool))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.full((6, 8), 10))  # 6, 8, 10


@pytest.mark.parametrize("shape", [(12, 20), (97, 101), (300, 200)])
def test_distances_have_the_same_bits_at_every_address_in_memory(shape):
    where = np.random.default_rng(0).random(shape) < 0.01
    expected = scipy_distance_to(where)
    for offset in range(9):
        moved = np.empty(where.size + 9, bool)[offset : offset + where.size].reshape(shape)
        moved[:] = where
        kept = np.empty(offset * 1000 + 1)  # moves the address of the result too
        np.testing.assert_array_equal(distance_to(moved), expected)
        del kept


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda where: where[::-1, ::-1], lambda where: where.T])
def test_arrays_of_any_memory_layout_are_taken(layout):
    where = layout(np.random.default_rng(0).random((60, 90)) < 0.01)
    np.testing.assert_array_equal(distance_to(where), scipy_distance_to(where))


@pytest.mark.parametrize("widths", [(1, 9), (1, 60)])
@pytest.mark.parametrize("shape", [(300, 260), (150, 5000)])
def test_depths_of_thin_and_of_wide_cracks_equal_scipys(shape, widths):
    rng = np.random.default_rng(shape[0])
    for _ in range(4):
        mask = np.zeros(shape, np.uint8)
        for width in rng.integers(*widths, 3):
            ends = rng.integers(-20, 20 + np.array(shape[::-1]), (2, 2))
            cv2.line(mask, *ends.tolist(), 1, int(width))
        mask[rng.random(shape) < 0.001] = 0
        np.testing.assert_array_equal(distance_to(mask == 0), scipy_distance_to(mask == 0))


def test_distances_by_several_threads_equal_scipys():
    where = np.random.default_rng(0).random((2100, 2300)) < 1e-5
    assert where.size > LARGE
    np.testing.assert_array_equal(distance_to(where), scipy_distance_to(where))


def test_distances_are_exact_far_away():
    where = np.zeros((700, 900), bool)
    where[3, 5] = where[650, 870] = True
    np.testing.assert_array_equal(distance_to(where), scipy_distance_to(where))


def test_the_transform_compiles_if_no_folder_is_writable():
    names: dict = {}
    exec("def double(values):\n    values *= 2\n", names)  # no file, so no folder beside it
    values = np.arange(3)
    compiled(names["double"])(values)
    assert values.tolist() == [0, 2, 4]
