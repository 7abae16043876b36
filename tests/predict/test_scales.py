"""Several scales in one pass over a photo, against whole images resized by OpenCV and nets whose answer is known."""

import json
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from predict_cases import exit_code, load, predict_call, restore
from support import fit
from torch import nn

from cracklab import run_folder
from cracklab.checkpoint import Payload
from cracklab.cli import main
from cracklab.data.layouts import LAYOUTS
from cracklab.data.transform import EvalTransform
from cracklab.errors import ConfigError, RunError
from cracklab.logits import probabilities
from cracklab.multiscale import multiscale_probabilities
from cracklab.predict.predictor import Predictor
from cracklab.predict.scales import choose_scales, default_scales, parse_scales
from cracklab.predict.tiles import Tiling, fused_rows, tiled_probabilities
from cracklab.predict.trained_model import TrainedModel
from cracklab.synthetic.draw import draw
from cracklab.weights import checkpoint_file

RNG = np.random.default_rng(0)


class Brightness(nn.Module):
    """Logits of one or three classes that follow from the colour of each pixel alone."""

    def forward(self, image):
        return image[:, : self.classes] * 3 if self.classes > 1 else 4 * image.mean(1, keepdim=True) - 1

    def __init__(self, classes):
        super().__init__()
        self.classes = classes


def predictor(classes=1, **options):
    names, transform = tuple("abc"[:classes]), EvalTransform(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    net = Brightness(classes)
    model = TrainedModel("best.ckpt", net, transform, names, 0.5, {}, Payload(config="", threshold=0.5))
    return Predictor([model], "cpu", tile=64, overlap=32, **options)


@pytest.mark.parametrize("classes", [1, 3])
def test_scales_are_the_quadratic_mean_of_whole_images_resized_there_and_back(classes):
    """Of several tiles at each scale; the probability of three classes is divided by its sum, and the mask is their argmax."""
    photo = cv2.GaussianBlur(RNG.integers(0, 256, (150, 203, 3), np.uint8), (0, 0), 1)
    squares = []
    for scale in (2, 1, 0.5):
        size = round(203 * scale), round(150 * scale)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        seen = photo if scale == 1 else cv2.resize(photo, size, interpolation=how)
        logits = (seen / 255 - 0.5) / 0.5
        if classes == 1:
            scores = [1 / (1 + np.exp(1 - 4 * logits.mean(2)))]
        else:
            powers = np.exp(3 * logits)
            scores = list(np.moveaxis(powers / powers.sum(2, keepdims=True), 2, 0))
        squares.append([cv2.resize(one.astype(np.float32), (203, 150)) ** 2 for one in scores])
    expected = np.sqrt(np.mean(squares, axis=0))
    expected = expected if classes == 1 else expected / expected.sum(0)
    found = predictor(classes, scales=[2, 1, 0.5]).predict(photo)
    np.testing.assert_allclose(found.probability, expected.max(0), atol=2e-3)
    mask = np.where(expected[0] > 0.5, 255, 0) if classes == 1 else expected.argmax(0)
    assert (found.mask == mask).mean() > 0.995
    assert np.abs(predictor(classes).predict(photo).probability - expected.max(0)).max() > 0.02, "scales change nothing"


def test_a_flat_photo_has_one_answer_at_every_scale():
    photo = np.full((70, 90, 3), 128, np.uint8)
    for scales in ([1], [4, 0.0625], [0.3, 0.7, 1]):
        np.testing.assert_allclose(
            predictor(scales=scales).predict(photo).probability, 1 / (1 + np.exp(1 - 4 * (256 / 255 - 1))), atol=1e-5
        )


@pytest.mark.parametrize("scales", [None, [1]])
def test_one_scale_of_1_is_the_tiled_photo_bit_for_bit(small_run, scales):
    photo = draw(3, (150, 610))[0]
    model = load(small_run / run_folder.BEST, "cpu", scales=scales)
    expected = np.full(photo.shape[:2], np.nan, np.float32)
    for rows, scores in tiled_probabilities(model.score, photo, photo.shape[:2], model.tiling):
        expected[rows] = scores[0]
    np.testing.assert_array_equal(model.predict(photo).probability, expected)


def test_rows_that_arrive_in_different_steps_are_fused_where_they_belong():
    values = RNG.random((3, 1, 40, 5)).astype(np.float32)
    cuts = [[0, 40], [0, 7, 8, 33, 40], [0, 1, 20, 33, 40]]
    passes = [
        iter([(slice(a, b), one[:, a:b]) for a, b in pairwise(ends)]) for one, ends in zip(values, cuts, strict=True)
    ]
    found = np.full((1, 40, 5), np.nan, np.float32)
    for rows, part in fused_rows(passes, 40):
        assert np.isnan(found[:, rows]).all(), "a row is yielded twice"
        found[:, rows] = part
    np.testing.assert_allclose(found, np.sqrt((values**2).mean(0)), atol=1e-6)


def test_a_model_that_ships_has_the_scales_of_its_card_and_a_run_those_of_its_evaluation():
    assert default_scales(checkpoint_file("cracklab:cracks"), None) == (1.0, 0.5, 0.25)
    assert default_scales("RUN/checkpoints/cracks.ckpt", [1, 0.5]) == (1.0, 0.5)
    assert default_scales("RUN/checkpoints/best.ckpt", None) == (1.0,)


@pytest.mark.parametrize("scales", [[], [1, 1], [0], [1e9], [True], "1", 1, [[1]], {"1": 1}])
def test_a_checkpoint_with_scales_that_cannot_be_used_is_refused(scales):
    with pytest.raises(RunError, match=r"checkpoint best\.ckpt.*scales"):
        default_scales("best.ckpt", scales)


def test_checkpoints_with_different_defaults_are_scored_at_scale_1():
    assert choose_scales(None, [(1.0, 0.5), (1.0, 0.5)]) == (1.0, 0.5)
    assert choose_scales(None, [(1.0, 0.5), (1.0,)]) == (1.0,)
    assert choose_scales([0.5], [(1.0, 0.5)]) == (0.5,)


@pytest.mark.parametrize("classes", [1, 3])
def test_an_evaluation_fuses_scales_as_predict_does(classes):
    """But for the rounding of resized photos to 8 bits, in a batch of odd sizes, padded."""
    scales, sizes, net = [2, 1, 0.5, 0.3], [(150, 200), (321, 97), (5, 31), (150, 200)], Brightness(classes)
    photos = [cv2.GaussianBlur(RNG.integers(0, 256, (*size, 3), np.uint8), (0, 0), 1) for size in sizes]
    image = torch.zeros(4, 3, 352, 224)
    for i, photo in enumerate(photos):
        image[i, :, : photo.shape[0], : photo.shape[1]] = torch.from_numpy((photo.transpose(2, 0, 1) / 255 - 0.5) / 0.5)

    def score(images):
        assert {side % 32 for side in images.shape[2:]} == {0}
        return probabilities(net(images))

    found = multiscale_probabilities(score, image, score(image), torch.tensor(sizes), scales)
    for one, photo in zip(found, photos, strict=True):
        expected = predictor(classes, scales=scales).predict(photo).probability
        inside = one[:, : photo.shape[0], : photo.shape[1]].amax(0)
        np.testing.assert_allclose(inside.numpy(), expected, atol=5e-3)


@pytest.mark.parametrize("size", [(500, 375), (321, 200)])
def test_the_model_that_ships_is_evaluated_as_it_predicts(size):
    """Its evaluation, with the padding of a batch, against its prediction: rounding moves hardly any pixel over the threshold."""
    photo = draw(5, size)[0]
    model, scales = restore("cracks"), (1.0, 0.5, 0.25)
    padded = np.pad(photo, ((0, -size[0] % 32), (0, -size[1] % 32), (0, 0)), mode="reflect")
    image = model.transform.normalise(torch.from_numpy(model.transform.planes(padded)[None]))
    with torch.inference_mode():
        once = model.probabilities(image)
        found = multiscale_probabilities(model.probabilities, image, once, torch.tensor([size]), scales)
    expected = load("cracks", "cpu", scales=scales).predict(photo).mask > 0
    differ = (found[0, 0, : size[0], : size[1]].numpy() > model.threshold) != expected
    assert differ.sum() < 0.01 * expected.sum()
    assert ((once[0, 0, : size[0], : size[1]].numpy() > model.threshold) != expected).sum() > 0.1 * expected.sum()


def test_a_run_is_tested_and_predicts_at_the_scales_it_was_validated_at(tmp_path):
    """The IoU that test reports is that of the masks of predict, and not the one at scale 1."""
    run = fit(tmp_path / "run", "--model.net=support.TinyNet", "--trainer.max_epochs=2", "--model.scales=[1,0.5]")
    arguments = ["--config", str(run / "config.yaml"), "--ckpt_path", str(run / run_folder.BEST)]
    assert main(["test", *arguments, "--out", str(tmp_path / "test")]) == 0
    reported = json.loads((tmp_path / "test" / "test_metrics.json").read_text())["test/iou@0.5"]
    layout = LAYOUTS["synthetic"](train=24, val=5, test=7, size=(64, 64))
    photos = [layout.read(record) for record in layout.index(tmp_path)[0] if record.split == "test"]
    found = {}
    for scales in (None, [1]):
        model = load(run / run_folder.BEST, "cpu", scales=scales)
        pairs = [(model.predict(image).probability > 0.5, mask > 0) for image, mask in photos]
        found[str(scales)] = sum((one & other).sum() for one, other in pairs) / sum(
            (one | other).sum() for one, other in pairs
        )
    assert found["None"] == pytest.approx(reported, rel=0.02)
    assert found["[1]"] != pytest.approx(reported, rel=0.1)


@pytest.mark.parametrize("text", ["", "0", "1,1", "nan", "-1", "5", "0.01,1", "large", "auto", "1,,2"])
def test_scales_that_cannot_be_used_are_refused_before_anything_is_read(tmp_path, capsys, text):
    assert exit_code(predict_call("missing.ckpt", "/nowhere", tmp_path / "out", f"--scales={text}")) == 2
    said = capsys.readouterr().err
    assert f"scales is {text}: give 1 to 8 different numbers from 0.0625 to 4" in said
    assert len(said.splitlines()) == 1
    with pytest.raises(ConfigError, match="scales is"):
        predictor(scales=[float("nan")])


def test_the_scales_of_a_folder_are_kept_and_others_are_refused(small_run, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), draw(2, (96, 130))[0])
    out = tmp_path / "out"
    call = predict_call(small_run / run_folder.BEST, tmp_path / "a.png", out)
    assert exit_code([*call, "--scales", "1,0.5"]) == 0
    assert "photos at 1 and 0.5 of their size" in capsys.readouterr().out
    assert json.loads((out / "predict.json").read_text())["scales"] == [1.0, 0.5] == list(parse_scales("1,0.5"))
    mask = load(small_run / run_folder.BEST, "cpu", scales=[1, 0.5]).predict(tmp_path / "a.png").mask
    np.testing.assert_array_equal(cv2.imread(str(out / "a.png"), cv2.IMREAD_UNCHANGED), mask)
    assert exit_code(call) == 2
    assert "--scales 1,0.5 instead of 1 (" in capsys.readouterr().err


def test_progress_counts_the_pixels_of_every_scale(small_run):
    model = load(small_run / run_folder.BEST, "cpu", scales=[2, 1, 0.25])
    model.tiling = Tiling(64, 32)
    counted: list[int] = []
    model.predict(draw(2, (100, 200))[0], on_pixels=counted.append)
    assert sum(counted) == model.count_pixels(100, 200) == (6 * 12 + 3 * 6) * 64 * 64 + 32 * 64
