import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from cracklab.data.encodings import binarise
from cracklab.data.images import (
    IGNORE,
    orientation,
    read_classes,
    read_image,
    read_mask,
)
from cracklab.data.resizing import resize_image, resize_mask
from cracklab.errors import DataError


def crack(shape=(40, 60)):
    mask = np.zeros(shape, np.uint8)
    cv2.polylines(mask, [np.array([[3, 5], [30, 20], [55, 35]])], False, 1, 3)
    return mask


def photo(shape=(40, 60), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


# -- photos ---------------------------------------------------------------------------------------------------------


def test_photos_are_read_as_red_green_blue(tmp_path):
    image = photo()
    Image.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png")), image)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1"])
def test_photos_of_every_mode_are_read_as_three_channels(tmp_path, mode):
    image = Image.fromarray(np.repeat(crack()[..., None] * 255, 3, axis=2)).convert(mode)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png")), np.asarray(image.convert("RGB")))


def test_16_bit_photos_are_divided_by_256(tmp_path):
    values = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27
    cv2.imwrite(str(tmp_path / "a.png"), values)
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png"))[..., 1], values // 256)


@pytest.mark.parametrize("exif", range(1, 9))
def test_photos_and_masks_are_rotated_upright_as_by_pillow(tmp_path, exif):
    mask = crack()
    tags = Image.Exif()
    tags[0x0112] = exif
    stored = Image.fromarray(mask * 255)
    stored.save(tmp_path / "a.png", exif=tags)
    stored.save(tmp_path / "a.jpg", exif=tags, quality=100)
    assert orientation((tmp_path / "a.jpg").read_bytes()) == exif
    # the oracle is Pillow's own rotation
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")))
    np.testing.assert_allclose(read_image(str(tmp_path / "a.jpg"))[..., 0], expected, atol=2)
    np.testing.assert_array_equal(read_mask(str(tmp_path / "a.jpg")), expected >= 128)
    np.testing.assert_array_equal(read_mask(str(tmp_path / "a.png")), expected >= 128)


@pytest.mark.parametrize("exif", range(1, 9))
def test_tiff_files_are_rotated_once(tmp_path, exif):
    path, mask = str(tmp_path / "a.tif"), crack()
    for stored in (mask, mask.astype(np.uint16) * 256, np.repeat(mask[..., None], 3, axis=2) * 255, mask > 0):
        Image.fromarray(stored).save(path, tiffinfo={0x0112: exif})
        with open(path, "rb") as file:  # not by its path: Pillow then maps the file, and does not rotate it
            expected = np.asarray(ImageOps.exif_transpose(Image.open(file)))
        expected = expected.reshape(*expected.shape[:2], -1)[..., 0] > 0
        np.testing.assert_array_equal(read_mask(path), expected)
        if stored.dtype == np.uint8:
            np.testing.assert_array_equal(read_image(path)[..., 0] > 0, expected)
    Image.fromarray(mask).save(path, tiffinfo={0x0112: exif})
    np.testing.assert_array_equal(read_classes(path, 2), expected)
    palette = Image.fromarray(mask, mode="P")
    palette.putpalette([0, 0, 0, 200, 30, 30])
    tags = Image.Exif()
    tags[0x0112] = exif
    palette.save(tmp_path / "a.png", exif=tags)
    np.testing.assert_array_equal(read_classes(str(tmp_path / "a.png"), 2), expected)


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_truncated_file_is_refused_by_name(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(photo((200, 200))).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=rf"a\.{ending}.*truncated"):
        read_image(str(path))


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_data_after_the_end_marker_is_ignored_but_truncation_is_found(tmp_path, ending):
    """Phones append a video to a photo, and headers hold a thumbnail, which has its own end marker."""
    thumbnail = cv2.imencode(".jpg", photo((20, 20)))[1].tobytes()
    header = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path = tmp_path / f"a.{ending}"
    Image.fromarray(photo((60, 60))).save(path, quality=100)
    data = path.read_bytes()
    whole = data[:2] + header + data[2:] if ending == "jpg" else data
    path.write_bytes(whole + bytes(20000))
    assert read_image(str(path)).shape == (60, 60, 3)
    path.write_bytes(whole[: len(whole) - 40])
    with pytest.raises(DataError, match="truncated"):
        read_image(str(path))


def test_files_that_are_not_images_are_refused_by_name(tmp_path):
    (tmp_path / "a.png").write_text("not an image")
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.png.*decoded"):
        read_image(str(tmp_path / "a.png"))
    with pytest.raises(DataError, match=r"b\.png.*truncated"):
        read_image(str(tmp_path / "b.png"))
    with pytest.raises(DataError, match=r"c\.png.*cannot be read"):
        read_image(str(tmp_path / "c.png"))


# -- crack masks ----------------------------------------------------------------------------------------------------


def corners(mask):
    """1, and 0 in the corners that a rotation leaves empty."""
    inside = np.ones_like(mask)
    inside[:3, :3] = inside[-3:, -3:] = 0
    return inside


ENCODINGS = {
    "0/1": lambda m: m,
    "bool": lambda m: m.astype(bool),
    "0/255": lambda m: m * np.uint8(255),
    "0/128": lambda m: m * np.uint8(128),
    "16-bit 0/65535": lambda m: m.astype(np.uint16) * 65535,
    "16-bit 0/1": lambda m: m.astype(np.uint16),
    "16-bit grey edges": lambda m: cv2.GaussianBlur(m.astype(np.float32) * 65535, (3, 3), 0.5).astype(np.uint16),
    "grey edges": lambda m: cv2.GaussianBlur(m * 255, (3, 3), 0.5),
    "RGB": lambda m: np.repeat(m[..., None] * np.uint8(255), 3, axis=2),
    "red on black": lambda m: m[..., None] * np.array([0, 0, 255], np.uint8),
    "blue of medium brightness on black": lambda m: m[..., None] * np.array([140, 20, 0], np.uint8),
    "RGBA, opaque": lambda m: np.dstack([np.repeat(m[..., None] * 255, 3, axis=2), np.full_like(m, 255)]),
    "white on transparent": lambda m: np.dstack([np.full((*m.shape, 3), 255, np.uint8), m * 255]),
    "black on transparent": lambda m: np.dstack([np.zeros((*m.shape, 3), np.uint8), m * 255]),
    "16-bit 0/256": lambda m: m.astype(np.uint16) * 256,
    "32-bit 0/65535": lambda m: m.astype(np.int32) * 65535,
    "32-bit 0/1000": lambda m: m.astype(np.int32) * 1000,
    "32-bit 0/100000": lambda m: m.astype(np.int32) * 100_000,
    "32-bit grey edges": lambda m: cv2.GaussianBlur(m.astype(np.float32) * 65535, (3, 3), 0.5).astype(np.int32),
    "antialiased orange on black": lambda m: (
        cv2.GaussianBlur(m * np.float32(1), (3, 3), 0.5)[..., None] * np.array([0, 128, 255], np.float32)
    ).astype(np.uint8),
    "white on opaque black with transparent corners": lambda m: np.dstack(
        [np.repeat(m[..., None] * 255, 3, axis=2), corners(m) * 255]
    ),
    "white on transparent black with grey alpha": lambda m: np.dstack(
        [np.repeat((m > 0)[..., None] * np.uint8(255), 3, axis=2), cv2.GaussianBlur(m * 255, (3, 3), 0.5)]
    ),
    "empty": lambda m: m * 0,
    "full": lambda m: m * 0 + 255,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_of_a_mask_is_detected(encoding):
    mask = crack()
    expected = {"empty": mask * 0, "full": mask * 0 + 1}.get(encoding, mask)
    found, _ = binarise(ENCODINGS[encoding](mask), "a.png")
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8


def turned(alpha, degrees, expand):
    """Return a black mask with this transparency, rotated by Pillow, which leaves transparent corners."""
    stored = Image.fromarray(np.dstack([np.zeros((*alpha.shape, 3), np.uint8), alpha]))
    return np.asarray(stored.rotate(degrees, Image.Resampling.BILINEAR, expand=expand))


@pytest.mark.parametrize("degrees", [-40, -3, 2, 15, 45, 60, 90, 180])
@pytest.mark.parametrize("expand", [False, True])
def test_a_rotated_mask_without_cracks_is_empty_unless_cracks_may_be_the_transparent_part(degrees, expand):
    opaque, line = np.full((80, 100), 255, np.uint8), crack((80, 100))
    found, encoding = binarise(turned(opaque, degrees, expand), "a.png")
    assert (found.any(), encoding) == (False, "0/255")
    band = cv2.line(opaque * 0, (-10, 40), (110, 45), 255, 40)  # half of it, in black on transparent
    for alpha in (turned(opaque - line * 255, degrees, expand)[..., 3], opaque - line * 255, band):
        with pytest.raises(DataError, match="both colours and transparency"):
            binarise(turned(alpha, 0, False), "a.png")


def test_a_jpeg_mask_is_read_with_few_wrong_pixels(tmp_path):
    Image.fromarray(crack() * 255).save(tmp_path / "a.jpg", quality=60)
    assert (read_mask(str(tmp_path / "a.jpg")) != crack()).mean() < 0.01


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (255, 255, 0), (255, 128, 0)])
def test_a_jpeg_of_one_colour_is_read_and_one_of_two_colours_is_refused(tmp_path, colour):
    path, mask = str(tmp_path / "a.jpg"), crack()
    drawn = mask[..., None] * np.array(colour, np.uint8)
    Image.fromarray(drawn).save(path, quality=75)
    assert (read_mask(path) != mask).mean() < 0.04
    drawn[:, 30:] = drawn[:, 30:, ::-1] if colour != (0, 255, 0) else drawn[:, 30:, [1, 2, 0]]
    Image.fromarray(drawn).save(path, quality=75)
    with pytest.raises(DataError, match="several colours"):
        read_mask(path)


def test_a_palette_mask_is_read_by_its_colours(tmp_path):
    image = Image.fromarray(crack(), mode="P")
    image.putpalette([0, 0, 0, 200, 30, 30])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(str(tmp_path / "a.png")), crack())


def test_invert_swaps_crack_and_background(tmp_path):
    Image.fromarray((1 - crack()) * 255).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(str(tmp_path / "a.png"), invert=True), crack())


def with_values(*values):
    """Labels in blocks, which no interpolation produces."""
    return np.repeat(np.repeat(np.array(values, np.uint8)[None], 8, axis=1), 8, axis=0)


def with_colours(*colours):
    """Blocks of colours with black between them, as (H, W, 3)."""
    return np.repeat(np.repeat(np.array([[(0, 0, 0), *colours]], np.uint8), 8, axis=1), 8, axis=0)


AMBIGUOUS = {
    "background 1, crack 2": with_values(1, 2),
    "four classes": with_values(0, 1, 2, 3),
    "a class and an ignore label": with_values(0, 1, 255),
    "a third label between": with_values(0, 127, 255),
    "one unknown value": with_values(7, 7),
    "dim": with_values(0, 30, 60, 90, 120, 150),
    "a photo": photo()[..., 0],
    "256 of 16 bits, everywhere": np.full((8, 8), 256, np.uint16),
    "three classes of 16 bits": with_values(0, 1, 2).astype(np.uint16) * 256,
    "three colours on black": with_colours((255, 0, 0), (0, 255, 0), (255, 255, 0)),
    "two colours on black, as many of each": with_colours((255, 0, 0), (255, 128, 0)),
    "two dark colours on black": with_colours((128, 0, 0), (0, 128, 0)),
    "opaque black with transparent corners": np.dstack([np.zeros((40, 60, 3), np.uint8), corners(crack()) * 255]),
    "two colours on transparent white": np.where(
        crack()[..., None] > 0,
        np.array([[0, 0, 255, 255], [0, 255, 0, 255]], np.uint8).repeat(30, axis=0),
        np.array([255, 255, 255, 0], np.uint8),
    ),
    "red on white": np.where(crack()[..., None] > 0, np.array([0, 0, 255], np.uint8), np.uint8(255)),
    "a colour photo": photo(),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_ambiguous_masks_are_refused_with_values_and_remedy(kind):
    with pytest.raises(DataError, match=r"'crack-7\.png'.*(save it|choose a layout)"):
        binarise(AMBIGUOUS[kind], "crack-7.png")


# -- class indices --------------------------------------------------------------------------------------------------


def test_class_indices_are_read_and_the_ignored_value_becomes_255(tmp_path):
    values = np.random.default_rng(0).integers(0, 5, (9, 7)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    found = read_classes(str(tmp_path / "a.png"), 4, ignore=4)
    np.testing.assert_array_equal(found, np.where(values == 4, IGNORE, values))
    with pytest.raises(DataError, match=r"a\.png.*value 4.*4 classes, 0 to 3"):
        read_classes(str(tmp_path / "a.png"), 4)


def test_a_palette_image_of_classes_is_read_by_its_indices(tmp_path):
    values = np.random.default_rng(0).integers(0, 4, (9, 7)).astype(np.uint8)
    image = Image.fromarray(values, mode="P")
    image.putpalette([10, 20, 30, 200, 100, 0, 5, 5, 5, 9, 9, 9])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_classes(str(tmp_path / "a.png"), 4), values)


# -- resizing -------------------------------------------------------------------------------------------------------


def test_a_smaller_mask_is_crack_where_the_covered_area_reaches_the_threshold():
    mask = np.random.default_rng(0).integers(0, 2, (24, 36)).astype(np.uint8)
    share = mask.reshape(8, 3, 12, 3).mean(axis=(1, 3))
    for coverage in (0.2, 0.5, 0.7):
        np.testing.assert_array_equal(resize_mask(mask, 8, 12, coverage=coverage), share >= coverage - 1e-6)


@pytest.mark.parametrize("side", [40, 64, 86, 128, 171, 200])
@pytest.mark.parametrize("seed", range(3))
def test_lines_of_one_pixel_stay_connected_at_any_scale(side, seed):
    mask = np.zeros((256, 256), np.uint8)
    points = np.random.default_rng(seed).integers(20, 236, (5, 2)).astype(np.int32)
    cv2.polylines(mask, [points], False, 1, 1)
    assert cv2.connectedComponents(resize_mask(mask, side, side))[0] == 2


def test_a_pixel_of_a_smaller_mask_gets_the_class_that_covers_most_of_it():
    mask = np.array([[0, 0, 2, 2], [0, 1, 2, 255], [1, 1, 255, 255], [0, 1, 255, 2]], np.uint8)
    np.testing.assert_array_equal(resize_mask(mask, 2, 2, num_classes=3), [[0, 2], [1, 255]])


def test_a_thin_line_stays_connected_where_nearest_neighbour_breaks_it():
    mask = np.zeros((256, 256), np.uint8)
    cv2.polylines(mask, [np.array([[10, 20], [120, 90], [240, 200]])], False, 1, 2)
    count = lambda m: cv2.connectedComponents(m)[0] - 1  # noqa: E731 - one expression
    nearest = cv2.resize(mask, (64, 64), interpolation=cv2.INTER_NEAREST)
    assert count(nearest) > 1
    assert count(resize_mask(mask, 64, 64)) == 1


def test_a_larger_mask_keeps_its_share_and_an_equal_size_returns_the_same_array():
    mask, image = crack(), photo()
    assert resize_mask(mask, 40, 60) is mask
    assert resize_image(image, 40, 60) is image
    grown = resize_mask(mask, 80, 120)
    assert grown.mean() == pytest.approx(mask.mean(), rel=0.05)
    assert set(np.unique(grown)) == {0, 1}


def test_a_smaller_photo_is_the_mean_over_areas():
    image = photo((40, 60))
    expected = image.reshape(10, 4, 15, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_image(image, 10, 15), expected, atol=0.51)
