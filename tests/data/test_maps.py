import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from cracklab.data.maps import MAPS, compute_maps
from cracklab.errors import ConfigError
from cracklab.geometry.masks import skeletonize as thin

masks = hnp.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def edt(where):
    """Return the distance to the nearest True, by SciPy; the diagonal if there is none."""
    return ndimage.distance_transform_edt(~where) if where.any() else np.full(where.shape, np.hypot(*where.shape))


def brute_outline(inside, outside):
    """Return the pixels inside with a 4-neighbour outside."""
    found = np.zeros_like(inside)
    for y, x in np.argwhere(inside):
        for b, a in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= b < inside.shape[0] and 0 <= a < inside.shape[1] and outside[b, a]:
                found[y, x] = True
    return found


@given(mask=masks, data=st.data())
@settings(max_examples=60, deadline=None)
def test_distances_equal_those_of_scipy(mask, data):
    valid = data.draw(st.none() | hnp.arrays(bool, mask.shape))
    counts = np.ones_like(mask) if valid is None else valid
    inside, outside = mask & counts, ~mask & counts
    maps = compute_maps(mask, ["distance", "interior_distance", "signed_distance", "boundary_distance"], valid)
    interior = np.where(inside, edt(outside), 0)
    np.testing.assert_allclose(maps["distance"][0], edt(inside), atol=1e-4)
    np.testing.assert_allclose(maps["interior_distance"][0], interior, atol=1e-4)
    np.testing.assert_allclose(maps["signed_distance"][0], edt(inside) - interior, atol=1e-4)
    np.testing.assert_allclose(maps["boundary_distance"][0], edt(brute_outline(inside, outside)), atol=1e-4)


@pytest.mark.parametrize("fill", [False, True])
def test_a_distance_without_a_target_is_the_diagonal(fill):
    maps = compute_maps(np.full((6, 8), fill), list(MAPS))
    assert np.all(maps["distance"] == (0 if fill else 10))  # the diagonal of 6 x 8
    assert np.all(maps["interior_distance"] == (10 if fill else 0))
    assert np.all(maps["signed_distance"] == (-10 if fill else 10))
    assert np.all(maps["boundary_distance"] == 10)
    assert np.all(maps["tip_distance"] == 10)
    assert np.all(maps["tips"] == 0)


def bar():
    """Return a line three pixels wide, with ends far from the border; its skeleton is in row 20."""
    mask = np.zeros((41, 60), bool)
    mask[19:22, 10:50] = True
    return mask


def ends_of(mask, border=3):
    """Return the skeleton pixels with one neighbour, found one by one."""
    line = thin(mask)
    height, width = mask.shape
    found = []
    for y, x in np.argwhere(line):
        block = line[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        if block.sum() == 2 and border <= y < height - border and border <= x < width - border:
            found.append((y, x))
    return found


def test_tips_are_gaussians_at_the_end_points_of_the_skeleton():
    mask = bar()
    ends = ends_of(mask)
    assert len(ends) == 2
    y, x = np.mgrid[:41, :60]
    squared = [(y - b) ** 2 + (x - a) ** 2 for b, a in ends]
    maps = compute_maps(mask, ["tips", "tip_distance"])
    expected = np.minimum(sum(np.exp(-r / (2 * 5**2)) for r in squared), 1)
    np.testing.assert_allclose(maps["tips"][0], expected, atol=1e-6)
    np.testing.assert_allclose(maps["tip_distance"][0], np.sqrt(np.minimum(*squared)), atol=1e-4)
    wider = compute_maps(mask, ["tips"], options={"sigma": 9})["tips"][0]
    np.testing.assert_allclose(wider, np.minimum(sum(np.exp(-r / (2 * 9**2)) for r in squared), 1), atol=1e-6)


def test_overlapping_tips_are_clipped_to_one():
    mask = np.zeros((40, 40), bool)
    mask[20, 10:19] = mask[20, 21:30] = True
    assert compute_maps(mask, ["tips"])["tips"].max() == 1


@pytest.mark.parametrize(("column", "tips"), [(2, 1), (3, 2)])
def test_end_points_less_than_three_pixels_from_the_border_are_ignored(column, tips):
    mask = np.zeros((30, 30), bool)
    mask[15, column:20] = True
    for turns in range(4):  # the left, bottom, right and top border
        distance = compute_maps(np.rot90(mask, turns).copy(), ["tip_distance"])["tip_distance"][0]
        assert (distance == 0).sum() == tips


def test_the_skeleton_is_dilated_by_the_cross_within_the_class():
    mask = bar()
    line = thin(mask)
    for radius in (0, 1, 2):
        thick = ndimage.binary_dilation(line, iterations=radius) if radius else line
        result = compute_maps(mask, ["skeleton"], options={"radius": radius})["skeleton"][0]
        np.testing.assert_array_equal(result, thick & mask)
    assert compute_maps(mask, ["skeleton"])["skeleton"].sum() > line.sum()


def test_pixels_that_are_not_valid_are_neither_inside_nor_outside():
    mask, valid = np.zeros((9, 9), bool), np.ones((9, 9), bool)
    mask[4, 4] = mask[0, 0] = True
    valid[0, :] = False
    maps = compute_maps(mask, ["distance", "interior_distance"], valid)
    assert maps["distance"][0, 1, 1] == pytest.approx(np.sqrt(18))  # to (4, 4); (0, 0) is not valid
    assert maps["distance"][0, 0, 0] > 5  # to (4, 4), too
    assert maps["interior_distance"][0, 0, 0] == 0


def test_each_class_is_mapped_separately_and_maps_are_c_contiguous():
    mask = np.asfortranarray(np.random.default_rng(0).random((3, 12, 20)) < 0.2)
    maps = compute_maps(mask, list(MAPS), valid=np.ones((1, 12, 20)))
    for name, values in maps.items():
        assert values.shape == (3, 12, 20)
        assert values.dtype == np.float32
        assert values.flags.c_contiguous
        for index in range(3):
            np.testing.assert_array_equal(values[index], compute_maps(mask[index], [name])[name][0])


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_masks_of_any_dtype_give_the_same_maps(kind):
    mask = bar()
    np.testing.assert_array_equal(
        compute_maps(mask.astype(kind), ["signed_distance"])["signed_distance"],
        compute_maps(mask, ["signed_distance"])["signed_distance"],
    )


def test_unknown_maps_and_options_are_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="'distanc'; did you mean 'distance'"):
        compute_maps(bar(), ["distanc"])
    with pytest.raises(ConfigError, match="'radios'; did you mean 'radius'"):
        compute_maps(bar(), ["skeleton"], options={"radios": 2})
    assert compute_maps(bar(), []) == {}


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
@pytest.mark.parametrize("pad", [1, 7])
def test_padding_changes_no_tips(side, pad):
    """A crack that leaves the photo has no tip at that side, also if padding that does not count follows."""
    photo = np.zeros((40, 30), bool)
    photo[:25, 14:16] = True  # leaves at the top; its lower end is a tip
    photo = {"top": photo, "bottom": photo[::-1], "left": photo.T, "right": photo.T[:, ::-1]}[side]
    height, width = photo.shape
    padded, valid = (np.pad(plane, pad) for plane in (photo, np.ones_like(photo)))
    alone = compute_maps(photo, ["tips", "tip_distance"])
    with_padding = compute_maps(padded, ["tips", "tip_distance"], valid=valid)
    assert (alone["tip_distance"] == 0).sum() == 1  # the end inside the photo
    for name, plane in alone.items():
        np.testing.assert_allclose(with_padding[name][0, pad : pad + height, pad : pad + width], plane[0], atol=1e-6)
