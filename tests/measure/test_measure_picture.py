"""Pictures and figures of measurements, as they are looked at."""

import cv2
import numpy as np
import pytest

from cracklab.measure import measure_mask, picture
from cracklab.measure.figure import draw_figure, scale_bar, write_figure
from cracklab.measure.legend import PALETTE, ColourScale


def coloured(image):
    return np.ptp(image.astype(int), axis=2) > 60


@pytest.fixture(scope="module")
def crowded():
    """A wall with 50 short cracks of 2 to 9 px, some of which cross."""
    rng, mask = np.random.default_rng(1), np.zeros((700, 1000), np.uint8)
    for _ in range(50):
        points = rng.integers(0, (1000, 700)) + np.cumsum(rng.normal(0, 25, (8, 2)), axis=0)
        cv2.polylines(mask, [np.rint(points).astype(np.int32)], False, 1, int(rng.integers(2, 10)))
    return measure_mask(mask > 0, mm_per_px=0.5), mask > 0


def test_labels_of_a_crowded_wall_hide_no_crack(crowded, monkeypatch):
    measurement, mask = crowded
    assert len(measurement.cracks) > 20
    photo = np.full((*mask.shape, 3), 128, np.uint8)
    labelled = picture.draw_measurement(measurement, mask, photo)[:700]
    monkeypatch.setattr(picture, "LABELLED", 0)
    plain = picture.draw_measurement(measurement, mask, photo)[:700]
    assert ((labelled == 255).all(axis=2) & (plain == 128).all(axis=2)).sum() > 20_000, "there are labels"
    hidden = coloured(plain) & ~coloured(labelled)
    assert hidden.sum() < 0.06 * coloured(plain).sum(), "leaders and bars cross cracks, labels do not"
    area = cv2.erode(hidden.astype(np.uint8), np.ones((8, 8), np.uint8))  # wider than bars and leaders
    assert not area.any()


@pytest.mark.parametrize("side", [800, 1500, 2400, 6000])
def test_a_line_is_three_pixels_thick_on_a_screen_of_1500_px(side):
    mask = np.zeros((60, side), bool)
    mask[30:32, 50:-50] = True
    image = picture.draw_measurement(measure_mask(mask), mask)
    shown = min(1.0, 1500 / image.shape[1])
    screen = cv2.resize(image, None, fx=shown, fy=shown, interpolation=cv2.INTER_AREA)
    wall = screen[: int(screen.shape[1] * 60 / side)]
    thickness = coloured(wall)[:, 300:400].sum(axis=0)
    assert (thickness >= 3).all()
    assert (thickness <= 6).all(), "a line is no band"


def test_the_legend_says_where_the_colours_are_clipped():
    mask = np.zeros((300, 1000), bool)
    mask[50:54, 10:990] = mask[100:104, 10:990] = mask[150:154, 10:990] = True
    even = ColourScale.of(measure_mask(mask, mm_per_px=0.5))
    assert (even.end, even.words) == (2.0, "2 mm")  # p99 and largest are 4 px
    mask[190:230, 20:40] = True  # wider, on less than 1 % of the length
    mask[209:211, 10:60] = True
    scale = ColourScale.of(measured := measure_mask(mask, mm_per_px=0.5))
    assert scale.words == f"≥ {scale.end:g} mm"
    widths = np.concatenate([line.width_px[line.width_valid] for crack in measured.cracks for line in crack.lines]) / 2
    assert scale.end < widths.max()
    assert (widths > scale.end).mean() <= 0.01
    pieces = [piece for crack in measured.cracks for line in crack.lines for piece in scale.pieces(line)]
    for piece in pieces:
        share = min(piece.width_px * 0.5 / scale.end, 1)
        assert np.abs(np.subtract(piece.colour, PALETTE[round(255 * share)].astype(int))).max() <= 25
    ends = [piece.points for piece in pieces]
    drawn = sum(np.hypot(*np.diff(points, axis=0).T).sum() for points in ends)
    assert drawn == pytest.approx(measured.summary()["length_px"]), "the pieces are the whole line"


@pytest.mark.parametrize(("size", "mm_per_px"), [((300, 500), 0.4), ((900, 200), 3.0), ((40, 900), 1.7)])
def test_the_scale_bar_on_paper_is_as_long_as_it_says(tmp_path, size, mm_per_px):
    mask = np.zeros(size, bool)
    mask[20:24, 20:150] = True
    photo = np.full((*size, 3), (90, 120, 90), np.uint8)
    write_figure(tmp_path / "wall.png", draw_figure(measure_mask(mask, mm_per_px), mask, photo))
    image = cv2.imread(str(tmp_path / "wall.png"))
    wall = (image == (90, 120, 90)).all(axis=2)
    columns = np.flatnonzero(wall.any(axis=0))
    last = int(np.flatnonzero(wall.any(axis=1))[-1])
    below = (image[last + 5 : last + 60, : image.shape[1] // 3] < 60).all(axis=2)
    row = int(np.argmax(below.sum(axis=1)))
    bar = np.flatnonzero(below[row])
    length_mm = scale_bar(size[1] * mm_per_px)[0]
    assert np.ptp(bar) / np.ptp(columns) * size[1] * mm_per_px == pytest.approx(length_mm, rel=0.02)
    assert np.ptp(columns) / 300 * 25.4 <= 171, "it fits on a page at 300 dpi"
    with open(tmp_path / "wall.png", "rb") as file:
        assert b"pHYs" in file.read(200), "the file says how large it is"


def test_a_scale_bar_is_round_and_takes_up_to_a_quarter_of_the_wall():
    for width in np.geomspace(5, 1e5, 200):
        length, words = scale_bar(width)
        number, unit = words.split()
        assert float(number) * {"mm": 1, "cm": 10, "m": 1000}[unit] == pytest.approx(length)
        assert float(number) in (1, 2, 5, 10, 20, 50)
        assert width / 10 - 1e-6 <= length <= width / 4 + 1e-6
