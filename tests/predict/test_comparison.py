"""Pictures that compare runs on the same test images."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from support import ROOT, fit

from cracklab import pictures
from cracklab.errors import ConfigError
from cracklab.pictures.examples import Example
from cracklab.predict import comparison

pytestmark = pytest.mark.slow  # trains two runs, and starts the script as a process

ROW = pictures.compose.HEAD + 256 + 4
"""Height of a row: title, tiles, gap, px."""


def drawn(probability):
    photo = np.full((64, 64, 3), 200, np.uint8)
    truth = np.zeros((64, 64), bool)
    truth[30:33] = True
    return Example("a", photo, truth, np.full((64, 64), probability, np.float32), None, {})


def test_every_run_at_every_threshold_is_a_row_below_photo_and_truth():
    picture = comparison.prediction_sheet({"bce": [drawn(0.3)] * 2, "dice": [drawn(0.7)] * 2}, [0.1, 0.5])
    assert picture.shape == (6 * ROW, 2 * 256 + 4, 3)
    middle = [picture[k * ROW + pictures.compose.HEAD + 100, 100].tolist() for k in range(6)]
    plain, red = (
        [200, 200, 200],
        pictures.overlay(drawn(0).photo, drawn(0).truth, comparison.PREDICTION)[31, 0].tolist(),
    )
    assert middle == [plain, plain, red, plain, red, red]


def test_run_folders_become_sheets_of_predictions_and_of_weights(tiny_run, tmp_path):
    weighing = fit(tmp_path / "weighing", "--model.loss=distance_aware", "--trainer.max_epochs=1")
    comparison.main([str(tiny_run), str(weighing), "--out", str(tmp_path / "out"), "--images", "3"])
    shown = cv2.imread(str(tmp_path / "out/predictions.png"))
    assert shown.shape == ((2 + 2 * 2) * ROW, 3 * 256 + 2 * 4, 3)
    assert cv2.imread(str(tmp_path / "out/weights.png")).shape == (3 * ROW, 4 * 256 + 3 * 4, 3)
    with pytest.raises(ConfigError, match="cannot be read"):
        comparison.main([str(tmp_path), "--out", str(tmp_path / "none")])


def test_runs_with_different_test_images_are_refused(tiny_run, tmp_path):
    other = fit(tmp_path / "other", "--model.net=support.TinyNet", "--trainer.max_epochs=1", "--data.layout.test=5")
    with pytest.raises(ConfigError, match="different test images, one lacks 'test-00006'"):
        comparison.main([str(tiny_run), str(other), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["RUN", "--out", "o", "--threshold", "0.5"], "called '--threshold'; did you mean '--thresholds'?"),
        (["RUN", "--out", "o", "--images", "0"], "--images is 0: give 1 or more"),
        (["--out", "o"], "arguments are required: RUN"),
        (["RUN", "--out", "o", "--imags=2"], r"python -m cracklab\.predict\.comparison --help` lists"),
    ],
)
def test_a_wrong_call_names_the_argument(arguments, expected):
    with pytest.raises(ConfigError, match=expected):
        comparison.main(arguments)


def test_as_a_script_a_wrong_call_ends_in_one_message(tmp_path):
    command = [sys.executable, "-m", "cracklab.predict.comparison", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("error: configuration ")
    assert len(done.stderr.splitlines()) == 1
