"""Tiles against one pass over the whole photo, and against MONAI's sliding window."""

import warnings
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers import sliding_window_inference
from scipy import ndimage
from torch import nn

from cracklab import batch
from cracklab.predict.reach import choose_tiling, measure_reach
from cracklab.predict.tiles import GRID, Tiling, largest_tile, reflected, resize_rows, score_bands, tiled_probabilities

RNG = np.random.default_rng(0)


def blurred(radius):
    """Return a score of two classes, a mean of red over `radius` px and its rest, black beyond the tile as with padding."""

    def score(tiles):
        size = 2 * radius + 1
        means = [ndimage.uniform_filter(tile[..., 0] / 255.0, size, mode="constant") for tile in tiles]
        return np.stack([np.stack([one, 1 - one]) for one in means]).astype(np.float32)

    return score


def whole(score, photo, tiling):
    found = np.full((2, *photo.shape[:2]), np.nan, np.float32)
    seen = np.zeros(photo.shape[0], int)
    for rows, scores in tiled_probabilities(score, photo, photo.shape[:2], tiling):
        found[:, rows] = scores
        seen[rows] += 1
    assert (seen == 1).all()
    return found


def test_tiles_have_the_grid_of_batches():
    """The file of tiles is copied into bundles, and imports nothing of cracklab."""
    assert batch.GRID == GRID


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(2, 8), st.integers(0, 100))
def test_tiles_are_on_the_grid_and_overlap_enough_and_their_weights_add_up_to_1(side, units, overlap):
    tiling = Tiling(GRID * units, min(overlap, GRID * (units - 1)))
    starts, length = tiling.starts(side), tiling.length(side)
    assert starts[0] == 0
    assert starts[-1] < side <= starts[-1] + length
    assert all(start % GRID == 0 for start in starts)
    if len(starts) > 1:
        assert max(np.diff(starts)) <= length - tiling.overlap
        shorter = -(-side // GRID) * GRID - (
            length - GRID
        )  # what shorter tiles would have to move on by, in as many steps
        assert -(-shorter // GRID // (len(starts) - 1)) * GRID + tiling.overlap > length - GRID
    total = np.zeros(starts[-1] + length)
    for start, weight in zip(starts, tiling.weights(side), strict=True):
        assert (weight > 0).all()
        total[start : start + length] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3])
def test_tiles_with_an_overlap_of_twice_the_reach_give_the_result_of_one_pass(batch):
    photo = RNG.integers(0, 256, (250, 190, 3), np.uint8)
    score = blurred(8)
    once = whole(score, photo, Tiling(256, 0))
    tiled = whole(score, photo, Tiling(64, 16, batch))
    assert np.abs(once - tiled).max() < 5e-3
    too_little = whole(score, photo, Tiling(64, 0))
    assert np.abs(once - too_little).max() > 0.05, "the overlap makes no difference, so the test could not fail"


def test_a_net_that_halves_five_times_sees_every_pixel_in_the_same_phase():
    """Means over blocks of 32 x 32 px: equal in tiles and in one pass only if tiles begin at a block."""

    def score(tiles):
        means = [cv2.resize(tile[..., 0], None, fx=1 / 32, fy=1 / 32, interpolation=cv2.INTER_AREA) for tile in tiles]
        blocks = np.stack(means).repeat(32, axis=1).repeat(32, axis=2)[:, None].astype(np.float32)
        return np.concatenate([blocks, 255 - blocks], axis=1)

    photo = RNG.integers(0, 256, (301, 203, 3), np.uint8)
    once = whole(score, photo, Tiling(320, 0))
    np.testing.assert_allclose(whole(score, photo, Tiling(96, 20)), once, rtol=1e-5)


def test_tiles_score_as_monais_sliding_window_does():
    """Where no edge of a tile is felt, the weights do not matter and both give the net's own value."""
    torch.manual_seed(0)
    net = nn.Conv2d(3, 2, 9, padding=4).eval()
    photo = RNG.integers(0, 256, (192, 256, 3), np.uint8)

    @torch.inference_mode()
    def score(tiles):
        return net(torch.from_numpy(tiles).permute(0, 3, 1, 2).float() / 255).numpy()

    tiled = whole(score, photo, Tiling(64, 32))
    with torch.inference_mode():
        image = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
        theirs = sliding_window_inference(image, (64, 64), 1, net, overlap=0.5, mode="gaussian")[0].numpy()
    # MONAI's weights have a positive minimum, so it differs a little from one pass where four tiles meet
    assert np.abs(tiled - theirs)[:, 4:-4, 4:-4].mean() < 1e-3
    with torch.inference_mode():
        once = net(image)[0].numpy()
    assert np.abs(tiled - once).max() < 1e-3


def test_at_most_64_rows_are_yielded_at_a_time():
    photo = np.zeros((2000, 100, 3), np.uint8)
    sizes = [chunk.shape for chunk in score_bands(blurred(1), photo, Tiling(128, 32))]
    assert sum(shape[1] for shape in sizes) == 2000
    assert max(shape[1] for shape in sizes) <= 64


@pytest.mark.parametrize(
    ("scaled", "size"), [((25, 40), (100, 163)), ((64, 64), (33, 47)), ((7, 9), (7, 90)), ((1, 1), (5, 4))]
)
def test_rows_are_resized_as_opencv_resizes_the_whole(scaled, size):
    values = RNG.random((2, *scaled)).astype(np.float32)
    found = np.zeros((2, *size), np.float32)
    cuts = sorted({0, scaled[0] // 3, scaled[0] // 2, scaled[0]})
    for rows, part in resize_rows(iter([values[:, a:b] for a, b in pairwise(cuts)]), scaled, size):
        found[:, rows] = part
    expected = np.stack([cv2.resize(one, size[::-1], interpolation=cv2.INTER_LINEAR) for one in values])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 5])
def test_indices_past_the_end_are_reflected_as_numpy_pads(side):
    expected = np.pad(np.arange(side), (0, 9), mode="reflect")
    np.testing.assert_array_equal(reflected(np.arange(side + 9), side), expected)


@pytest.mark.parametrize("radius", [3, 40, 300])
def test_the_reach_of_a_mean_is_its_radius(radius):
    """A mean over 2 r + 1 px feels an edge up to r px away; the last of these changes are too small to count."""
    assert radius * 0.7 <= measure_reach(blurred(radius)) <= radius


def test_a_net_that_looks_at_the_whole_image_has_no_reach():
    def score(tiles):
        brightness = tiles.mean((1, 2, 3), keepdims=True) / 255
        return np.broadcast_to(brightness, (len(tiles), 1, *tiles.shape[1:3])).astype(np.float32)

    def by_its_own_mean(tiles):
        values = tiles[..., 0] / 255.0
        return (values - values.mean((1, 2), keepdims=True) + 0.5).astype(np.float32)[:, None]

    wide = measure_reach(by_its_own_mean)
    assert wide is None or wide > 0
    assert measure_reach(score) is None


@pytest.mark.filterwarnings("ignore:tiles of")
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 224), st.floats(10, 5000), st.integers(1, 4), st.floats(0.01, 64))
def test_tiles_are_as_large_as_the_memory_allows(reach, bytes_per_px, batch, memory_gb):
    tile = choose_tiling(reach, bytes_per_px, batch_size=batch, memory_gb=memory_gb).tile
    needed = [side**2 * bytes_per_px * batch for side in (tile, tile + GRID)]
    assert needed[0] <= memory_gb * 1e9 or tile == 128
    assert needed[1] > memory_gb * 1e9 or tile == 4096


@pytest.mark.parametrize(("memory_gb", "bytes_per_px"), [(1e300, 400), (2, 1e-320)])
def test_a_memory_without_bounds_gives_the_largest_tile(memory_gb, bytes_per_px):
    assert largest_tile(memory_gb, bytes_per_px, overlap=64) == 4096


def scored(tiling, side):
    """Return how often the pixels of a square photo are scored, on average, from the places of its tiles."""
    length = tiling.length(side)
    return (sum(length for _ in tiling.starts(side)) / side) ** 2


@pytest.mark.filterwarnings("ignore:tiles of")
@settings(max_examples=60, deadline=None)
@given(st.one_of(st.none(), st.integers(0, 480)), st.integers(2, 128), st.integers(1, 200))
def test_an_overlap_that_nobody_gave_costs_at_most_4_times_the_pixels(reach, units, cells):
    tiling = choose_tiling(reach, 400, tile=GRID * units)
    assert scored(tiling, GRID * cells) <= 4
    assert tiling.overlap == min(128 if reach is None else 2 * reach, GRID * (units // 2))


def test_tiles_that_are_small_for_the_reach_are_named_with_the_size_that_is_enough():
    """The reach and the bytes per pixel of the model that ships; with tiles of 512 px, each pixel was scored 190 times."""
    with pytest.warns(
        UserWarning, match=r"of 512 px overlap by 256 px, .* reach of 290 px, .* 1216 px do not: give a larger"
    ):
        small = choose_tiling(290, 283, tile=512)
    assert scored(small, 3456) < 4
    with pytest.warns(UserWarning, match="tiles of 832 px overlap by 416 px"):
        choose_tiling(290, 283, memory_gb=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_tiling(290, 283, tile=1216).overlap == 580
        assert choose_tiling(290, 283, tile=512, overlap=480) == Tiling(512, 480)  # given, so it is kept
        assert choose_tiling(290, 283, memory_gb=2) == Tiling(2656, 580)
    with pytest.warns(UserWarning, match="1216 px do not"):
        choose_tiling(290, 283, tile=1184)
