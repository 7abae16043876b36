import pytest
import torch
from metric_cases import case, make_evaluator

from cracklab.errors import ConfigError
from cracklab.metrics.scores import SCORES
from cracklab.metrics.torchmetrics import PerImage, Pooled


@pytest.mark.parametrize("name", SCORES)
def test_the_mean_is_the_evaluators(rng, name):
    ids, probabilities, mask = case(rng, 4)
    mask[1] = 0
    evaluator = make_evaluator(boundary_width_px=2)
    evaluator.update(ids, probabilities, mask)
    result = evaluator.compute(evaluator.rows())
    metric = PerImage(name, boundary_width_px=2)
    for part in (slice(0, 1), slice(1, 4)):
        metric.update(probabilities[part] > 0.5, mask[part] > 0)
    assert metric.compute().item() == pytest.approx(result.get(f"{name}_image", result.get(name)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["iou", "dice", "precision", "recall"])
def test_pooled_ratios_are_the_evaluators(rng, name, channels):
    ids, probabilities, mask = case(rng, 4, channels)
    valid = torch.ones_like(mask[:, :1])
    valid[..., :5] = 0
    evaluator = make_evaluator(costly=False)
    evaluator.update(ids, probabilities, mask, valid)
    best = probabilities.argmax(1, keepdim=True) == torch.arange(channels)[:, None, None]
    pred = probabilities > 0.5 if channels == 1 else best
    metric = Pooled(name, channels)
    for i in range(4):
        metric.update(pred[i : i + 1], mask[i : i + 1] > 0, valid[i : i + 1])
    assert metric.compute().item() == pytest.approx(evaluator.compute(evaluator.rows())[name])


def test_nothing_to_measure():
    empty = torch.zeros(1, 1, 5, 5, dtype=torch.bool)
    bridged = PerImage("bridged")
    bridged.update(empty, empty)
    assert bridged.compute().isnan()
    pooled = Pooled("iou")
    pooled.update(empty, empty)
    assert pooled.compute() == 1


def test_unknown_names():
    with pytest.raises(ConfigError, match="did you mean 'hd95_px'"):
        PerImage("hd95")
    with pytest.raises(ConfigError, match="did you mean 'dice'"):
        Pooled("dic")
