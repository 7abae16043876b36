"""Branches, spurs, holes, gaps, and degenerate masks."""

import numpy as np
import pytest
from crack_shapes import strip

from cracklab.errors import CracklabError
from cracklab.measure import measure_mask


def canvas(height=120, width=160):
    return np.zeros((height, width), bool)


def test_a_branch_has_one_branch_point_and_three_tips():
    mask = canvas()
    mask[50:55, 10:150] = True
    mask[54:110, 80:83] = True
    measurement = measure_mask(mask)
    (crack,) = measurement.cracks
    assert len(crack.lines) == 3
    (point,) = crack.branch_points
    np.testing.assert_allclose(point, (81, 52), atol=2)
    tips = crack.tips[np.lexsort(crack.tips.T.round())]
    np.testing.assert_allclose(tips, [(9.5, 52), (149.5, 52), (81, 109.5)], atol=1)
    # 140 px across and 57.5 px down, from the centre of the main line to the end of the branch
    assert measurement.summary()["length_px"] == pytest.approx(140 + 57.5, rel=0.02)
    assert measurement.summary()["width_p95_px"] == pytest.approx(5, abs=0.3), (
        "the wide place at the branch point counts"
    )


@pytest.mark.parametrize("width", [3, 6, 10])
def test_crossing_strips_have_one_branch_point(width):
    """Their skeleton has two branch points, in each other's inscribed disc."""
    (crack,) = measure_mask(strip(100, width, 10) | strip(100, width, 100)).cracks
    assert len(crack.branch_points) == 1
    assert len(crack.tips) == 4
    assert crack.length_px == pytest.approx(200, rel=0.02)


def test_thin_strips_that_cross_have_one_branch_point_nearly_everywhere():
    rng, wrong = np.random.default_rng(0), 0
    for width in (1, 2, 4):
        for crossing in (90, 75, 60) * 4:
            angle, shift = rng.uniform(0, 180), rng.uniform(-0.5, 0.5, 2)
            mask = strip(60, width, angle, shift) | strip(60, width, angle + crossing, shift)
            summary = measure_mask(mask).summary()
            assert summary["tips"] == 4
            wrong += summary["branch_points"] != 1
    assert wrong <= 2  # of 36; 6 without `SAME_PX`


@pytest.mark.parametrize(("width", "bump"), [(4, 2), (8, 3), (12, 4)])
def test_bumps_on_the_edge_are_not_branches(width, bump):
    rng = np.random.default_rng(width)
    mask = canvas()
    mask[60 : 60 + width, 10:150] = True
    for x in rng.integers(15, 140, 12):
        mask[60 - bump : 60, x : x + bump - 1] = True
    summary = measure_mask(mask).summary()
    assert (summary["tips"], summary["branch_points"]) == (2, 0)
    assert summary["length_px"] == pytest.approx(140, rel=0.01)


def test_small_holes_are_filled_and_large_ones_are_kept():
    mask = canvas()
    mask[50:58, 10:150] = True
    mask[53:56, 70:75] = False
    assert measure_mask(mask).summary()["branch_points"] == 0
    assert measure_mask(mask).summary()["area_px"] == 8 * 140
    mask[50:80, 100:130] = True
    mask[54:76, 104:126] = False
    assert measure_mask(mask).summary()["branch_points"] == 2


def test_a_crack_that_leaves_the_photo_is_measured_up_to_the_border():
    mask = strip(400, 6, 25)[150:250, 150:250]
    summary = measure_mask(mask).summary()
    assert summary["length_px"] == pytest.approx(100 / np.cos(np.radians(25)), rel=0.02)
    assert summary["width_p50_px"] == pytest.approx(6, abs=0.3)


def two_strips(gap):
    """Two strips in line, `gap` px apart."""
    mask = canvas()
    mask[60:64, 10:70] = True
    mask[60:64, 70 + gap : 150] = True
    return mask


def test_gaps_are_bridged_up_to_bridge_px():
    assert len(measure_mask(two_strips(9)).cracks) == 2
    assert len(measure_mask(two_strips(9), bridge_px=8.5).cracks) == 2
    (crack,) = measure_mask(two_strips(9), bridge_px=9.5).cracks
    np.testing.assert_allclose(np.sort(crack.gaps[0][:, 0]), [69.5, 78.5], atol=0.6)
    assert crack.gap_length_px == pytest.approx(9, abs=0.5)
    assert crack.length_px == pytest.approx(140, rel=0.01)
    assert len(crack.tips) == 2
    assert crack.area_px == two_strips(9).sum()


def test_several_gaps_in_a_row_are_bridged():
    mask = canvas()
    for start in range(10, 150, 20):
        mask[60:62, start : start + 15] = True
    (crack,) = measure_mask(mask, bridge_px=6).cracks
    assert len(crack.gaps) == 6
    assert len(crack.tips) == 2


def test_parallel_cracks_are_not_bridged_but_one_that_leads_into_a_side_is():
    mask = canvas()
    mask[60:63, 10:150] = True
    mask[67:70, 10:150] = True
    assert len(measure_mask(mask, bridge_px=6).cracks) == 2
    mask[67:70] = False
    mask[20:57, 80:83] = True  # leads into the side of the other
    (crack,) = measure_mask(mask, bridge_px=6).cracks
    assert len(crack.gaps) == 1
    np.testing.assert_allclose(crack.branch_points, [(81, 61)], atol=2)
    assert len(crack.tips) == 3


@pytest.mark.parametrize(("ahead", "cracks"), [(8, 1), (3, 2)])
def test_bridges_turn_by_up_to_60_degrees(ahead, cracks):
    """From the tip of one crack, that of the other is 10 px aside: at 51 and 73 degrees."""
    mask = canvas()
    mask[60, 10:50] = mask[70, 50 + ahead : 90] = True
    assert len(measure_mask(mask, bridge_px=np.hypot(ahead, 10) + 0.1).cracks) == cracks


def test_cracks_shorter_than_min_length_px_are_ignored():
    mask = canvas()
    mask[20:23, 10:60] = mask[60:63, 10:20] = True
    assert len(measure_mask(mask, min_length_px=9).cracks) == 2
    assert [crack.length_px for crack in measure_mask(mask, min_length_px=11).cracks] == pytest.approx([50], abs=1)


def test_an_empty_and_a_full_mask_are_measured():
    empty = measure_mask(canvas()).summary()
    assert empty["cracks"] == empty["length_px"] == empty["area_px"] == 0
    assert empty["width_p50_px"] is empty["orientation_deg"] is None
    full = measure_mask(~canvas()).summary()
    assert full["cracks"] == 1
    assert full["length_px"] == pytest.approx(160, abs=1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2)])
def test_the_smallest_masks_are_measured(shape):
    summary = measure_mask(np.ones(shape, bool)).summary()
    assert summary["cracks"] == 1
    assert summary["length_px"] == pytest.approx(max(shape), abs=1)


def test_specks_have_the_length_of_their_longest_extent():
    mask = canvas()
    mask[10, 10] = mask[30:32, 30:33] = mask[60, 60] = mask[61, 61] = True
    lengths = [crack.length_px for crack in measure_mask(mask).cracks]
    assert lengths == pytest.approx([3, 2, 1], abs=0.5)


def test_noise_is_measured_without_warnings():
    rng = np.random.default_rng(0)
    for share in (0.02, 0.2, 0.5):
        measurement = measure_mask(rng.random((100, 100)) < share, bridge_px=3)
        for crack in measurement.cracks:
            for line in crack.lines:
                assert np.isfinite(line.points).all()
                assert (line.width_px >= 0).all()
                assert len(line.points) == len(line.width_px) == len(line.width_valid) >= 2


def test_values_in_mm_are_those_in_px_times_the_scale():
    mask = strip(150, 4, 30)
    px, mm = measure_mask(mask).summary(), measure_mask(mask, mm_per_px=0.25).summary()
    for name in ("length", "width_p50", "width_p95", "width_max"):
        assert mm[f"{name}_mm"] == pytest.approx(0.25 * px[f"{name}_px"])
        assert px[f"{name}_mm"] is None
    assert mm["area_mm2"] == pytest.approx(0.0625 * px["area_px"])  # 0.25^2


@pytest.mark.parametrize(
    ("mask", "options", "expected"),
    [
        (np.zeros((3, 4), np.uint8), {}, "uint8"),
        (np.zeros((3, 4, 1), bool), {}, r"\(3, 4, 1\)"),
        (np.zeros((3, 4), bool), {"mm_per_px": 0}, "0 mm per px"),
        (np.zeros((3, 4), bool), {"mm_per_px": float("nan")}, "nan mm per px"),
        (np.zeros((3, 4), bool), {"bridge_px": -1}, "-1 px"),
        (np.zeros((3, 4), bool), {"min_length_px": float("inf")}, "inf px"),
    ],
)
def test_invalid_arguments_are_errors_that_name_the_value(mask, options, expected):
    with pytest.raises(CracklabError, match=expected):
        measure_mask(mask, **options)
