import pickle

import numpy as np
import pytest
import torch

from cracklab.data.transform import EvalTransform
from cracklab.errors import ConfigError


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def prepared(transform, height, width):
    image, mask = transform.prepare(photo(height, width), np.zeros((height, width), np.uint8))
    assert image.shape[:2] == mask.shape
    return mask.shape


@pytest.mark.parametrize(
    ("crop", "resize", "expected"),
    [
        (None, None, (384, 544)),
        (384, None, (384, 384)),
        (384, 96, (96, 96)),
        (None, 96, (96, 136)),
        (None, (100, 50), (100, 50)),
        (1000, None, (384, 544)),
    ],
)
def test_crop_and_resize_give_the_expected_size(crop, resize, expected):
    assert prepared(EvalTransform(crop, resize), 384, 544) == expected


def test_the_crop_is_from_the_centre():
    image = photo(11, 21)
    cut, mask = EvalTransform(crop=5).prepare(image, image[..., 0])
    np.testing.assert_array_equal(cut, image[3:8, 8:13])
    np.testing.assert_array_equal(mask, image[3:8, 8:13, 0])


def test_denormalise_inverts_normalise():
    image = photo(6, 8)
    transform = EvalTransform(mean=(0.2, 0.3, 0.4), std=(0.5, 0.6, 0.7))
    planes = torch.from_numpy(transform.planes(image))[None]
    result = transform.normalise(planes)
    expected = (image / 255 - np.array([0.2, 0.3, 0.4])) / np.array([0.5, 0.6, 0.7])
    np.testing.assert_allclose(result[0].permute(1, 2, 0), expected, atol=1e-6)
    assert result.dtype == torch.float32
    np.testing.assert_array_equal(transform.denormalise(result[0]), image)


def test_grey_is_luminance_normalised_by_the_average_of_mean_and_std():
    image = photo(6, 8)
    transform = EvalTransform(channels=1, mean=(0.2, 0.3, 0.4), std=(0.5, 0.6, 0.7))
    luminance = image @ np.array([0.299, 0.587, 0.114])
    result = transform.normalise(torch.from_numpy(transform.planes(image))[None])[0]
    assert result.shape == (1, 6, 8)
    # averages of mean and std: 0.3 and 0.6; rounding to grey levels changes the result by 0.5 / 255 / 0.6
    np.testing.assert_allclose(result[0], (luminance / 255 - 0.3) / 0.6, atol=0.004)
    shown = transform.denormalise(result)
    assert shown.shape == (6, 8, 3)
    np.testing.assert_allclose(shown[..., 2], luminance, atol=1)


def test_a_pickled_transform_is_equal():
    transform = EvalTransform(384, 96, 1)
    assert pickle.loads(pickle.dumps(transform)) == transform


@pytest.mark.parametrize("wrong", [{"crop": 0}, {"resize": -3}, {"resize": (5, 0)}, {"coverage": 0.0}])
def test_impossible_sizes_and_coverages_are_refused(wrong):
    with pytest.raises(ConfigError, match=r" is .*: give "):
        EvalTransform(**wrong)
