"""Bridges between straight cracks given as lines: which gaps are bridged, from where to where, compared with hand-made geometry."""

from itertools import pairwise

import numpy as np
import pytest

from cracklab.measure.gaps import bridge_gaps
from cracklab.measure.measurement import Crack, Line

NONE = np.empty((0, 2))


def crack(*corners, width=0.2, area=1):
    """Return a crack along straight sides between corners, with a vertex every pixel and a tip at both ends."""
    points = [np.array(corners[:1], float)]
    for start, end in pairwise(corners):
        count = round(np.hypot(*np.subtract(end, start)))
        points.append(np.linspace(start, end, count + 1)[1:])
    line = np.concatenate(points)
    widths = Line(line, np.full(len(line), float(width)), np.ones(len(line), bool))
    return Crack((widths,), np.empty((0, 2, 2)), line[[0, -1]], NONE, area)


def ahead(distance, degrees):
    """Return the point at a distance from (0, 0), at an angle from the x axis."""
    return distance * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def test_a_gap_of_exactly_bridge_px_is_bridged():
    cracks = [crack((0, 0), (40, 0)), crack((44, 0), (80, 0))]
    (joined,) = bridge_gaps(cracks, 4)
    assert joined.gaps.tolist() in ([[[40, 0], [44, 0]]], [[[44, 0], [40, 0]]])
    assert len(bridge_gaps(cracks, 3.99)) == 2


@pytest.mark.parametrize(
    ("before", "after", "expected"), [(57, 0, 1), (0, 57, 1), (63, 0, 2), (0, 63, 2), (57, -57, 1)]
)
def test_a_bridge_turns_by_up_to_60_degrees_at_either_end(before, after, expected):
    tip = ahead(5, before)
    for first in (crack((-30, 0), (0, 0)), crack((0, 0), (-30, 0))):
        assert len(bridge_gaps([first, crack(tip, tip + ahead(30, before + after))], 5.01)) == expected


@pytest.mark.parametrize("backwards", [False, True])
def test_the_direction_of_a_tip_is_that_of_its_last_6_px(backwards):
    def bent(*corners):
        return crack(*(corners[::-1] if backwards else corners))

    hook = bent((-30, 0), (0, 0), (0, 1))  # its last pixel turns by 90 degrees
    (joined,) = bridge_gaps([hook, crack((5, 1), (35, 1))], 5)
    assert len(joined.branch_points) == 0  # from tip to tip
    corner = bent((-7, 40), (-7, 0), (0, 0))  # all of it leads upwards, its last 7 px lead to the right
    (joined,) = bridge_gaps([corner, crack(ahead(5, 40), ahead(35, 40))], 5.01)
    assert len(joined.branch_points) == 0


def test_the_gap_to_the_side_of_a_crack_is_measured_from_its_edge():
    cracks = [crack((0, 0), (40, 0)), crack((50, -30), (50, 30), width=12)]  # its edge is at x = 44
    (joined,) = bridge_gaps(cracks, 4.01)
    assert joined.branch_points.tolist() == [[50, 0]]
    assert len(joined.tips) == 3
    assert joined.gap_length_px == 10  # up to the centre line
    assert len(bridge_gaps(cracks, 3.9)) == 2


def test_a_tip_is_preferred_to_the_side_beside_it():
    cracks = [
        crack((0, 0), (40, 0), width=6),
        crack((45, 2), (85, 2), width=6),
    ]  # 5.39 px; the side at (48, 2): 5.25 px
    (joined,) = bridge_gaps(cracks, 6)
    assert joined.gap_length_px == pytest.approx(np.hypot(5, 2))
    assert (len(joined.tips), len(joined.branch_points)) == (2, 0)


def test_a_tip_has_at_most_one_bridge_to_the_closest_crack():
    cracks = [crack((0, 0), (40, 0)), crack((46, 3), (80, 20)), crack((45, -2), (80, -20))]
    for order in ([0, 1, 2], [2, 1, 0]):
        found = sorted(bridge_gaps([cracks[i] for i in order], 7), key=lambda one: len(one.lines))
        assert [len(one.lines) for one in found] == [1, 2]
        assert found[0].tips[0].tolist() == [46, 3]


def test_two_tips_may_lead_to_the_same_place_on_a_side():
    cracks = [crack((0, 0), (46, 0)), crack((50, -30), (50, 30), area=5), crack((54, 0), (90, 0))]
    (joined,) = bridge_gaps(cracks, 4)
    assert joined.branch_points.tolist() == [[50, 0]] * 2
    assert (len(joined.lines), len(joined.gaps), len(joined.tips), joined.area_px) == (3, 2, 4, 7)


def test_cracks_that_are_joined_get_no_second_bridge():
    """Two halves of a square: one of its two gaps stays open."""
    cracks = [crack((20, 0), (0, 0), (0, 40), (20, 40)), crack((24, 0), (44, 0), (44, 40), (24, 40))]
    (joined,) = bridge_gaps(cracks, 4)
    assert (len(joined.gaps), len(joined.tips)) == (1, 2)


def test_every_group_of_cracks_has_its_own_bridges():
    cracks = [crack((x, y), (x + 20, y)) for y in (0, 50) for x in (0, 24)]
    found = bridge_gaps(cracks, 4)
    assert [(one.length_px, one.gap_length_px, len(one.tips)) for one in found] == [(44, 4, 2)] * 2
