"""Synthetic photos: they depend on the seed alone, masks are exact, and cracks are as thin and as hard to find as stated."""

import random

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, label
from skimage.morphology import skeletonize

from cracklab.errors import ConfigError
from cracklab.synthetic.draw import Stroke, centre_lines, coverage, draw, grow_crack, wall
from cracklab.synthetic.surfaces import SURFACES, noise

EIGHT = np.ones((3, 3))


@pytest.fixture(scope="module")
def drawn():
    """Images (N, H, W, 3) and masks (N, H, W) of a fixed set."""
    images, masks = zip(*(draw(seed, (96, 96)) for seed in range(300)), strict=True)
    return np.stack(images), np.stack(masks)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**63), height=st.integers(16, 90), width=st.integers(16, 90))
def test_any_seed_and_size_gives_an_image_and_a_mask(seed, height, width):
    image, mask = draw(seed, (height, width))
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert mask.shape == (height, width)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 1}
    assert image.flags.c_contiguous
    assert image.std() > 1


def test_an_image_depends_on_seed_and_size_alone_and_leaves_global_generators_unchanged():
    image, mask = draw(7, (61, 83))
    global_state = np.random.get_state()[1].copy()
    np.random.seed(5)
    random.seed(5)
    cv2.setRNGSeed(5)
    draw(8)
    again, mask_again = draw(7, (61, 83))
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(mask, mask_again)
    np.random.set_state(("MT19937", global_state, 624))
    draw(9)
    np.testing.assert_array_equal(np.random.get_state()[1], global_state)


def test_different_seeds_give_different_images(drawn):
    images, _ = drawn
    assert len({image.tobytes() for image in images}) == len(images)


@pytest.mark.parametrize(
    ("seed", "size", "named"), [(-1, (64, 64), "-1"), (0, (15, 64), "15 x 64"), (0, (64, 8), "64 x 8")]
)
def test_invalid_seeds_and_sizes_are_named(seed, size, named):
    with pytest.raises(ConfigError, match=named):
        draw(seed, size)


def test_three_percent_of_the_pixels_are_crack_and_one_image_in_ten_has_none(drawn):
    _, masks = drawn
    assert 0.02 < masks.mean() < 0.05
    empty = (masks.sum((1, 2)) == 0).mean()
    assert 0.06 < empty < 0.14


def test_a_larger_image_shows_more_cracks_not_wider_ones():
    masks = np.stack([draw(seed, (320, 320))[1] for seed in range(12)])
    assert 0.01 < masks.mean() < 0.06
    assert np.percentile(widths(masks), 95) < 6.5


def widths(masks):
    """Return the widths along the skeletons, px; in the middle of a band w px wide the distance to the outside is (w + 1) / 2."""
    padded = [np.pad(mask, 1, mode="edge") for mask in masks if mask.any()]
    return np.concatenate([2 * distance_transform_edt(mask)[skeletonize(mask > 0)] - 1 for mask in padded])


def test_cracks_are_one_to_six_px_wide(drawn):
    low, middle, high = np.percentile(widths(drawn[1]), [5, 50, 95])
    assert 1 <= low <= middle <= 3
    assert 3 < high <= 6


@pytest.mark.parametrize("wanted", [0.2, 3, 40])
def test_no_crack_is_narrower_or_wider_than_stated(wanted):
    strokes = grow_crack(np.random.default_rng(0), np.zeros(2), 0.5, 400, wanted, rate=0.01)
    assert len(strokes) > 2
    drawn_widths = np.concatenate([stroke.width for stroke in strokes])
    assert drawn_widths.min() >= 1
    assert drawn_widths.max() <= 6


@pytest.mark.parametrize("width", [0.5, 1, 2, 3.7, 6])
def test_coverage_is_the_area_of_the_stroke(width):
    rng = np.random.default_rng(3)
    for angle in rng.uniform(0, np.pi, 10):
        direction = np.array([np.cos(angle), np.sin(angle)])
        points = rng.uniform(45, 55, 2) + np.linspace(-30, 30, 20)[:, None] * direction
        covered = coverage([Stroke(points, np.full(20, float(width)))], (100, 100))
        assert covered.sum() / 60 == pytest.approx(width, abs=0.12)
        y, x = np.mgrid[:100, :100]
        centre = np.array([(covered * x).sum(), (covered * y).sum()]) / covered.sum()
        assert (centre - points.mean(axis=0)) @ [-direction[1], direction[0]] == pytest.approx(0, abs=0.15)


def test_the_thinnest_crack_is_one_piece_because_its_path_is_drawn_too():
    alone, joined = [], []
    for seed in range(60):
        strokes = grow_crack(np.random.default_rng(seed), np.array([5.0, 60.0]), 0.1, 110, 1.0, rate=0)
        covered = coverage(strokes, (128, 128)) >= 0.5
        alone.append(label(covered, EIGHT)[1])
        joined.append(label(covered | centre_lines(strokes, (128, 128)), EIGHT)[1])
    assert max(alone) > 1
    assert set(joined) == {1}


def test_cracks_are_few_large_pieces(drawn):
    sizes = [np.bincount(label(mask, EIGHT)[0].ravel())[1:] for mask in drawn[1]]
    assert np.mean([len(pieces) for pieces in sizes]) < 3
    assert np.median(np.concatenate(sizes)) > 50


def test_cracks_are_darker_than_their_surroundings_by_various_amounts(drawn):
    contrasts = []
    for image, mask in zip(*drawn, strict=True):
        if mask.any():
            grey = image.mean(axis=2)
            distance = distance_transform_edt(mask == 0)
            contrasts.append(grey[(distance > 2) & (distance < 6)].mean() - grey[mask > 0].mean())
    assert np.mean(np.array(contrasts) > 5) > 0.97
    low, middle, high = np.percentile(contrasts, [10, 50, 90])
    assert middle > 30
    assert high > 2 * low


def test_no_grey_threshold_segments_the_cracks(drawn):
    images, masks = drawn
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images])
    scores = []
    for threshold in range(0, 256, 4):
        for predicted in (grey < threshold, grey > threshold):
            scores.append((predicted & (masks > 0)).sum() / (predicted | (masks > 0)).sum())
    assert masks.mean() < max(scores) < 0.25


def test_every_surface_is_in_single_precision():
    assert sum(share for _, share in SURFACES) == pytest.approx(1)
    for surface, _ in SURFACES:
        for seed in range(8):
            image = surface(np.random.default_rng(seed), (33, 47))
            assert image.shape == (33, 47, 3)
            assert image.dtype == np.float32
            assert 0.1 < image.mean() < 1
    assert all(wall(np.random.default_rng(seed), (40, 40)).dtype == np.float32 for seed in range(60))


@pytest.mark.parametrize(("cell", "octaves"), [(1, 1), (4, 1), (9, 1), (9, 4), ((20, 3), 1)])
def test_noise_has_mean_0_and_standard_deviation_1(cell, octaves):
    fields = np.stack([noise(np.random.default_rng(seed), (120, 110), cell, octaves) for seed in range(20)])
    assert fields.shape == (20, 120, 110)
    assert fields.mean() == pytest.approx(0, abs=0.1)
    assert fields.std() == pytest.approx(1, abs=0.3)
