"""Masks by two thresholds: pieces that reach the high one, wherever the photo is cut into tiles."""

import cv2
import numpy as np
import pytest
from predict_cases import exit_code, load, predict_call
from scipy import ndimage

from cracklab import run_folder
from cracklab.errors import ConfigError
from cracklab.predict.masks import connected, mask_of
from cracklab.synthetic.draw import draw

RNG = np.random.default_rng(0)


def hysteresis(probability, low, high):
    """Return the pieces above `low` (8 neighbours) whose highest probability is at least `high`, by SciPy."""
    pieces, count = ndimage.label(probability > low, np.ones((3, 3)))
    highest = ndimage.maximum(probability, pieces, np.arange(1, count + 1))
    return np.isin(pieces, 1 + np.flatnonzero(np.asarray(highest) >= high))


@pytest.mark.parametrize("high", [0, 0.3, 0.5, 0.75, 0.9, 0.99])
def test_pieces_are_kept_whole_if_they_reach_the_high_threshold(high):
    for sigma in (0.5, 1, 3):
        noise = ndimage.gaussian_filter(RNG.random((90, 70)), sigma)
        probability = ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)
        found = connected(mask_of(probability[None], 0.5, high))
        expected = hysteresis(probability, 0.5, high)
        np.testing.assert_array_equal(found, expected * np.uint8(255))
        assert expected.any(), "nothing is kept"


@pytest.mark.parametrize("value", [0, 255])
def test_a_mask_without_or_full_of_cracks_stays_as_it_is(value):
    mask = np.full((5, 7), value, np.uint8)
    assert (connected(mask) == mask).all()
    assert not connected(np.full((5, 7), 128, np.uint8)).any()


@pytest.mark.filterwarnings("ignore:tiles of")
@pytest.mark.parametrize("tile", [None, 128])
def test_a_piece_is_one_across_the_tiles_of_a_photo(tile):
    photo = cv2.GaussianBlur(draw(3, (150, 610))[0], (5, 5), 0)
    one = load("cracks", "cpu", tile=tile).predict(photo)
    threshold = load("cracks", "cpu").threshold
    np.testing.assert_array_equal(one.mask > 0, one.probability > threshold)
    pieces, count = ndimage.label(one.mask)
    for high in (float(np.median(ndimage.maximum(one.probability, pieces, range(1, count + 1)))), 0.85):
        found = load("cracks", "cpu", tile=tile, high_threshold=high).predict(photo)
        expected = hysteresis(one.probability, threshold, high)
        np.testing.assert_array_equal(found.mask > 0, expected)
        np.testing.assert_array_equal(found.probability, one.probability)
    assert 0 < expected.sum() < (one.mask > 0).sum(), "the high threshold changes nothing"


@pytest.mark.parametrize("value", ["-0.1", "1", "85", "nan"])
def test_a_high_threshold_that_is_no_probability_is_refused(value, tmp_path, capsys):
    photo = tmp_path / "wall.png"
    cv2.imwrite(str(photo), np.full((40, 40, 3), 200, np.uint8))
    assert exit_code(predict_call("cracklab:cracks", photo, tmp_path / "out", f"--high_threshold={value}")) == 2
    said = capsys.readouterr().err
    assert "high_threshold is" in said
    assert "give a probability" in said
    assert not (tmp_path / "out").exists()


def test_a_folder_keeps_its_high_threshold(tmp_path, capsys):
    photo = tmp_path / "wall.png"
    cv2.imwrite(str(photo), np.full((40, 40, 3), 200, np.uint8))
    assert exit_code(predict_call("cracklab:cracks", photo, tmp_path / "out", "--high_threshold=0.85")) == 0
    assert "threshold 0.578, 0.85 somewhere in each crack" in capsys.readouterr().out
    assert exit_code(predict_call("cracklab:cracks", photo, tmp_path / "out")) == 2
    assert "--high_threshold 0.85 instead of 0 (" in (said := capsys.readouterr().err)
    assert "or keep --high_threshold 0.85" in said


def test_several_classes_have_no_high_threshold(classes_run):
    assert load(classes_run / run_folder.BEST, "cpu").high_threshold == 0
    with pytest.raises(ConfigError, match=r"high_threshold is 0\.8, but the net has 3 classes: leave it out"):
        load(classes_run / run_folder.BEST, "cpu", high_threshold=0.8)
