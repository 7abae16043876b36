"""Scales from tables and from EXIF."""

import pytest
from PIL import Image

from cracklab.errors import ConfigError, DataError
from cracklab.measure.scale import read_scales, scale_from_exif

FOCAL, FILM = 0x920A, 0xA405
RESOLUTION, UNIT = 0xA20E, 0xA210
WIDTH, HEIGHT = 0xA002, 0xA003

PLANE = {FOCAL: 50.0, RESOLUTION: 2500.0, UNIT: 3}
"""Of a sensor of 24 x 16 mm with 6000 x 4000 px: 0.16 mm per px in 2 m, and 1.6 in a photo of a tenth of this size."""


def photo(path, size, tags):
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(tags)
    Image.new("RGB", size).save(path, exif=exif)
    return path


def test_the_focal_plane_gives_the_scale(tmp_path):
    """A sensor of 24 x 16 mm with 6000 x 4000 px, 50 mm, 2 m away: 4 um * 2000 / 50."""
    whole = photo(tmp_path / "a.jpg", (6000, 4000), PLANE | {FILM: 75})  # its size is lost, but the film confirms it
    assert scale_from_exif(whole, 2000) == pytest.approx(0.004 * 2000 / 50)
    for unit, resolution in ((3, 2500.0), (2, 6350.0), (4, 250.0)):
        tags = {FOCAL: 50.0, RESOLUTION: resolution, UNIT: unit, WIDTH: 6000, HEIGHT: 4000}
        path = photo(tmp_path / "a.jpg", (600, 400), tags)  # resized to a tenth
        assert scale_from_exif(path, 2000) == pytest.approx(10 * 0.004 * 2000 / 50)


def test_the_equivalent_focal_length_gives_the_scale(tmp_path):
    """36 x 24 mm on 600 x 400 px, equivalent of 28 mm, 1.4 m away; the same for a portrait photo."""
    for size in ((600, 400), (400, 600)):
        path = photo(tmp_path / "a.jpg", size, {FILM: 28, FOCAL: 4.5})
        assert scale_from_exif(path, 1400) == pytest.approx(36 / 600 * 1400 / 28)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, "has no EXIF FocalLengthIn35mmFilm"),
        ({FILM: 0}, "has no EXIF FocalLengthIn35mmFilm"),
        ({FOCAL: 50.0}, "has no EXIF FocalLengthIn35mmFilm"),
        ({FILM: 28, WIDTH: 6000, HEIGHT: 6000}, "was cropped"),
        (PLANE, "unknown whether it was resized"),
        ({**PLANE, FILM: 75}, r"0\.16 mm per px by its EXIF FocalPlaneXResolution but 1\.6 by FocalLengthIn35mmFilm"),
        ({**PLANE, FILM: 75, WIDTH: 600, HEIGHT: 400}, "perhaps since it was resized"),
    ],
)
def test_photos_without_a_scale_are_refused(tmp_path, tags, expected):
    with pytest.raises(DataError, match=expected):
        scale_from_exif(photo(tmp_path / "a.jpg", (600, 400), tags), 2000)


def test_scales_are_read_from_a_table(tmp_path):
    path = tmp_path / "scales.csv"
    path.write_text("\ufeffid,mm_per_px,remark\na,0.5,\nwall/b,0.25,near\n", encoding="utf-8")
    assert read_scales(path) == {"a": 0.5, "wall/b": 0.25}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name,scale\na,1\n", "columns name, scale"),
        ("id,mm_per_px\na,fine\n", "'fine'"),
        ("id,mm_per_px\na,-1\n", "'-1'"),
        ("id,mm_per_px\na,nan\n", "'nan'"),
        ("id,mm_per_px\na,1\na,2\n", "'a' twice"),
        ("id,mm_per_px\na\n", "needs id and mm_per_px"),
        ("id,mm_per_px\n", "no rows"),
        ("", "no rows"),
    ],
)
def test_invalid_tables_are_refused(tmp_path, text, expected):
    path = tmp_path / "scales.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=expected):
        read_scales(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_scales(tmp_path / "missing.csv")
