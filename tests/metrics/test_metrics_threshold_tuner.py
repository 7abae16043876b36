"""A threshold chosen on validation: the best one by brute force, and every score of that validation at it."""

import numpy as np
import pytest
import torch
from metric_cases import case, make_evaluator
from monai.metrics import compute_hausdorff_distance

from cracklab.metrics.threshold_tuner import ThresholdTuner


def tuned(batch, by, candidates=(0.2, 0.4, 0.6, 0.8)):
    tuner, evaluator = ThresholdTuner(by, candidates), make_evaluator(boundary_width_px=2)
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
        for t in (0.2, 0.4, 0.6, 0.8)
    }
    assert evaluator.threshold == min(means, key=means.get)
    assert evaluator.compute(evaluator.rows())["hd95_px"] == pytest.approx(min(means.values()), abs=1e-4)


def test_what_does_not_count_chooses_nothing(rng):
    ids, probabilities, mask = case(rng, 4)
    valid = torch.ones_like(mask)
    valid[..., 20:] = 0
    half = tuned((ids, probabilities[..., :20], mask[..., :20]), "dice").threshold
    assert tuned((ids, probabilities, mask, valid), "dice").threshold == half
