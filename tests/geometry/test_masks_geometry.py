"""Centre lines and widths, of lines drawn at known widths and of DeepCrack's masks."""

import cv2
import numpy as np
import pytest
from skimage.morphology import skeletonize as scikit_skeletonize

from cracklab.geometry.masks import distance_to, skeletonize, widths


def slanted_line(width, degrees, shift, reach=70):
    """The pixels whose centres are in an infinite line, and each pixel's place along it, px."""
    y, x = np.mgrid[-reach:reach, -reach:reach] - shift
    angle = np.deg2rad(degrees)
    across = y * np.cos(angle) - x * np.sin(angle)
    return (across >= -width / 2) & (across < width / 2), x * np.cos(angle) + y * np.sin(angle)


@pytest.mark.parametrize("width", range(1, 10))
def test_straight_lines_have_their_width(width):
    mask = np.zeros((60, 120), bool)
    mask[20 : 20 + width, 10:110] = True
    assert np.median(widths(mask)) == width
    assert np.median(widths(np.ascontiguousarray(mask.T))) == width


@pytest.mark.parametrize("width", range(1, 10))
def test_odd_and_even_widths_are_exact_at_every_pixel_between_the_ends(width):
    # an even width has its centre between two rows: twice the depth is right there, and 1 px too much for an odd one
    mask = np.zeros((60, 120), bool)
    mask[20 : 20 + width, 10:110] = True
    between = np.zeros_like(mask)
    between[:, 10 + 2 * width : 110 - 2 * width] = True
    for turned, inside in ((mask, between), (mask.T, between.T)):
        skeleton = skeletonize(turned)
        assert set(widths(turned, skeleton)[inside[skeleton]].tolist()) == {width}


@pytest.mark.parametrize("width", [2, 3, 4.5, 6, 8])
def test_slanted_lines_have_nearly_their_width_on_average(width):
    y, x = np.mgrid[-80:80, -80:80] + 0.3
    medians = []
    for angle in np.deg2rad(np.arange(0, 180, 7)):
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        medians.append(np.median(widths((np.abs(across) <= width / 2) & (np.abs(along) < 60))))
    assert np.mean(medians) == pytest.approx(width, abs=0.4)


@pytest.fixture(scope="module")
def errors():
    """Measured minus true widths at the pixels of centre lines, px, by (width, angle in degrees, shift in px)."""
    rng = np.random.default_rng(0)
    found = {}
    for width in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20):
        for degrees in (0, 45, 90, 135, *np.rad2deg(np.arctan([1 / 2, 2, 1 / 3, 3])), *rng.uniform(0, 180, 24)):
            shift = rng.uniform(0, 1)
            mask, along = slanted_line(width, degrees, shift)
            skeleton = skeletonize(mask)
            found[width, degrees, shift] = widths(mask, skeleton)[np.abs(along)[skeleton] < 45] - width
    return found


def test_medians_along_lines_are_as_near_to_the_true_width_as_stated(errors):
    medians = {line: abs(np.median(error)) for line, error in errors.items()}
    half, most, worst = np.quantile(list(medians.values()), [0.5, 0.95, 1])
    assert half < 0.2
    assert most < 0.7
    # the bound is reached, by lines 1 px wide that measure 2 px, and by no other
    assert worst == 1
    assert {width for (width, _, _), error in medians.items() if error == worst} == {1}


def test_a_line_1_px_wide_at_45_degrees_may_measure_2_px():
    # rows of pixels at 45 degrees are 0.71 px apart, so that two of five such lines hold two rows
    found = {np.median(widths(slanted_line(1, 45, np.array([[[0.0]], [[shift]]]))[0])) for shift in (0, 0.5, 0.6, 0.9)}
    assert found == {1, 2}


def test_single_pixels_are_within_2_px(errors):
    assert np.abs(np.concatenate(list(errors.values()))).max() < 2


def test_widths_are_those_of_the_given_centre_line():
    mask = np.zeros((9, 30), bool)
    mask[2:7, 2:28] = True
    line = np.zeros_like(mask)
    line[4, 5:25] = True  # the middle row: depth 3 there, 2 in the rows beside it
    assert widths(mask, line)[1:-1].tolist() == [5] * 18


def test_widths_are_at_most_twice_the_depth():
    mask = np.zeros((9, 30), bool)
    mask[2:7, 2:28] = True
    line = np.zeros_like(mask)
    line[3, 5:25] = True  # off the middle: depth 2 there, 3 in the row below it
    assert widths(mask, line).tolist() == [4] * 20


def test_without_a_crack_there_are_no_widths():
    assert widths(np.zeros((5, 5), bool)).size == 0


def test_the_skeleton_of_a_bar_is_its_middle_row():
    mask = np.zeros((20, 60), bool)
    mask[8:13, 10:50] = True
    skeleton = skeletonize(mask)
    assert np.unique(np.nonzero(skeleton[:, 15:45])[0]).tolist() == [10]
    assert skeleton[:, 15:45].sum() == 30


def test_staircases_at_45_degrees_are_shortened_and_by_lees_method_are_not():
    mask = np.zeros((40, 40), bool)
    step = np.arange(5, 35)
    mask[step, step] = mask[step, step + 1] = True
    assert skeletonize(mask).sum() < 20
    assert (scikit_skeletonize(mask, method="lee") > 0).sum() > 28


def test_no_crack_of_deepcrack_is_lost_and_centre_lines_are_near_lees(deepcrack):
    far = pixels = 0
    for path in sorted(deepcrack.glob("*_lab/*.png"))[::6]:
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0
        skeleton, lees = skeletonize(mask), scikit_skeletonize(mask, method="lee") > 0
        count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        assert set(np.unique(labels[skeleton])) == set(range(1, count))
        far += (distance_to(skeleton)[lees] > 3).sum()
        pixels += lees.sum()
    assert far / pixels == pytest.approx(0.0015, abs=0.0002)
