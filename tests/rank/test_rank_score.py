"""Weights, looks and gains, against closed forms, brute force and what they must ignore."""

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from cracklab.rank.score import SHARPNESS, by_gain, crack_weight, look
from cracklab.synthetic.draw import draw


def test_a_photo_with_a_crack_counts_whatever_its_size_and_a_bare_wall_does_not():
    crack = np.zeros((100, 100), np.float32)
    crack[50:53] = 0.9
    assert crack_weight(crack) == pytest.approx(0.027 / 0.028)
    assert crack_weight(np.tile(crack, (3, 2))) == pytest.approx(crack_weight(crack))
    assert crack_weight(np.maximum(crack, crack.T)) < 1.02 * crack_weight(crack)
    assert crack_weight(crack / 9) > 0.7, "a crack that the net nearly misses"
    assert crack_weight(np.full((100, 100), 1e-5, np.float32)) < 0.01


def test_gains_are_those_of_brute_force():
    rng = np.random.default_rng(1)
    looks, labelled, weights = rng.normal(2, 3, (60, 10)), rng.normal(2, 3, (5, 10)), rng.random(60)
    every = np.concatenate([looks, labelled])
    every = (every - every.mean(0)) / every.std(0)
    similar = np.exp(-SHARPNESS * cdist(every[:60], every, "sqeuclidean") / 10)
    taken = list(range(60, 65))
    for i, gain in by_gain(weights, list(looks), list(labelled)):
        gains = {
            j: weights @ (similar[:, [*taken, j]].max(1) - similar[:, taken].max(1)) / weights.sum()
            for j in range(60)
            if j not in taken
        }
        assert i == max(gains, key=gains.get)
        assert gain == pytest.approx(gains[i])
        taken.append(i)
    assert len(taken) == 65


def test_without_any_weight_the_photos_that_stand_for_most_come_first():
    looks = np.array([[5.0, 5.0], [0.0, 0.1], [0.0, 0.0], [0.1, 0.0]])
    assert [i for i, _ in by_gain([0.0] * 4, list(looks))][:2] == [2, 0]
    assert by_gain([], []) == []


def test_of_equal_gains_the_first_photo_comes_first():
    """Copies of one photo gain nothing after the first of them."""
    ranked = by_gain([1.0] * 6, [np.float32([50.1, 3, 7])] * 6)
    assert [i for i, _ in ranked] == [0, 1, 2, 3, 4, 5]
    assert [gain for _, gain in ranked] == [pytest.approx(1), 0, 0, 0, 0, 0]


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
