"""Randomized photos: pure functions of their key, cracks of every width, and masks where the drawing is dark."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from skimage.morphology import skeletonize

from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts import LAYOUTS
from cracklab.synthetic.randomized import draw as drawing
from cracklab.synthetic.randomized.cracks import SPACING, Path, crack_pattern
from cracklab.synthetic.randomized.darkening import Look, darken
from cracklab.synthetic.randomized.draw import SURFACES, WEATHER, draw, visible_width
from cracklab.synthetic.randomized.marks import MARKS
from cracklab.synthetic.randomized.objects import THINGS, place
from cracklab.synthetic.randomized.profile import annotate, bands, coverage


@pytest.fixture(scope="module")
def drawn():
    """Photos and masks of a fixed set, 128 x 128."""
    return [draw(np.random.default_rng(seed), (128, 128)) for seed in range(200)]


def line(width, angle, size=(90, 90)):
    """Return a straight crack of constant width through the middle of an image, and its exact distance field."""
    middle = np.array([(size[1] - 1) / 2 + 0.3, (size[0] - 1) / 2 - 0.2])
    along = np.arange(-200, 200, SPACING)[:, None] * [np.cos(angle), np.sin(angle)]
    y, x = np.mgrid[: size[0], : size[1]]
    away = (y - middle[1]) * np.cos(angle) - (x - middle[0]) * np.sin(angle)
    return Path(middle + along, np.full(len(along), float(width))), away


@pytest.mark.parametrize("size", [(16, 16), (61, 83), (256, 256)])
def test_a_photo_and_its_mask_depend_on_the_generator_alone(size):
    global_state = np.random.get_state()[1].copy()
    image, mask = draw(np.random.default_rng(5), size)
    draw(np.random.default_rng(6), size)
    again, mask_again = draw(np.random.default_rng(5), size)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(mask, mask_again)
    np.testing.assert_array_equal(np.random.get_state()[1], global_state)
    assert (image.shape, image.dtype, image.flags.c_contiguous) == ((*size, 3), np.uint8, True)
    assert (mask.shape, mask.dtype) == (size, np.uint8)
    assert set(np.unique(mask)) <= {0, 1}


def test_about_a_fifth_show_no_crack_and_few_pixels_are_crack(drawn):
    masks = np.stack([mask for _, mask in drawn])
    assert (
        0.15 < (masks.sum((1, 2)) == 0).mean() < 0.4
    )  # in some photos the cracks lie behind something, or cannot be seen
    assert 0.01 < masks.mean() < 0.06


def test_masks_are_one_to_forty_px_wide(drawn):
    padded = [np.pad(mask, 1, mode="edge") for _, mask in drawn if mask.any()]
    widths = np.concatenate([2 * distance_transform_edt(mask)[skeletonize(mask > 0)] - 1 for mask in padded])
    low, middle, high = np.percentile(widths, [5, 50, 99.8])
    assert low == 1
    assert 2 < middle < 7
    assert 25 < high < 50


def test_cracks_are_a_fraction_of_a_pixel_to_forty_px_wide():
    widest = np.array(
        [
            max((path.width.max() for path in crack_pattern(np.random.default_rng(i), (256, 256), scale)), default=1)
            for i, scale in enumerate(np.geomspace(*drawing.SCALE, 150))
        ]
    )
    assert np.mean(widest < 1) > 0.03
    assert np.mean(widest > 15) > 0.1
    assert 35 < widest.max() <= 44


@pytest.mark.parametrize("width", [0.4, 1.0, 3.0, 12.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2])
def test_a_crack_covers_its_width_where_it_lies(width, angle):
    path, away = line(width, angle)
    found = bands(np.random.default_rng(0), [path], away.shape, 4.0, np.zeros(away.shape, np.float32), 0.0)
    found = found._replace(ragged=found.width)
    near = np.abs(away) < width / 2 + 3
    np.testing.assert_allclose(np.abs(found.side[near]), np.abs(away[near]), atol=0.1)
    profile = coverage(found, softness=1.0)
    step = max(abs(np.cos(angle)), abs(np.sin(angle)))  # px across the crack from one row, or column, to the next
    columns = profile.sum(axis=0)[30:60] if abs(np.cos(angle)) > abs(np.sin(angle)) else profile.sum(axis=1)[30:60]
    assert columns.mean() * step == pytest.approx(width, rel=0.06)


@pytest.mark.parametrize("width", [2.0, 5.0, 14.0])
@pytest.mark.parametrize("sigma", [0.4, 1.5])
def test_a_mask_is_as_wide_as_the_blurred_crack_at_half_of_its_depth(width, sigma):
    path, away = line(width, 0.5)
    texture = np.zeros(away.shape, np.float32)
    found = bands(np.random.default_rng(0), [path], away.shape, 8.0, texture, 0.0)._replace(ragged=np.float32(width))
    dark = cv2.GaussianBlur((np.abs(away) <= width / 2).astype(np.float32), (0, 0), sigma)
    expected = (dark >= dark.max() / 2).sum()
    assert annotate(found, sigma, 0.0).sum() == pytest.approx(expected, rel=0.2)


def test_parts_too_thin_to_be_seen_are_not_annotated():
    path, away = line(1.0, 0.0)
    found = bands(np.random.default_rng(0), [path], away.shape, 4.0, np.zeros(away.shape, np.float32), 0.0)
    assert annotate(found, 0.5, visible=0.9).any()
    assert not annotate(found, 0.5, visible=1.1).any()
    assert visible_width(0.2, sigma=2.0) == pytest.approx(2 * visible_width(0.2, sigma=1.0))


@pytest.mark.parametrize("seed", range(6))
def test_the_mask_is_where_the_drawing_darkens_the_surface(seed):
    rng = np.random.default_rng(seed)
    path, away = line(float(rng.uniform(3, 15)), float(rng.uniform(0, np.pi)))
    surface = np.full((3, *away.shape), 0.6, np.float32)
    found = bands(rng, [path], away.shape, 6.0, np.zeros(away.shape, np.float32), 0.0)
    image, _ = darken(rng, surface, found, Look(depth=0.9, softness=0.2, dusty=False, spalled=0.0), 1.0)
    mask = annotate(found, 0.4, 0.0)
    drop = 1 - image.mean(axis=0) / 0.6
    far = ~cv2.dilate(mask.astype(np.uint8), np.ones((25, 25))).astype(bool)
    assert drop[mask].mean() > 0.45
    assert np.abs(drop[far]).mean() < 0.1


def test_cracks_differ_from_their_surroundings_and_no_threshold_finds_them(drawn):
    contrasts = []
    for image, mask in drawn:
        if mask.any():
            grey = image.mean(axis=2)
            distance = distance_transform_edt(mask == 0)
            contrasts.append(grey[(distance > 2) & (distance < 8)].mean() - grey[mask > 0].mean())
    assert np.mean(np.array(contrasts) > 5) > 0.85  # the others are filled with dust, or lie in the shadow
    low, high = np.percentile(contrasts, [15, 85])
    assert high > 2.5 * low
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image, _ in drawn])
    masks = np.stack([mask for _, mask in drawn]) > 0
    best = max((masks & (grey < t)).sum() / (masks | (grey < t)).sum() for t in range(0, 256, 8))
    assert best < 0.3


@pytest.mark.parametrize("scale", [0.3, 1.5, 8.0])
def test_every_part_draws_single_precision_at_every_scale(scale):
    size = (40, 56)
    for surface, _ in SURFACES:
        image = surface(np.random.default_rng(1), size, scale)
        assert (image.shape, image.dtype) == ((3, *size), np.float32), surface
        assert np.isfinite(image).all(), surface
    wall = np.full((3, *size), 0.5, np.float32)
    for change, _ in (*WEATHER, *MARKS):
        image = change(np.random.default_rng(2), wall, scale)
        assert (image.shape, image.dtype) == (wall.shape, np.float32), change
    for thing, _ in THINGS:
        image, hidden = place(np.random.default_rng(3), wall, thing, scale)
        assert (image.shape, image.dtype, hidden.shape) == (wall.shape, np.float32, size), thing
        assert -0.01 <= hidden.min() <= hidden.max() <= 1.01, thing


def redrawing(domain="randomized", redraw=True, **options):
    """Return a data module of redrawn images that is ready to train."""
    layout = LAYOUTS["synthetic"](train=8, val=2, test=2, size=(48, 64), domain=domain, redraw=redraw)
    data = CrackDataModule(layout, batch_size=2, augment="none", maps=["distance"], **options)
    data.setup("fit")
    return data


def epochs(data, numbers):
    """Return id -> image, mask and map of each epoch."""
    loader, found = data.train_dataloader(), []
    for epoch in numbers:
        loader.sampler.set_epoch(epoch)
        rows = [(b["id"], b["image"], b["mask"], b["maps"]["distance"]) for b in loader]
        found.append({row[0][i]: [part[i].numpy() for part in row[1:]] for row in rows for i in range(len(row[0]))})
    return found


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_training_images_are_drawn_anew_in_every_epoch_with_and_without_workers_and_cache(workers):
    first, second = epochs(redrawing(), [0, 1])
    (alone,) = epochs(redrawing(num_workers=workers, cache="none"), [1])
    (fixed,) = epochs(redrawing(redraw=False), [0])
    assert first.keys() == second.keys() == alone.keys() == fixed.keys()
    for name in first:
        assert any((one != other).any() for one, other in zip(first[name], second[name], strict=True))
        for one, other in ((second[name], alone[name]), (first[name], fixed[name])):
            for part, same in zip(one, other, strict=True):
                np.testing.assert_array_equal(part, same)


def test_a_resumed_epoch_draws_what_an_unbroken_one_draws_and_maps_follow():
    data = redrawing()
    loader = data.train_dataloader()
    loader.sampler.set_epoch(3)
    unbroken = list(loader)
    resumed = redrawing()
    resumed.resume(epoch=3, batches=2)
    for batch, again in zip(unbroken[2:], resumed.train_dataloader(), strict=True):
        np.testing.assert_array_equal(batch["image"].numpy(), again["image"].numpy())
        np.testing.assert_array_equal(batch["maps"]["distance"].numpy(), again["maps"]["distance"].numpy())
    for batch in unbroken:
        inside = batch["mask"].numpy()[:, 0, :48, :64] > 0
        for mask, distance in zip(inside, batch["maps"]["distance"].numpy(), strict=True):
            if mask.any():
                np.testing.assert_allclose(distance[0, :48, :64], distance_transform_edt(~mask), atol=1e-3)


def test_tiles_are_cut_from_the_photo_that_is_drawn_for_the_epoch():
    drawn = LAYOUTS["synthetic"](train=1, val=0, test=0, size=(64, 96), redraw=True)
    tiles = LAYOUTS["tiles"](layout=drawn, side=32)
    photo, tile = (layout.index(None)[0][-1] for layout in (drawn, tiles))
    whole = drawn.redrawn(photo, epoch=3)
    assert (whole[0] != drawn.read(photo)[0]).any()
    for part, of in zip(tiles.redrawn(tile, epoch=3), whole, strict=True):
        np.testing.assert_array_equal(part, of[32:, 64:])
    assert LAYOUTS["tiles"](layout=LAYOUTS["synthetic"](), side=32).redrawn(tile, epoch=3) is None


def test_validation_images_stay_the_same_in_every_epoch():
    data = redrawing()
    loader, found = data.val_dataloader(), []
    for epoch in (0, 4):
        loader.sampler.set_epoch(epoch)
        found.append(np.concatenate([batch["image"].numpy() for batch in loader]))
    np.testing.assert_array_equal(*found)
