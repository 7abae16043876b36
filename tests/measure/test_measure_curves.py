"""Lengths and widths of bends, corners, crossings, branches and forks, compared with their closed form."""

import numpy as np
import pytest
from crack_shapes import CURVES, arc, arc_curve, crossing, curve_length, drawn, sine_curve, stroke, tee, turned
from scipy.spatial import cKDTree

from cracklab.measure import measure_mask
from cracklab.measure.centring import _interpolate
from cracklab.measure.smoothing import smooth

LENGTH = {
    "arc, radius 20, 100 degrees": 0.03,
    "arc, radius 8, 270 degrees": 0.03,
    "ring, radius 4": 0.065,
    "sine, smallest radius 4.6": 0.05,
    "sine, smallest radius 2.0": 0.07,
    "sine, smallest radius 4.1, wide": 0.08,
    "corners of 90 degrees, 50 px apart": 0.04,
    "fork of 15 degrees": 0.03,
    "arc, radius 6, 180 degrees, thin": 0.03,
}
"""Accepted relative error of the length; 1 % for all other curves."""
LARGEST = {
    "sine, smallest radius 4.6": 1.3,
    "sine, smallest radius 4.1, wide": 1.4,
    "corners of 90 degrees, 50 px apart": 2.1,
    "crossing at 40 degrees, thin": 0.8,
}
"""Accepted error of the largest width; 0.6 px for all other curves."""


@pytest.mark.parametrize("name", CURVES)
def test_length_and_widths_of_curves(name):
    curves, width = CURVES[name]
    rng = np.random.default_rng(1)
    for _ in range(2):
        summary = measure_mask(drawn(curves, width, rng)).summary()
        assert summary["length_px"] == pytest.approx(curve_length(*curves), rel=LENGTH.get(name, 0.01))
        assert summary["width_p50_px"] == pytest.approx(width, abs=0.2)
        assert summary["width_max_px"] == pytest.approx(width, abs=LARGEST.get(name, 0.6))


@pytest.mark.parametrize(
    ("curves", "width"),
    [([sine_curve(10, 60, 240)], 6), ([sine_curve(60, 300, 200)], 24), ([arc_curve(8, 270)], 6)],
)
def test_centre_lines_follow_the_curve_to_a_fraction_of_a_pixel(curves, width):
    rng = np.random.default_rng(0)
    for _ in range(2):
        angle, shift = rng.uniform(0, 360), rng.uniform(-0.5, 0.5, 2)
        drawn_curves = [turned(curve, angle, shift) for curve in curves]
        mask, origin = stroke(*drawn_curves, width=width)
        (crack,) = measure_mask(mask).cracks
        points = np.concatenate([line.points for line in crack.lines])
        points = points[cKDTree(crack.tips).query(points)[0] > width] + origin
        distance = cKDTree(np.concatenate(drawn_curves)).query(points)[0]
        assert np.sqrt(np.mean(distance**2)) < 0.14


@pytest.mark.parametrize("angle", [90, 60])
def test_centre_lines_meet_in_their_branch_point(angle):
    curves = [turned(curve, 20) for curve in tee(angle, 100, 50)]
    (crack,) = measure_mask(stroke(*curves, width=8)[0]).cracks
    ends = np.concatenate([line.points[[0, -1]] for line in crack.lines])
    (point,) = crack.branch_points
    assert np.count_nonzero(np.hypot(*(ends - point).T) < 1e-9) == 3


@pytest.mark.parametrize(("curves", "width"), [(crossing(90, 100), 6), (tee(90, 100, 50), 8)])
def test_lines_are_not_centred_where_another_crack_is_beside_them(curves, width):
    rng = np.random.default_rng(0)
    lengths = [measure_mask(drawn(curves, width, rng)).summary()["length_px"] for _ in range(4)]
    assert np.mean(lengths) == pytest.approx(curve_length(*curves), rel=0.01)


def test_smoothing_shrinks_a_circle_by_the_square_of_what_a_gaussian_removes():
    sigma, radius = 3.0, 12.0
    removed = 1 - np.exp(
        -(sigma**2) / (2 * radius**2)
    )  # Fourier transform of the Gaussian at the frequency of the circle
    line = smooth(arc_curve(radius, 360), sigma)
    np.testing.assert_array_equal(line[0], line[-1])
    np.testing.assert_allclose(np.hypot(*line.T), radius * (1 - removed**2), atol=0.005)


def test_vertices_without_a_middle_move_like_their_neighbours():
    offsets = np.array([np.nan, 1, np.nan, np.nan, 4, np.nan])
    assert _interpolate(offsets)
    np.testing.assert_allclose(offsets, np.interp(np.arange(6), [1, 4], [1, 4]))


def test_thin_arcs_are_followed_to_their_ends():
    rng = np.random.default_rng(0)
    errors = []
    for width, radius in ((1, 5), (2, 6)):
        for span in np.repeat((60, 90, 180, 270), 6):
            mask = arc(radius, width, rng.uniform(0, 360), span, rng.uniform(-0.5, 0.5, 2))
            errors.append(measure_mask(mask).summary()["length_px"] - radius * np.radians(span))
    assert np.sqrt(np.mean(np.square(errors))) < 1  # 1.7 px if lines continue straight


@pytest.mark.parametrize(
    ("name", "tips", "branch_points"), [("crossing at 15 degrees", 4, 1), ("fork of 15 degrees", 3, 1)]
)
def test_cracks_that_meet_at_an_acute_angle_have_one_branch_point(name, tips, branch_points):
    curves, width = CURVES[name]
    summary = measure_mask(drawn(curves, width, np.random.default_rng(2))).summary()
    assert (summary["tips"], summary["branch_points"]) == (tips, branch_points)


def test_centre_lines_of_arcs_are_on_the_circle_to_a_fraction_of_a_pixel():
    mask = arc(20, 7, 10, 200, (0.3, -0.2))
    (line,) = measure_mask(mask).cracks[0].lines
    centre = np.array([mask.shape[1] / 2 + 0.3, mask.shape[0] / 2 - 0.2])
    radius = np.hypot(*(line.points - centre).T)
    assert np.abs(radius - 20).max() < 1
    assert radius.mean() == pytest.approx(20, abs=0.1)
