"""A second start of `cracklab predict` into the same folder: what is done, what is predicted again, and what is refused."""

import json
import os
from functools import cached_property

import cv2
import numpy as np
import pytest
from predict_cases import exit_code, predict_call, read

from cracklab.errors import RunError
from cracklab.predict.load import load
from cracklab.predict.predictor import Predictor
from cracklab.predict.settings import settings_of
from cracklab.synthetic.draw import draw

HOUR = 3600 * 10**9


@pytest.fixture
def start(tmp_path, capsys):
    """Return a function that starts the command with the model that ships, and returns its exit code and what it said."""

    def start(*more, photos="photos"):
        call = predict_call("cracklab:cracks", tmp_path / photos, tmp_path / "out", "--scales=1", *more)
        code = exit_code(call)
        said = capsys.readouterr()
        return code, said.out + said.err

    return start


def put(path, seed, size=(40, 56)):
    """Write a drawn photo; return its time of change, ns."""
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), draw(seed, size)[0][..., ::-1])
    return path.stat().st_mtime_ns


def predicted(path):
    return load("cracks", "cpu", scales=[1]).predict(path).mask


@pytest.mark.parametrize("later", [-HOUR, 0, HOUR])
def test_a_replaced_photo_is_predicted_again_whatever_its_time(start, tmp_path, later):
    """Both files have the same size, since a BMP is not compressed."""
    photo, out = tmp_path / "photos" / "a.bmp", tmp_path / "out" / "a.png"
    time = put(photo, seed=1)
    put(tmp_path / "photos" / "b.bmp", seed=2)
    assert start()[0] == 0
    first = read(out)
    put(photo, seed=5)
    os.utime(photo, ns=(time + later, time + later))
    assert "1 of 2 photos are done already" in start()[1]
    np.testing.assert_array_equal(read(out), predicted(photo))
    assert (read(out) != first).any()
    assert "2 of 2 photos are done already" in start()[1]


def test_the_content_of_a_photo_decides_and_not_its_folder_or_time(start, tmp_path):
    time = put(tmp_path / "photos" / "a.png", seed=1)
    put(tmp_path / "moved" / "a.png", seed=1)
    put(tmp_path / "others" / "a.png", seed=5, size=(30, 40))
    assert start()[0] == 0
    os.utime(tmp_path / "moved" / "a.png", ns=(time + HOUR, time + HOUR))
    assert "1 of 1 photos are done already" in start(photos="moved")[1]
    os.utime(tmp_path / "others" / "a.png", ns=(time - HOUR, time - HOUR))
    assert "1 of 1 photos predicted" in start(photos="others")[1]
    assert read(tmp_path / "out" / "a.png").shape == (30, 40)


def test_a_file_of_the_photo_that_was_replaced_does_not_count(start, tmp_path):
    """The second start replaces the mask and not the probabilities, which the third one asks for."""
    photo, probability = tmp_path / "photos" / "a.png", tmp_path / "out" / "a_probability.png"
    time = put(photo, seed=1)
    assert start("--probability")[0] == 0
    put(photo, seed=5, size=(30, 40))
    os.utime(photo, ns=(time - HOUR, time - HOUR))
    assert start()[0] == 0
    assert read(probability).shape == (40, 56)
    assert start("--probability")[0] == 0
    assert read(probability).shape == (30, 40)
    assert "1 of 1 photos are done already" in start()[1]


def test_a_mask_that_another_program_saved_is_kept_until_its_photo_is_newer(start, tmp_path):
    photo, out = tmp_path / "photos" / "a.png", tmp_path / "out" / "a.png"
    put(photo, seed=1)
    assert start()[0] == 0
    corrected = np.full((40, 56), 255, np.uint8)
    cv2.imwrite(str(out), corrected)
    assert "1 of 1 photos are done already" in start()[1]
    np.testing.assert_array_equal(read(out), corrected)
    newer = out.stat().st_mtime_ns + HOUR
    os.utime(photo, ns=(newer, newer))
    assert "1 of 1 photos predicted" in start()[1]
    np.testing.assert_array_equal(read(out), predicted(photo))


def test_another_memory_is_refused_and_not_ignored(start, tmp_path):
    put(tmp_path / "photos" / "a.png", seed=1)
    assert start("--memory_gb=0.5")[0] == 0
    tile = json.loads((tmp_path / "out" / "predict.json").read_text())["tile"]
    assert start("--memory_gb=0.5")[0] == 0
    code, said = start("--memory_gb=0.1")
    assert code == 2
    assert f"made with --tile {tile} instead of " in said
    assert f"or keep --tile {tile} without --memory_gb 0.1" in said
    assert start(f"--tile={tile}")[0] == 0


def test_a_setting_that_differs_is_named_as_its_option(start, tmp_path):
    put(tmp_path / "photos" / "a.png", seed=1)
    assert start("--tta=flips")[0] == 0
    code, said = start()
    assert code == 2
    assert "made with --tta flips instead of none" in said
    assert "or keep --tta flips" in said


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"scale": None}, "scale: "),
        ({"scale": [1.0, "x"]}, "scale.1: "),
        ({"scale": [1.0, -1.0]}, "scale.1: "),
        ({"threshold": "x"}, "threshold: "),
        ({"scales": "1"}, "scales: "),
        ({"scales": []}, "scales: "),
        ({"high_threshold": None}, "high_threshold: "),
        ({"flips": None}, "flips: "),
        ({"reach": "a"}, "reach: "),
        ({"tile": "512"}, "tile: "),
        ({"tile": 100}, "tile is 100"),
        ({"checkpoints": [{"sha256": 3}]}, "checkpoints.0.sha256: "),
        ("[]", "("),
        ('{"tile": 5', "Invalid JSON"),
    ],
)
def test_damaged_settings_of_a_folder_are_one_message(start, tmp_path, change, named):
    put(tmp_path / "photos" / "a.png", seed=1)
    predictor = load("cracks", "cpu", scales=[1])
    settings = settings_of(tmp_path / "out", predictor, None, None)
    content = change if isinstance(change, str) else json.dumps(settings | change)
    (tmp_path / "out" / "predict.json").write_text(content)
    with pytest.raises(RunError, match="cannot be read") as error:
        settings_of(tmp_path / "out", predictor, None, None)
    assert named in str(error.value)
    assert "remove it with its masks" in str(error.value)


def test_of_two_commands_that_start_at_once_the_second_takes_the_settings_of_the_first(tmp_path):
    """The first one writes them while the second one measures the reach of its net."""

    class Second(Predictor):
        @cached_property
        def reach(self):
            settings_of(tmp_path, load("cracks", "cpu", tile=256), 256, None)
            return super().reach

    with pytest.warns(UserWarning, match="tiles of 256 px"):
        settings = settings_of(tmp_path, Second(load("cracks", "cpu").models, "cpu"), None, None)
    assert settings["tile"] == 256
    (tmp_path / "predict.json").unlink()
    with (
        pytest.warns(UserWarning, match="tiles of 256 px"),
        pytest.raises(RunError, match="--tta none instead of flips"),
    ):
        settings_of(tmp_path, Second(load("cracks", "cpu").models, "cpu", flips=True), None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["predict.json"]
