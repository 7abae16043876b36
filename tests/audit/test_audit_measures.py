"""The measures of an audit against closed forms and other implementations, and planted faults against the null case."""

import itertools

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label, regionprops

from cracklab.audit import Evidence, gather, rank
from cracklab.audit.agreement import RADII, best_shift, dice_by_radius, soft_dice
from cracklab.audit.regions import MIN_AREA_PX, missed_regions, unfounded_regions
from cracklab.audit.swaps import find_swaps
from cracklab.synthetic.draw import draw

SIZE, NUMBER = (160, 208), 16


@pytest.fixture(scope="module")
def masks():
    drawn = (draw(seed, SIZE)[1] > 0 for seed in range(200))
    return list(itertools.islice((mask for mask in drawn if mask.sum() > 300), NUMBER))


def prediction(mask, seed=0):
    """What a good net says of a mask: blurred, a little off, and unsure in places."""
    noise = np.random.default_rng(seed).normal(0, 0.03, mask.shape)
    return np.clip(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.6) * 1.1 + noise, 0.01, 0.99).astype(np.float32)


def audit(masks, predictions):
    return rank([gather(f"{i:02d}", m, p, 0.5, 4.0) for i, (m, p) in enumerate(zip(masks, predictions, strict=True))])


def piece(mask):
    """Where a mask has crack within a disc of 45 px around the middle of its crack."""
    rows, columns = np.nonzero(mask)
    middle = len(rows) // 2
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    return mask & (np.hypot(y - rows[middle], x - columns[middle]) < 45)


def half(mask):
    """Where a mask has crack, on the side of the image that has more of it."""
    left = np.arange(mask.shape[1]) < mask.shape[1] // 2
    return mask & (left if mask[:, left].sum() > mask[:, ~left].sum() else ~left)


def test_masks_without_faults_have_no_suspect(masks):
    assert not [s for s in audit(masks, map(prediction, masks)) if s.score >= 0.5]


def test_a_net_that_draws_all_cracks_wider_makes_no_mask_suspicious(masks):
    wider = [prediction(cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) for mask in masks]
    assert not [s for s in audit(masks, wider) if s.score >= 0.5]


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("missed", lambda mask: mask & ~half(mask)),
        ("unfounded", lambda mask: mask | np.roll(piece(mask)[::-1], 40, axis=1)),
        ("shifted", lambda mask: ndimage.shift(mask, (4, -3), order=0)),
        ("too-wide", lambda mask: cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0),
        ("too-thin", lambda mask: ndimage.binary_erosion(cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)), iterations=2)),
        ("inverted", lambda mask: ~mask),
        ("empty", lambda mask: np.zeros_like(mask)),
    ],
)  # fmt: skip
def test_a_planted_fault_is_the_first_suspect(masks, kind, fault):
    for i in (3, 8):
        wrong = fault(masks[i])
        predictions = [prediction(mask) for mask in masks]
        first = audit([*masks[:i], wrong, *masks[i + 1 :]], predictions)[0]
        assert (first.id, first.kind) == (f"{i:02d}", kind)
        assert first.score > 0.5


def test_swapped_masks_are_the_first_suspects_and_name_each_other(masks):
    order = [1, 0, *range(2, NUMBER)]
    found = audit([masks[i] for i in order], map(prediction, masks))
    assert {(s.id, s.kind, s.note) for s in found[:2]} == {("00", "swapped", "fits 01"), ("01", "swapped", "fits 00")}
    assert not [s for s in found if s.id in ("00", "01")][2:], "the consequences of a swap are not listed"


def test_cracks_at_the_same_place_in_many_photos_are_not_swapped():
    """Joints and beams: the net overlooks the crack of some photos, and draws all others 1 px beside the mask."""
    random = np.random.default_rng(0)
    alike = [np.zeros(SIZE, bool) for _ in range(40)]
    for mask in alike:
        start = 100 + random.integers(8)
        mask[:, start : start + 3] = True
    found = audit(alike, [prediction(np.roll(mask, 1, axis=1) & (i >= 4), i) for i, mask in enumerate(alike)])
    assert {(s.id, s.kind) for s in found if s.score >= 0.5} == {(f"{i:02d}", "unfounded") for i in range(4)}


def test_masks_that_are_right_among_mostly_inverted_ones_are_no_suspects(masks):
    found = audit([*(~mask for mask in masks[:-3]), *masks[-3:]], map(prediction, masks))
    assert {(s.id, s.kind) for s in found if s.score >= 0.5} == {(f"{i:02d}", "inverted") for i in range(NUMBER - 3)}


def test_a_copy_of_another_mask_is_swapped(masks):
    found = audit([masks[1], *masks[1:]], map(prediction, masks))
    assert (found[0].id, found[0].kind, found[0].note) == ("00", "swapped", "fits 01")
    assert "01" not in {s.id for s in found if s.score >= 0.5}


def test_a_probability_of_exactly_the_threshold_is_background_as_in_predict():
    nothing, half = np.zeros((20, 40), bool), np.zeros((20, 40), np.float32)
    half[10, 5:35] = 0.5
    assert not gather("a", nothing, half, 0.5, 4.0).missed
    assert not gather("a", nothing, half, 0.5, 4.0).crack_grid.any()
    assert gather("a", nothing, half, 0.4999, 4.0).missed


def test_a_fault_of_an_empty_set_of_masks_is_none():
    assert rank([]) == []
    nothing = np.zeros(SIZE, bool)
    assert audit([nothing, nothing], [np.full(SIZE, 0.01, np.float32)] * 2) == []


def test_soft_dice_is_its_formula():
    rng = np.random.default_rng(1)
    mask, probability = rng.random((9, 7)) < 0.3, rng.random((9, 7)).astype(np.float32)
    assert soft_dice(mask, probability) == pytest.approx(
        2 * (mask * probability).sum() / (mask.sum() + probability.sum()), rel=1e-6
    )
    assert soft_dice(np.zeros((2, 2), bool), np.zeros((2, 2), np.float32)) == 1


def test_the_best_shift_is_that_of_trying_all(masks):
    for seed, mask in enumerate(masks[:4]):
        moved = prediction(ndimage.shift(mask, (seed - 5, 2 * seed - 3), order=0), seed)
        tried = {
            (dx, dy): soft_dice(ndimage.shift(mask, (dy, dx), order=0), moved)
            for dx, dy in itertools.product(range(-8, 9), repeat=2)
        }
        found = best_shift(mask, moved)
        # the parts that leave the image make the two sums differ by less than a percent
        assert tried[found.dx, found.dy] == pytest.approx(max(tried.values()), rel=0.01)
        assert (found.dx, found.dy) == (2 * seed - 3, seed - 5)


def test_dice_by_radius_is_that_of_scipys_disc(masks):
    probability = prediction(masks[0])
    dilated = ndimage.binary_dilation(masks[0], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    assert dice_by_radius(masks[0], probability)[RADII.index(2)] == pytest.approx(soft_dice(dilated, probability))


def test_regions_are_those_of_scikit_image(masks):
    mask, probability = masks[0], prediction(masks[1])
    far = (probability >= 0.5) & (ndimage.distance_transform_edt(~mask) > 5)  # OpenCV's distance is off by up to 2 %
    expected = {(r.bbox[1], r.bbox[0]) for r in regionprops(label(far, connectivity=2)) if r.area >= MIN_AREA_PX}
    found = missed_regions(mask, probability, 0.5, 5.0)
    assert {(r.x, r.y) for r in found} == expected
    assert all(0.5 <= r.confidence <= 1 for r in found)
    everything = unfounded_regions(mask, np.zeros(SIZE, np.float32), 0.5, 5.0)
    assert len(everything) == sum(r.area >= MIN_AREA_PX for r in regionprops(label(mask, connectivity=2)))


def test_swaps_are_only_looked_for_among_images_of_one_size(masks):
    predictions = [prediction(mask) for mask in masks]
    own = [gather(str(i), m, p, 0.5, 4.0) for i, (m, p) in enumerate(zip(masks, predictions, strict=True))]
    assert not list(find_swaps(own))
    other: list[Evidence] = [gather("a", masks[0][:, :200], predictions[1][:, :200], 0.5, 4.0), *own[1:]]
    assert not [swap for swap in find_swaps(other) if other[swap.index].id == "a"]
