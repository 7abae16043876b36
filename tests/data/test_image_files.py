"""Files that decoders accept though they are damaged, or too large, are refused by name; sound ones are not."""

import os
import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from cracklab.data.images import read_classes, read_image, read_mask
from cracklab.errors import DataError
from cracklab.synthetic.draw import draw

PHOTO = draw(3, (96, 130))[0]
FORMS = {
    "baseline": {"quality": 90},
    "no subsampling": {"quality": 95, "subsampling": 0},
    "progressive": {"quality": 90, "progressive": True},
    "grey": {"quality": 90},
    "grey progressive": {"quality": 90, "progressive": True},
    "CMYK": {"quality": 90},
    "restarts": {"quality": 90, "restart_marker_blocks": 3},
}


def jpeg(form, image=PHOTO):
    mode = "L" if "grey" in form else "CMYK" if form == "CMYK" else "RGB"
    data = BytesIO()
    Image.fromarray(image).convert(mode).save(data, "JPEG", **FORMS[form])
    return data.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_a_jpeg_that_was_cut_and_has_an_end_marker_is_refused_and_a_whole_one_is_not(tmp_path, form):
    path, data = str(tmp_path / "a.jpg"), jpeg(form)
    for image in (
        data,
        data + bytes(100),
        jpeg(form, np.full_like(PHOTO, 128)),
    ):  # the grey of missing pixels, and drawn
        (tmp_path / "a.jpg").write_bytes(image)
        assert read_image(path).shape == PHOTO.shape
    for share in (0.3, 0.5, 0.7, 0.9, 0.97):
        (tmp_path / "a.jpg").write_bytes(data[: int(len(data) * share)] + b"\xff\xd9")
        for read in (read_image, read_mask):
            with pytest.raises(DataError, match=r"a\.jpg' (is truncated|cannot be decoded)"):
                read(path)


def bomb(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_images_that_claim_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    (tmp_path / "bomb.png").write_bytes(bomb(60000, 60000))
    (tmp_path / "a.jpg").write_bytes(jpeg("baseline"))
    for read in (read_image, read_mask):
        with pytest.raises(DataError, match="60000 x 60000 px, more than 500 megapixels"):
            read(str(tmp_path / "bomb.png"))
    with pytest.raises(DataError, match=r"130 x 96 px, more than 0\.01 megapixels"):
        read_image(str(tmp_path / "a.jpg"), max_megapixels=0.01)


def test_the_limit_holds_for_a_png_with_a_long_text_and_for_a_jpeg_with_a_damaged_tag(tmp_path):
    """Pillow opens neither; OpenCV does."""
    png, jpg = cv2.imencode(".png", PHOTO)[1].tobytes(), jpeg("baseline")
    text = b"zTXt" + b"a\0\0" + zlib.compress(bytes(3_000_000))
    text = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    for name, data in (("a.png", png[:33] + text + png[33:]), ("a.jpg", jpg[:2] + b"\xff\xdb\0\x03\x10" + jpg[2:])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(Exception):  # noqa: B017, PT011 - of any type
            Image.open(tmp_path / name).load()
        with pytest.raises(DataError, match=r"130 x 96 px, more than 0\.01 megapixels"):
            read_image(str(tmp_path / name), max_megapixels=0.01)
    assert read_image(str(tmp_path / "a.png")).shape == PHOTO.shape


@pytest.mark.parametrize("ending", [".gif", ".pnm"])
def test_formats_whose_size_is_not_known_before_decoding_are_refused(tmp_path, ending):
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(ending, PHOTO)[1].tobytes())
    with pytest.raises(DataError, match="not that of a JPEG, PNG, BMP, TIFF or WebP"):
        read_image(str(path))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5])
def test_masks_of_numbers_that_are_not_whole_are_refused(tmp_path, value):
    mask = np.zeros((20, 30), np.float32)
    mask[5] = 1
    path = str(tmp_path / "a.tif")
    cv2.imwrite(path, mask)
    np.testing.assert_array_equal(read_mask(path), mask)
    np.testing.assert_array_equal(read_classes(path, 2), mask)
    mask[7, 3] = value
    cv2.imwrite(path, mask)
    for read in (read_mask, lambda path: read_classes(path, 2)):
        with pytest.raises(DataError, match=r"a\.tif' has the value"):
            read(path)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    (tmp_path / "c.png").symlink_to("missing")
    for name, reason in (("a", "is a pipe"), ("b", "is a folder"), ("c", "cannot be read")):
        with pytest.raises(DataError, match=rf"{name}\.png' {reason}"):
            read_image(str(tmp_path / f"{name}.png"))
