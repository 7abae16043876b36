"""Expected errors, looks and gains, against SciPy, brute force and what they must ignore."""

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import cdist, dice

from cracklab.rank.score import SHARPNESS, by_gain, expected_error, look
from cracklab.synthetic.draw import draw


def test_with_certain_probabilities_the_expected_error_is_the_dice_error():
    rng = np.random.default_rng(0)
    mask, truth = rng.random((2, 300, 20)) < [[[0.1]], [[0.2]]]
    hits = [True] * 3  # 0.001 of 6000 pixels, twice the number of hits that the constant stands for
    expected = dice([*mask.ravel(), *hits], [*truth.ravel(), *hits])
    assert expected_error(truth.astype(np.float32), mask) == pytest.approx(expected, abs=1e-9)


def test_neither_a_larger_photo_nor_more_crack_is_a_larger_error():
    probability = np.zeros((100, 100), np.float32)
    probability[50:53] = 0.8
    once = expected_error(probability, probability > 0.5)
    larger = np.tile(probability, (2, 3))
    more = np.maximum(probability, probability.T)
    assert expected_error(larger, larger > 0.5) == pytest.approx(once)
    assert expected_error(more, more > 0.5) == pytest.approx(once, rel=0.03)  # the constant counts less
    unsure = probability * 0.75
    assert expected_error(unsure, unsure > 0.5) > 1.5 * once


def test_a_bare_wall_is_no_error():
    assert expected_error(np.full((100, 100), 1e-6, np.float32), np.zeros((100, 100), bool)) < 0.002


def test_gains_are_those_of_brute_force():
    rng = np.random.default_rng(1)
    looks, labelled, errors = rng.normal(2, 3, (60, 10)), rng.normal(2, 3, (5, 10)), rng.random(60)
    every = np.concatenate([looks, labelled])
    every = (every - every.mean(0)) / every.std(0)
    similar = np.exp(-SHARPNESS * cdist(every[:60], every, "sqeuclidean") / 10)
    taken = list(range(60, 65))
    for i, gain in by_gain(errors, list(looks), list(labelled)):
        gains = {
            j: errors @ (similar[:, [*taken, j]].max(1) - similar[:, taken].max(1)) / errors.sum()
            for j in range(60)
            if j not in taken
        }
        assert i == max(gains, key=gains.get)
        assert gain == pytest.approx(gains[i])
        taken.append(i)
    assert len(taken) == 65


def test_without_any_error_the_photos_that_stand_for_most_come_first():
    looks = np.array([[5.0, 5.0], [0.0, 0.1], [0.0, 0.0], [0.1, 0.0]])
    assert [i for i, _ in by_gain([0.0] * 4, list(looks))][:2] == [2, 0]
    assert by_gain([], []) == []


def test_crops_and_mirrored_copies_of_a_wall_look_more_alike_than_other_walls():
    walls = [draw(seed, (256, 256))[0] for seed in range(6)]
    looks = np.array([look(wall) for wall in walls])
    for wall, own in zip(walls, looks, strict=True):
        turned = look(np.ascontiguousarray(wall[::-1, ::-1]))
        larger = look(cv2.resize(wall, (512, 512), interpolation=cv2.INTER_CUBIC))
        spread = looks.std(0)
        others = np.sort(np.linalg.norm((looks - own) / spread, axis=1))[1]
        for copy in (turned, larger):
            assert np.linalg.norm((copy - own) / spread) < 0.3 * others
