"""Places of labels in crowded pictures."""

from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cracklab.pictures.labels import place_labels
from cracklab.pictures.text import text_image


def crowded(rng, cracks):
    """A wall with that number of cracks, and a point on each of them."""
    height, width = rng.integers(150, 700, 2)
    wall, anchors = np.zeros((height, width), np.uint8), []
    for _ in range(cracks):
        points = rng.integers(0, (width, height)) + np.cumsum(rng.normal(0, 15, (12, 2)), axis=0)
        points = np.clip(np.rint(points), 0, (width - 1, height - 1)).astype(np.int32)
        cv2.polylines(wall, [points], False, 1, int(rng.integers(1, 6)))
        anchors.append(tuple(points[rng.integers(12)].tolist()))
    return wall > 0, anchors


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), cracks=st.integers(1, 60))
def test_labels_cover_neither_each_other_nor_any_crack_and_leaders_cross_no_label(seed, cracks):
    rng = np.random.default_rng(seed)
    wall, anchors = crowded(rng, cracks)
    sizes = [(int(rng.integers(10, 25)), int(rng.integers(30, 120))) for _ in anchors]
    places = place_labels(wall, anchors, sizes, near=10, far=200)
    boxes = [(p.x, p.y, p.x + w, p.y + h) for p, (h, w) in zip(places, sizes, strict=True) if p is not None]
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= wall.shape[1]
        assert 0 <= top < bottom <= wall.shape[0]
        assert not wall[top:bottom, left:right].any()
    for one, two in combinations(boxes, 2):
        assert one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1]
    for i, place in enumerate(places):
        if place is None:
            continue
        gap = np.maximum(np.maximum(np.subtract((place.x, place.y), anchors[i]), 0),
                         np.subtract(anchors[i], (place.x + sizes[i][1], place.y + sizes[i][0])))  # fmt: skip
        distance = np.hypot(*np.maximum(gap, 0))
        assert distance <= 200
        assert (place.leader is not None) == (distance > 10)
        if place.leader is not None:
            drawn = np.zeros(wall.shape, np.uint8)
            cv2.line(drawn, *place.leader.tolist(), 1, 1)
            others = [box for k, box in enumerate(zip(places, sizes, strict=True)) if k != i and box[0] is not None]
            assert not any(drawn[p.y : p.y + h, p.x : p.x + w].any() for p, (h, w) in others)


def test_a_label_is_left_out_only_without_a_free_place():
    rng = np.random.default_rng(0)
    wall, anchors = crowded(rng, 150)
    assert None not in place_labels(np.zeros_like(wall), anchors[:5], [(12, 50)] * 5, 5, 1000)
    (place,) = place_labels(wall, anchors[:1], [(30, 300)], 5, 1000)
    free = cv2.erode((~wall).astype(np.uint8), np.ones((30, 300), np.uint8), borderValue=0)  # no place at any pixel
    assert (place is None) == (not free.any())


@pytest.mark.parametrize("words", ["1: 18848 mm, max 17 mm", "≥ 2 mm", "yjg"])
def test_text_is_whole_and_inside_of_its_image(words):
    margin = 6
    image = text_image(words, 20, margin)
    ink = np.argwhere(image[..., 0] < 128)
    assert (ink.min(axis=0) >= margin - 1).all()
    assert (ink.max(axis=0) <= np.array(image.shape[:2]) - margin).all()
    assert np.ptp(ink[:, 1]) > 0.8 * (image.shape[1] - 2 * margin), "the text takes the width of its image"
