"""Pictures of errors and their colours, examples of a data set, curves over many images."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from skimage.color import rgb2lab

from cracklab import pictures
from cracklab.errors import ConfigError
from cracklab.metrics import Evaluator
from cracklab.metrics.options import EvaluationOptions
from cracklab.pictures import colours, plots
from cracklab.pictures.examples import evenly_spaced

SEES = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Matrices from linear RGB to what an eye without one kind of cone sees of it (Machado 2009, severity 1)."""


def lab(colour, eye):
    level = np.array(colour) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SEES[eye]) @ linear, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)[None, None])[0, 0]


@pytest.mark.parametrize("eye", SEES)
def test_the_colours_of_errors_can_be_told_apart_by_every_eye(eye):
    four = [pictures.HIT, pictures.NEAR_MISS, pictures.MISSED, pictures.FALSE_ALARM]
    differences = [np.linalg.norm(lab(a, eye) - lab(b, eye)) for a, b in combinations(four, 2)]
    assert min(differences) > 23  # CIE 1976: 2.3 is a just noticeable difference


def test_the_palette_is_stated_in_one_file():
    package = Path(pictures.__file__).parents[1]
    palette = [colour for colour in vars(colours).values() if isinstance(colour, tuple) and len(set(colour)) == 3]
    palette = [colour for colour in palette if all(isinstance(level, int) for level in colour)]
    assert len(palette) >= 7
    stated = [rf"{red}, *{green}, *{blue}\b" for red, green, blue in palette]
    pattern = re.compile("|".join([*stated, *map(colours.as_hex, palette)]), re.IGNORECASE)
    files = {path.name for path in package.rglob("*.py") if pattern.search(path.read_text(encoding="utf-8"))}
    assert files == {"colours.py"}


def test_every_crack_pixel_is_of_one_kind_and_near_misses_are_within_the_tolerance():
    truth, prediction = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    truth[10, 5:45], prediction[12, 5:30], prediction[30, 10:20] = True, True, True
    prediction[10, 5:9] = True
    hit, near, missed, false = pictures.error_kinds(truth, prediction, 2.0)
    assert (hit.astype(int) + near + missed + false == (truth | prediction)).all()
    assert (hit == (truth & prediction)).all()
    to_truth, to_prediction = distance_transform_edt(~truth), distance_transform_edt(~prediction)
    assert (missed == (truth & (to_prediction > 2))).all()
    assert (false == (prediction & (to_truth > 2))).all()
    assert near.sum() > 0
    picture = pictures.error_overlay(np.full((40, 50, 3), 99, np.uint8), truth, prediction)
    for kind, colour in zip((hit, near, missed, false), ("HIT", "NEAR_MISS", "MISSED", "FALSE_ALARM"), strict=True):
        assert (picture[kind] == getattr(pictures, colour)).all()


def test_no_error_is_a_near_miss_if_the_other_mask_is_empty():
    truth = np.ones((4, 4), bool)
    assert pictures.error_kinds(truth, ~truth, 9.0)[2].all()
    assert pictures.error_kinds(~truth, truth, 9.0)[3].all()


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    evaluator = Evaluator(EvaluationOptions(thresholds=[0.25], surface_thresholds=[], groups=["surface"]), curves=True)
    mask = torch.zeros(3, 1, 40, 40)
    mask[:, :, 10:13, 5:35] = 1
    noise = torch.from_numpy(rng.random((3, 1, 40, 40))).float()
    evaluator.update(["a", "b", "c"], 0.6 * mask + 0.4 * noise, mask)
    return evaluator.rows()


def test_curves_show_the_values_of_every_threshold(rows):
    figure = plots.threshold_curve(rows, 0.5)
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    counts = [sum(row[f"{name}@0.25"] for row in rows) for name in ("tp", "fp", "fn")]
    assert lines["IoU"][250].tolist() == pytest.approx([0.25, counts[0] / sum(counts)])  # TP / (TP + FP + FN)
    assert "0.5: Dice" in "".join(text.get_text() for text in figure.axes[0].texts)
    image = plots.as_image(figure)
    assert image.dtype == np.uint8
    assert image.shape == (572, 832, 3)  # 4.4 x 6.4 inches at 130 dpi
    assert image.std() > 10
    labels = [line.get_label() for line in plots.precision_recall(rows, 0.5).axes[0].lines]
    assert any(label.startswith("average precision") for label in labels)


def test_distance_errors_are_shares_of_each_outline(rows):
    heights = [patch.get_height() for patch in plots.distance_errors(rows).axes[0].patches]
    assert sum(heights) == pytest.approx(2)  # 1 for the predicted outlines, 1 for the true ones


def test_curves_of_rows_without_histograms_are_refused():
    with pytest.raises(ConfigError, match="curves=True"):
        plots.threshold_curve([{"id": "a"}])


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, ["a"]), (2, ["a", "e"]), (3, ["a", "c", "e"]), (9, ["a", "b", "c", "d", "e"])],
)
def test_examples_are_evenly_spaced_from_the_first_to_the_last(count, expected):
    assert evenly_spaced(list("abcde"), count) == expected
