import pickle

import cv2
import numpy as np
import pytest
from scipy import ndimage

from cracklab.data.augment import POLICIES
from cracklab.errors import ConfigError


@pytest.fixture
def example():
    rng = np.random.default_rng(0)
    mask = np.zeros((64, 48), np.uint8)
    cv2.polylines(mask, [np.array([[3, 5], [20, 40], [45, 60]])], False, 1, 2)
    return rng.integers(0, 256, (64, 48, 3), dtype=np.uint8), mask


@pytest.mark.parametrize("name", list(POLICIES))
def test_a_policy_depends_on_its_generator_alone_keeps_labels_and_does_not_modify_its_input(name, example):
    image, mask = example
    mask = np.where(np.arange(48) > 44, 255, mask).astype(np.uint8)
    before = image.copy(), mask.copy()
    image.flags.writeable = mask.flags.writeable = False
    policy, other = POLICIES[name](), POLICIES[name]()
    for seed in (5, 2, 9):
        other(image, mask, np.random.default_rng(seed))
    results = {}
    for seed in (2, 9, 5, 11, 12, 13, 14, 15):
        first = policy(image, mask, np.random.default_rng(seed))
        again = other(image, mask, np.random.default_rng(seed))
        np.testing.assert_array_equal(first[0], again[0])
        np.testing.assert_array_equal(first[1], again[1])
        assert first[0].shape[:2] == first[1].shape
        assert first[0].dtype == first[1].dtype == np.uint8
        assert set(np.unique(first[1])) <= {0, 1, 255}
        results[seed] = first[0].tobytes()
    assert (len(set(results.values())) > 2) == (name != "none")
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize("name", list(POLICIES))
def test_a_pickled_policy_gives_the_same_samples(name, example):
    policy = POLICIES[name]()
    moved = pickle.loads(pickle.dumps(policy))
    np.testing.assert_array_equal(
        moved(*example, np.random.default_rng(3))[0], policy(*example, np.random.default_rng(3))[0]
    )


@pytest.mark.parametrize("name", list(POLICIES))
def test_policies_do_not_use_the_global_generator(name, example):
    policy = POLICIES[name]()
    before = np.random.get_state()[1].copy()
    policy(*example, np.random.default_rng(0))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_flips_reach_all_eight_symmetries_and_move_image_and_mask_together():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    policy = POLICIES["flips"](brightness=0, contrast=0, cast=0, noise=0)
    seen = set()
    for seed in range(100):
        turned, mask = policy(np.repeat(image[..., None], 3, axis=2), image, np.random.default_rng(seed))
        np.testing.assert_array_equal(turned[..., 0], mask)
        seen.add((mask.shape, mask.tobytes()))
    expected = {np.rot90(base, turn).tobytes() for base in (image, image[:, ::-1]) for turn in range(4)}
    assert {content for _, content in seen} == expected


def test_flips_change_light_within_their_bounds_in_half_of_the_cases():
    grey = np.full((8, 8, 3), 128, np.uint8)
    policy = POLICIES["flips"](brightness=0.1, contrast=0.2, cast=0.1, noise=0)
    means = np.array([policy(grey, grey[..., 0], np.random.default_rng(s))[0].mean((0, 1)) for s in range(200)])
    assert 0.3 < (means != 128).any(axis=1).mean() < 0.7  # half of the cases
    # contrast and cast scale around 127.5, so the change of 128 is that of brightness, at most 0.1 of the range
    assert np.abs(means - 128).max() <= 0.1 * 255 + 1
    assert np.abs(means - 128).max() > 0.08 * 255


def test_flips_add_noise_up_to_the_given_strength_in_a_quarter_of_the_cases():
    grey = np.full((64, 64, 3), 128, np.uint8)
    policy = POLICIES["flips"](brightness=0, contrast=0, cast=0, noise=0.05)
    spread = np.array([policy(grey, grey[..., 0], np.random.default_rng(s))[0].std() for s in range(200)])
    assert 0.15 < (spread > 0).mean() < 0.35  # a quarter of the cases
    assert 0.04 * 255 < spread.max() < 0.055 * 255  # the standard deviation is uniform up to 0.05 of the range


def test_steps_of_a_policy_are_drawn_independently(example):
    """With the same seed for every step, flips, light and noise would always occur together."""
    policy = POLICIES["strong"]()
    image = np.full((32, 32, 3), 128, np.uint8)
    draws = [policy(image, image[..., 0] // 128, np.random.default_rng(s))[0] for s in range(60)]
    brightness, noise = np.array([d.mean() for d in draws]), np.array([d.std(axis=(0, 1)).mean() for d in draws])
    assert ((brightness != 128) & (noise < 1)).any()
    assert len(np.unique(brightness)) > 20


@pytest.mark.parametrize("name", ["ozcan2024", "krasniqi2026", "strong"])
def test_warps_keep_lines_of_one_pixel_connected(name):
    mask = np.zeros((160, 160), np.uint8)
    cv2.polylines(mask, [np.array([[60, 50], [80, 80], [95, 110]])], False, 1, 1)
    image = np.zeros((160, 160, 3), np.uint8)
    policy = POLICIES[name]()
    parts = [ndimage.label(policy(image, mask, np.random.default_rng(s))[1], np.ones((3, 3)))[1] for s in range(60)]
    assert np.median(parts) == 1
    assert np.mean(parts) < 1.5


def test_warps_widen_a_thin_class_only_if_it_is_the_only_class(example):
    """A thin class is widened if it is crack against background, not if it is one of several classes."""
    mask = np.zeros((160, 160), np.uint8)
    mask[40:120, 60:64] = 1
    image = np.zeros((160, 160, 3), np.uint8)
    policy = POLICIES["ozcan2024"]()
    # mean area of class 1 by the number of classes
    areas = {
        classes: np.mean([(policy(image, mask, np.random.default_rng(s), classes)[1] == 1).sum() for s in range(40)])
        for classes in (1, 3)
    }
    assert areas[3] == pytest.approx(mask.sum(), rel=0.03)
    assert areas[1] > 1.05 * areas[3]


def test_chen2023_has_all_ranges_of_the_figure():
    """Noise and blur are always applied, hue or brightness in half of the cases each, and never both."""
    policy = POLICIES["chen2023"]()
    noise, blur = policy._compose.transforms[-2:]
    assert noise.std_range == pytest.approx((10**0.5 / 255, 50**0.5 / 255))
    assert (noise.p, blur.p, blur.blur_limit, blur.sigma_limit) == (1, 1, (1, 7), (1, 8))
    colour = policy._compose.transforms[2]
    hue, light = colour.transforms
    assert (colour.p, hue.p, light.p) == (1, 0.5, 0.5)
    assert (hue.hue_shift_limit, hue.sat_shift_limit, hue.val_shift_limit) == ((-20, 20), (-30, 30), (-20, 20))
    assert (light.brightness_limit, light.contrast_limit) == ((-0.2, 0.2), (-0.2, 0.2))
    assert [step.p for step in policy._compose.transforms[:2]] == [0.5, 0.5]


def test_a_misspelt_policy_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'strong'"):
        POLICIES["stron"]
