import numpy as np
import pytest

from cracklab.data.statistics import mask_statistics
from cracklab.geometry.masks import widths


@pytest.mark.parametrize("width", range(1, 10))
def test_straight_lines_have_their_width(width):
    mask = np.zeros((60, 120), bool)
    mask[20 : 20 + width, 10:110] = True
    assert np.median(widths(mask)) == width
    assert np.median(widths(np.ascontiguousarray(mask.T))) == width


@pytest.mark.parametrize("width", [2, 3, 4.5, 6, 8])
def test_slanted_lines_have_nearly_their_width(width):
    y, x = np.mgrid[-80:80, -80:80] + 0.3
    medians = []
    for angle in np.deg2rad(np.arange(0, 180, 7)):
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        medians.append(np.median(widths((np.abs(across) <= width / 2) & (np.abs(along) < 60))))
    assert np.mean(medians) == pytest.approx(width, abs=0.4)


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
