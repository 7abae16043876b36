"""A threshold chosen on validation: the best one by brute force, and every score of that validation at it."""

import numpy as np
import pytest
import torch
from metric_cases import case, make_evaluator
from monai.metrics import compute_hausdorff_distance

from cracklab.errors import ConfigError
from cracklab.metrics import best_threshold
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.threshold_tuner import ThresholdTuner

CANDIDATES = (0.2, 0.4, 0.6, 0.8)


def tuned(batch, by, **options):
    options = {"threshold": by, "threshold_candidates": list(CANDIDATES), **options}
    tuner, evaluator = ThresholdTuner.from_options(EvaluationOptions(**options)), make_evaluator(**options)
    for i in range(len(batch[0])):
        tuner.update(batch[0][i : i + 1], *(part[i : i + 1] for part in batch[1:]))
    tuner.finish(evaluator)
    return evaluator


def test_by_dice_over_all_images(rng):
    ids, probabilities, mask = case(rng, 4)
    evaluator = tuned((ids, probabilities, mask), "dice")
    p, y = probabilities.numpy(), mask.numpy() > 0
    dice = [2 * (y & (p > t)).sum() / (y.sum() + (p > t).sum()) for t in np.arange(1001) / 1000]
    assert evaluator.compute(evaluator.rows())["dice"] == pytest.approx(max(dice))
    assert dice[round(evaluator.threshold * 1000)] == max(dice)


def test_by_hd95_over_the_candidates(rng):
    ids, probabilities, mask = case(rng, 4)
    evaluator = tuned((ids, probabilities, mask), "hd95")
    means = {
        t: compute_hausdorff_distance(probabilities > t, mask, include_background=True, percentile=95).mean().item()
        for t in CANDIDATES
    }
    assert evaluator.threshold == min(means, key=means.get)
    assert evaluator.compute(evaluator.rows())["hd95_px"] == pytest.approx(min(means.values()), abs=1e-4)


@pytest.mark.parametrize("position", [0, 2])
def test_an_image_without_a_counted_pixel_does_not_choose(rng, position):
    """Its row has no distance: at the beginning of the rows it hid those of all others, later it was missed."""
    ids, probabilities, mask = case(rng, 4)
    valid = torch.ones_like(mask)
    valid[position] = 0
    others = [i for i in range(4) if i != position]
    expected = tuned(([ids[i] for i in others], probabilities[others], mask[others]), "hd95")
    evaluator = tuned((ids, probabilities, mask, valid), "hd95")
    assert evaluator.threshold == expected.threshold
    assert evaluator.compute(evaluator.rows())["hd95_px"] == expected.compute(expected.rows())["hd95_px"]


def test_a_threshold_without_a_value_is_never_the_best():
    rows = [{"id": "a", "hd95_px@0.3": None, "hd95_px@0.6": 40.0}, {"id": "b", "hd95_px@0.6": 60.0}]
    assert best_threshold(rows, "hd95_px") == 0.6  # no value counted as 0 px
    rows.append({"id": "c", "hd95_px@0.3": 55.0})  # over one image, against 50 px over two
    assert best_threshold(rows, "hd95_px") == 0.6
    rows.append({"id": "d", "hd95_px@0.3": 1.0})
    assert best_threshold(rows, "hd95_px") == 0.3  # 28 px


def test_no_threshold_is_chosen_if_none_has_a_value(rng):
    ids, probabilities, mask = case(rng, 2)
    with pytest.raises(ConfigError, match=r"no image has a value of hd95_px .* 'skip'.* set a fixed threshold"):
        tuned((ids, probabilities, mask * 0), "hd95", crack_free="skip")
    with pytest.raises(ConfigError, match="no image has a value of hd95_px"):
        tuned((ids, probabilities, mask, torch.zeros_like(mask)), "hd95")


def test_the_threshold_is_chosen_by_the_hd95_that_is_reported(rng):
    """An empty prediction costs `empty`: 0.01 px are less than any distance, the diagonal is more."""
    ids, probabilities, mask = case(rng, 4)
    batch = ids, probabilities * 0.7, mask  # none is above 0.8
    assert tuned(batch, "hd95").threshold < 0.8
    assert tuned(batch, "hd95", empty=0.01).threshold == 0.8


def test_pixels_that_do_not_count_do_not_choose(rng):
    ids, probabilities, mask = case(rng, 4)
    valid = torch.ones_like(mask)
    valid[..., 20:] = 0
    half = tuned((ids, probabilities[..., :20], mask[..., :20]), "dice").threshold
    assert tuned((ids, probabilities, mask, valid), "dice").threshold == half
