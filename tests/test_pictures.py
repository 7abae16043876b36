"""Pictures: four kinds of pixels in colours that everyone can tell apart, curves with the values they claim."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from skimage.color import rgb2lab

from cracklab import pictures
from cracklab.errors import ConfigError
from cracklab.metrics import Evaluator
from cracklab.metrics.options import EvaluationOptions
from cracklab.pictures import plots

SEES = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""What is seen of linear RGB (Machado 2009, severity 1)."""


def lab(colour, eye):
    level = np.array(colour) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SEES[eye]) @ linear, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)[None, None])[0, 0]


@pytest.mark.parametrize("eye", SEES)
def test_colours_are_told_apart(eye):
    """CIE 1976: 2.3 is a just noticeable difference; ten times as much is asked for."""
    colours = [pictures.HIT, pictures.NEAR, pictures.MISSED, pictures.FALSE]
    assert min(np.linalg.norm(lab(a, eye) - lab(b, eye)) for a, b in combinations(colours, 2)) > 23


def test_every_pixel_is_of_one_kind_and_near_misses_are_within_the_tolerance():
    truth, prediction = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    truth[10, 5:45], prediction[12, 5:30], prediction[30, 10:20] = True, True, True
    prediction[10, 5:9] = True
    hit, near, missed, false = pictures.kinds(truth, prediction, 2.0)
    assert (hit.astype(int) + near + missed + false == (truth | prediction)).all()
    assert (hit == (truth & prediction)).all()
    to_truth, to_prediction = distance_transform_edt(~truth), distance_transform_edt(~prediction)
    assert (missed == (truth & (to_prediction > 2))).all()
    assert (false == (prediction & (to_truth > 2))).all()
    assert near.sum() > 0
    picture = pictures.errors(np.full((40, 50, 3), 99, np.uint8), truth, prediction)
    for kind, colour in zip((hit, near, missed, false), ("HIT", "NEAR", "MISSED", "FALSE"), strict=True):
        assert (picture[kind] == getattr(pictures, colour)).all()


def test_nothing_is_near_to_nothing():
    truth = np.ones((4, 4), bool)
    assert pictures.kinds(truth, ~truth, 9.0)[2].all()
    assert pictures.kinds(~truth, truth, 9.0)[3].all()


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    evaluator = Evaluator(EvaluationOptions(thresholds=[0.25], surface_thresholds=[], groups=["surface"]), curves=True)
    mask = torch.zeros(3, 1, 40, 40)
    mask[:, :, 10:13, 5:35] = 1
    noise = torch.from_numpy(rng.random((3, 1, 40, 40))).float()
    evaluator.update(["a", "b", "c"], 0.6 * mask + 0.4 * noise, mask)
    return evaluator.rows()


def test_curves_hold_the_values_of_every_threshold(rows):
    figure = plots.threshold_curve(rows, 0.5)
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    counts = [sum(row[f"{name}@0.25"] for row in rows) for name in ("tp", "fp", "fn")]
    assert lines["IoU"][250].tolist() == pytest.approx([0.25, counts[0] / sum(counts)])
    assert "0.5: Dice" in "".join(text.get_text() for text in figure.axes[0].texts)
    image = plots.as_image(figure)
    assert image.dtype == np.uint8
    assert image.shape == (572, 832, 3)
    assert image.std() > 10
    labels = [line.get_label() for line in plots.precision_recall(rows, 0.5).axes[0].lines]
    assert any(label.startswith("average precision") for label in labels)


def test_distance_errors_are_shares(rows):
    heights = [patch.get_height() for patch in plots.distance_errors(rows).axes[0].patches]
    assert sum(heights) == pytest.approx(2)


def test_curves_need_histograms():
    with pytest.raises(ConfigError, match="curves=True"):
        plots.threshold_curve([{"id": "a"}])
