"""Which photos are found, and that no file is written outside of the output folder."""

import os

import cv2
import numpy as np
import pytest

from cracklab.data.photos import check_outputs, find_photos
from cracklab.errors import DataError
from cracklab.predict.prediction import SUFFIXES, Prediction, output_files

GREY = np.full((20, 24, 3), 120, np.uint8)


def save(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), GREY)


def names(places, out):
    return {photo.path.name: photo.name for photo in find_photos([str(place) for place in places], out)}


def test_folders_are_searched_recursively_without_hidden_files_and_results(tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "photos" / "masks"
    save(photos / "a.JPG", photos / "east" / "b.png", photos / "._a.jpg", photos / ".trash" / "c.png", out / "a.png")
    (photos / "notes.txt").write_text("not a photo")
    assert names([photos], out) == {"a.JPG": "a", "b.png": "east/b"}


def test_patterns_leave_out_the_results_below_the_photos(tmp_path):
    """Results above them, or beside them, are no reason to leave photos out."""
    photos, out = tmp_path / "photos", tmp_path / "photos" / "masks"
    save(
        photos / "a.jpg", photos / "masks.jpg", photos / "east" / "b.png", out / "a_overlay.jpg", out / "east" / "b.png"
    )
    everything = {"a.jpg": "a", "masks.jpg": "masks", "b.png": "east/b"}
    assert names([photos / "**" / "*.*"], out) == everything
    assert names([out / "**" / "*.jpg"], photos) == {"a_overlay.jpg": "a_overlay"}


def test_photos_that_differ_in_their_ending_alone_keep_it(tmp_path):
    save(tmp_path / "a.jpg", tmp_path / "a.png", tmp_path / "b.jpg", tmp_path / "east" / "a.jpg", tmp_path / "c.1.png")
    found = {
        str(photo.path.relative_to(tmp_path)): photo.name for photo in find_photos([str(tmp_path)], tmp_path / "out")
    }
    assert found == {
        "a.jpg": "a.jpg",
        "a.png": "a.png",
        "b.jpg": "b",
        "east/a.jpg": "east/a",
        "c.1.png": "c.1",
    }


def test_files_folders_and_patterns_can_be_mixed(tmp_path, monkeypatch):
    save(tmp_path / "a" / "x.png", tmp_path / "b" / "y.png", tmp_path / "b" / "deep" / "z.png", tmp_path / "w.png")
    monkeypatch.chdir(tmp_path)
    assert names(["w.png", "a", "b/**/*.png", "a/x.png"], tmp_path / "out") == {
        "w.png": "w",
        "x.png": "x",
        "y.png": "y",
        "z.png": "deep/z",
    }
    monkeypatch.chdir(tmp_path / "b")
    assert names(["../b/*/z.png"], tmp_path / "out") == {"z.png": "deep/z"}
    with pytest.raises(DataError, match="goes up again"):
        find_photos(["*/../y.png"], tmp_path / "out")


def test_a_file_that_would_be_written_twice_or_over_a_photo_is_refused(tmp_path):
    save(
        tmp_path / "a" / "x.png",
        tmp_path / "b" / "x.jpg",
        tmp_path / "c" / "x.png",
        tmp_path / "c" / "x_probability.jpg",
    )
    kinds = list(SUFFIXES)

    def check(places, out):
        photos = find_photos([str(place) for place in places], out)
        check_outputs([(photo, output_files(out, photo.name, kinds)) for photo in photos])

    check([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    with pytest.raises(DataError, match=r"x\.png and .*x\.png would both become"):
        check([tmp_path / "a", tmp_path / "c" / "x.png"], tmp_path / "out2")
    with pytest.raises(DataError, match="would both become"):
        check([tmp_path / "c"], tmp_path / "out")
    with pytest.raises(DataError, match=r"x\.png is a photo"):
        check([tmp_path / "a" / "x.png"], tmp_path / "a")
    with pytest.raises(DataError, match="is the folder of the photos"):
        check([tmp_path / "a"], tmp_path / "a")
    with pytest.raises(
        DataError, match="is the folder of the photos"
    ):  # a second start would find the overlays of the first
        check([tmp_path / "a" / "*.png"], tmp_path / "a")


@pytest.mark.parametrize(
    "name", ["..png", "...png", "....jpg", "a b.png", "-rf.png", "%2e%2e%2fa.png", "..\\..\\a.png"]
)
def test_odd_names_stay_in_the_folder(tmp_path, name):
    photos, out = tmp_path / "photos", tmp_path / "out"
    save(photos / "a.png")
    os.rename(photos / "a.png", photos / name)
    before = {path for path in tmp_path.rglob("*")}
    (photo,) = find_photos([str(photos / name)], out)
    prediction().save(out, list(SUFFIXES), photo.name)
    new = {path for path in tmp_path.rglob("*")} - before - {out}
    assert len(new) == len(SUFFIXES)
    assert all(path.parent == out for path in new)


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path):
    photos, out, elsewhere = tmp_path / "photos", tmp_path / "out", tmp_path / "elsewhere"
    save(photos / "east" / "a.png", photos / "east" / "deep" / "b.png", photos / "c.png")
    out.mkdir()
    elsewhere.mkdir()
    (out / "east").symlink_to(elsewhere)
    (elsewhere / "kept.png").write_bytes(b"kept")
    (out / "c.png").symlink_to(elsewhere / "kept.png")
    found = {photo.path.name: photo.name for photo in find_photos([str(photos)], out)}
    for name in (found["a.png"], found["b.png"]):
        with pytest.raises(DataError, match="leads out of"):
            prediction().save(out, list(SUFFIXES), name)
    prediction().save(out, ["mask"], found["c.png"])
    assert [path.name for path in elsewhere.iterdir()] == ["kept.png"]
    assert (elsewhere / "kept.png").read_bytes() == b"kept", "a link is replaced, not followed"
    assert not (out / "c.png").is_symlink()


def test_folders_behind_links_are_not_searched(tmp_path):
    photos = tmp_path / "photos"
    save(photos / "a.png", tmp_path / "elsewhere" / "b.png")
    (photos / "link").symlink_to(tmp_path / "elsewhere")
    assert names([photos], tmp_path / "out") == {"a.png": "a"}


def prediction():
    return Prediction(GREY.copy(), np.zeros((20, 24), np.uint8), np.zeros((20, 24), np.uint16))
