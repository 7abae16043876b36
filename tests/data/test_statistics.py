import numpy as np
import pytest

from cracklab.data.statistics import mask_statistics


def test_shares_are_of_valid_pixels():
    mask = np.zeros((10, 10), np.uint8)
    mask[0] = 1
    mask[5:] = 255
    found = mask_statistics([mask, np.zeros((10, 10), np.uint8)])
    assert found.images == 2
    assert found.crack_share == pytest.approx(10 / 150)
    assert found.width_px_p50 == 1


def test_without_cracks_everything_is_zero():
    found = mask_statistics([np.zeros((10, 10), np.uint8)])
    assert (found.crack_share, found.width_px_p5, found.width_px_p50, found.width_px_p95) == (0, 0, 0, 0)
