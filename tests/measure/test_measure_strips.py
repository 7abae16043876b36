"""Lengths and widths of strips and arcs, compared with their closed form."""

import numpy as np
import pytest
from crack_shapes import arc, strip

from cracklab.measure import measure_mask

WIDTHS = range(1, 13)


def check(mask, length, width):
    measurement = measure_mask(mask)
    summary = measurement.summary()
    assert summary["cracks"] == 1
    assert (summary["tips"], summary["branch_points"]) == (2, 0)
    assert summary["length_px"] == pytest.approx(length, rel=0.02)
    assert summary["width_p50_px"] == pytest.approx(width, abs=0.5)
    assert summary["width_p95_px"] == pytest.approx(width, abs=0.7)
    assert summary["width_max_px"] == pytest.approx(width, abs=0.9)
    assert summary["area_px"] == mask.sum()
    return measurement


@pytest.mark.parametrize("width", WIDTHS)
def test_length_and_width_of_straight_cracks_at_any_angle(width):
    rng = np.random.default_rng(width)
    for length, angle in zip((60, 80, 150, 400), rng.uniform(0, 180, 4), strict=True):
        measurement = check(strip(length, width, angle, rng.uniform(-0.5, 0.5, 2)), length, width)
        summary = measurement.summary()
        assert abs((summary["orientation_deg"] - angle + 90) % 180 - 90) < 1.5
        assert summary["alignment"] > 0.95


@pytest.mark.parametrize("width", WIDTHS)
def test_widths_along_rows_and_columns_are_exact(width):
    """The mask determines the width to the pixel; twice the distance would be 1 px too large for odd widths."""
    for angle in (0, 90):
        measurement = check(strip(120, width, angle), 120, width)
        summary = measurement.summary()
        np.testing.assert_allclose(
            measurement.cracks[0].lines[0].width_px[[0, -1]], width, rtol=0.06
        )  # half a step of line
        assert summary["width_p50_px"] == pytest.approx(width, abs=0.01)
        assert summary["width_max_px"] == pytest.approx(width, abs=0.7)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_centre_line_of_a_band_along_the_border_is_its_middle(width):
    mask = np.zeros((20, 80), bool)
    mask[:width] = True
    (line,) = measure_mask(mask).cracks[0].lines
    np.testing.assert_allclose(line.points[:, 1], (width - 1) / 2, atol=0.01)


@pytest.mark.parametrize("width", WIDTHS)
def test_widths_at_45_degrees_are_known_to_the_spacing_of_diagonal_lines_of_pixels(width):
    """Diagonal lines of pixels are 1 / sqrt(2) px apart."""
    for angle in (45, 135):
        mask = strip(120, width, angle, (0.3, 0.1))
        summary = measure_mask(mask).summary()
        assert summary["length_px"] == pytest.approx(120, rel=0.02)
        assert summary["width_p50_px"] == pytest.approx(width, abs=0.5**0.5)
        assert summary["width_p50_px"] == pytest.approx(mask.sum() / 120, abs=0.2)


@pytest.mark.parametrize("width", WIDTHS)
def test_length_and_width_of_arcs(width):
    rng = np.random.default_rng(width)
    for radius in (40, 100):
        span = rng.uniform(100, 220) * 40 / radius
        mask = arc(radius, width, rng.uniform(0, 360), span, rng.uniform(-0.5, 0.5, 2))
        check(mask, radius * np.radians(span), width)


def test_a_ring_has_no_tips():
    summary = measure_mask(arc(50, 5, 0, 360)).summary()
    assert summary["tips"] == summary["branch_points"] == 0
    assert summary["length_px"] == pytest.approx(2 * np.pi * 50, rel=0.01)
    assert summary["width_p50_px"] == pytest.approx(5, abs=0.2)
    assert summary["alignment"] < 0.05


def test_widths_along_a_wedge_grow_linearly():
    """A crack that opens from 2 to 12 px over 300 px, at an angle."""
    y, x = np.mgrid[:260, :340]
    angle = np.radians(30)
    along = (x - 25) * np.cos(angle) + (y - 40) * np.sin(angle)
    across = -(x - 25) * np.sin(angle) + (y - 40) * np.cos(angle)
    width = 2 + 10 * along / 300
    mask = (along >= 0) & (along < 300) & (np.abs(across) < width / 2)
    measurement = measure_mask(mask)
    (line,) = measurement.cracks[0].lines
    place = (line.points - (25, 40)) @ (np.cos(angle), np.sin(angle))
    np.testing.assert_allclose(line.width_px[line.width_valid], 2 + 10 * place[line.width_valid] / 300, atol=0.6)
    summary = measurement.summary()
    assert summary["width_p50_px"] == pytest.approx(7, abs=0.3)
    assert summary["width_p95_px"] == pytest.approx(11.5, abs=0.4)
    assert summary["width_max_px"] == pytest.approx(12, abs=0.5)
    assert summary["length_px"] == pytest.approx(300, rel=0.01)


def test_centre_lines_are_in_the_middle_and_reach_the_ends():
    mask = strip(150, 7, 20, (0.2, -0.3))
    (line,) = measure_mask(mask).cracks[0].lines
    offset = line.points - (mask.shape[1] / 2 + 0.2, mask.shape[0] / 2 - 0.3)
    direction = np.array([np.cos(np.radians(20)), -np.sin(np.radians(20))])
    assert np.abs(offset @ (-direction[1], direction[0])).max() < 1.2
    np.testing.assert_allclose(sorted((offset @ direction)[[0, -1]]), [-75, 75], atol=1)
    steps = np.hypot(*np.diff(line.points, axis=0).T)
    np.testing.assert_allclose(steps, 1, atol=0.1)
