import numpy as np
import pytest

from cracklab.data.statistics import mask_statistics


def test_the_crack_share_refers_to_valid_pixels():
    mask = np.zeros((10, 10), np.uint8)
    mask[0] = 1
    mask[5:] = 255
    found = mask_statistics([mask, np.zeros((10, 10), np.uint8)])
    assert found.images == 2
    assert found.crack_share == pytest.approx(10 / 150)  # of 5 x 10 + 10 x 10 valid pixels
    assert found.width_px_p50 == 1  # one row


def test_masks_without_cracks_have_share_and_widths_of_zero():
    found = mask_statistics([np.zeros((10, 10), np.uint8)])
    assert (found.crack_share, found.width_px_p5, found.width_px_p50, found.width_px_p95) == (0, 0, 0, 0)
