"""Pictures of several runs on the same images."""

import cv2
import numpy as np
import pytest
from support import fit

from cracklab import pictures
from cracklab.errors import RunError
from cracklab.pictures.examples import Example
from cracklab.predict import comparison


def drawn(probability):
    photo = np.full((64, 64, 3), 200, np.uint8)
    truth = np.zeros((64, 64), bool)
    truth[30:33] = True
    return Example("a", photo, truth, np.full((64, 64), probability, np.float32), None, {})


def test_every_run_at_every_threshold_below_photo_and_truth():
    picture = comparison.predictions({"bce": [drawn(0.3)] * 2, "dice": [drawn(0.7)] * 2}, [0.1, 0.5])
    row = pictures.compose.HEAD + 256 + 4
    assert picture.shape == (6 * row, 2 * 256 + 4, 3)
    middle = [picture[k * row + pictures.compose.HEAD + 100, 100].tolist() for k in range(6)]
    plain, red = (
        [200, 200, 200],
        pictures.overlay(drawn(0).photo, drawn(0).truth, comparison.PREDICTION)[31, 0].tolist(),
    )
    assert middle == [plain, plain, red, plain, red, red]


def test_from_run_folders(tiny_run, tmp_path):
    weighing = fit(tmp_path / "weighing", "--model.loss=distance_aware", "--trainer.max_epochs=1")
    comparison.main([str(tiny_run), str(weighing), "--out", str(tmp_path / "out"), "--images", "3"])
    shown = cv2.imread(str(tmp_path / "out/predictions.png"))
    row = pictures.compose.HEAD + 256 + 4
    assert shown.shape == ((2 + 2 * 2) * row, 3 * 256 + 2 * 4, 3)
    assert cv2.imread(str(tmp_path / "out/weights.png")).shape == (3 * row, 4 * 256 + 3 * 4, 3)
    with pytest.raises(RunError, match="does not exist"):
        comparison.main([str(tmp_path), "--out", str(tmp_path / "none")])
