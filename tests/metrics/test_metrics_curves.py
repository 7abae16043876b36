import numpy as np
import pytest
import torch
from metric_cases import case, make_evaluator

from cracklab.errors import ConfigError
from cracklab.metrics import PROTOCOLS, best_threshold, run_protocol, run_protocols
from cracklab.metrics.curves import average_precision, counts_by_threshold, histograms, ods, ois, stack_histograms


def quantised(rng, images=4, shape=(20, 30), steps=50):
    """A case whose probabilities are multiples of 1 / steps, so that bins are exact."""
    ids, probabilities, mask = case(rng, images, shape=shape)
    return ids, (probabilities * steps).round() / steps, mask


def evaluated(batch, **options):
    evaluator = make_evaluator(curves=True, **options)
    evaluator.update(*batch)
    return evaluator.rows()


def f1(pred, truth):
    tp, both = np.sum(pred & truth), pred.sum() + truth.sum()
    return 2 * tp / both if both else 1.0


def test_counts_at_every_threshold(rng):
    _, probabilities, mask = case(rng, 3)
    valid = torch.from_numpy(rng.random((3, 1, 33, 47)) < 0.8)
    tp, fp, fn, tn = counts_by_threshold(histograms(probabilities, mask > 0, valid))
    p, y = (tensor.numpy()[:, 0] for tensor in (probabilities, mask > 0))
    v = valid.numpy()[:, 0]
    for k in (0, 1, 100, 500, 713, 999, 1000):
        pred = p.astype(np.float64) > k / 1000
        assert tp[:, k].tolist() == (pred & y & v).sum((1, 2)).tolist()
        assert fp[:, k].tolist() == (pred & ~y & v).sum((1, 2)).tolist()
        assert fn[:, k].tolist() == (~pred & y & v).sum((1, 2)).tolist()
        assert tn[:, k].tolist() == (~pred & ~y & v).sum((1, 2)).tolist()


def test_histograms_agree_with_the_evaluators_counts(rng):
    rows = evaluated(case(rng), thresholds=[0.1, 0.5, 0.9])
    at = counts_by_threshold(stack_histograms(rows))
    for threshold in (0.1, 0.5, 0.9):
        for name, part in zip(("tp", "fp", "fn", "tn"), at, strict=True):
            assert [row[f"{name}@{threshold}"] for row in rows] == part[:, round(threshold * 1000)].tolist()


def test_average_precision_by_its_definition(rng):
    batch = quantised(rng)
    p, y = batch[1].numpy().ravel(), batch[2].numpy().ravel() > 0
    area, last = 0.0, 0.0
    for score in sorted(set(p.tolist()), reverse=True):
        pred = p >= score
        recall, precision = (pred & y).sum() / y.sum(), (pred & y).sum() / pred.sum()
        area, last = area + (recall - last) * precision, recall
    rows = evaluated(batch)
    assert average_precision(rows) == pytest.approx(area)
    assert make_evaluator().compute(rows)["average_precision"] == pytest.approx(area)


def test_average_precision_of_perfect_constant_and_empty_images():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :2] = 1
    assert average_precision(evaluated((["a"], mask, mask))) == 1
    assert average_precision(evaluated((["a"], mask * 0, mask))) == 0.25  # all equal: the share of crack
    assert average_precision(evaluated((["a"], mask, mask * 0))) is None


def test_ods_and_ois_by_brute_force(rng):
    batch = quantised(rng)
    p, y = batch[1].numpy(), batch[2].numpy() > 0
    thresholds = np.arange(0, 1, 1 / 50) + 1 / 100  # between the steps
    rows = evaluated(batch)
    assert ods(rows)[0] == pytest.approx(max(f1(p > t, y) for t in thresholds))
    assert f1(p > ods(rows)[1], y) == pytest.approx(ods(rows)[0])
    assert ois(rows)[0] == pytest.approx(
        np.mean([max(f1(a > t, b) for t in thresholds) for a, b in zip(p, y, strict=True)])
    )
    assert ois(rows)[0] > np.mean([f1(a > 0.5, b) for a, b in zip(p, y, strict=True)])


def test_the_best_threshold_is_that_of_brute_force(rng):
    ids, probabilities, mask = case(rng, 6, shape=(60, 60))
    logits = torch.logit(probabilities) - 1.2  # a net with probabilities that are too low
    batch = ids, logits.sigmoid(), mask
    rows = evaluated(batch, surface_thresholds=[0.2, 0.5, 0.8])
    best = best_threshold(rows)
    p, y = batch[1].numpy(), mask.numpy() > 0
    assert 0.1 < best < 0.45
    assert f1(p > best, y) == pytest.approx(max(f1(p > k / 1000, y) for k in range(0, 1000, 5)), abs=1e-3)
    means = {t: np.mean([row[f"hd95_px@{t}"] for row in rows]) for t in (0.2, 0.5, 0.8)}
    assert best_threshold(rows, "hd95_px") == min(means, key=means.get)
    perfect = evaluated((ids, mask * 0.6 + 0.2, mask))
    assert best_threshold(perfect) == 0.5  # equally good from 0.2 to 0.8: the nearest to 0.5


def test_rows_without_the_needed_columns_are_refused(rng):
    evaluator = make_evaluator(costly=False)
    evaluator.update(*case(rng, 2))
    with pytest.raises(ConfigError, match=r"curves=True"):
        best_threshold(evaluator.rows())
    with pytest.raises(ConfigError, match=r"surface_thresholds"):
        best_threshold(evaluator.rows(), "hd95_px")
    with pytest.raises(ConfigError, match=r"no protocol is called 'chen2032'; did you mean 'chen2023'"):
        run_protocol("chen2032", evaluator.rows())


def test_protocols_by_hand(rng):
    batch = quantised(rng)
    rows = evaluated(batch, surface_thresholds=[0.1], groups=["surface", "boundary", "skeleton"])
    p, y = batch[1].numpy()[:, 0], batch[2].numpy()[:, 0] > 0
    values = {name: result["values"] for name, result in run_protocols(rows, rows).items() if "values" in result}
    assert set(values) == set(PROTOCOLS)
    pred = p > 0.5
    assert values["chen2023"]["f1"] == pytest.approx(f1(pred, y))
    assert values["chen2023"]["iou"] == pytest.approx((pred & y).sum() / (pred | y).sum())
    crack, wall = (pred & y).sum() / (pred | y).sum(), (~pred & ~y).sum() / (~pred | ~y).sum()
    assert values["deopujari2025"]["mean_iou"] == pytest.approx((crack + wall) / 2)
    assert values["deepcrack_pooled"]["class_average_accuracy"] == pytest.approx(
        (pred[y].mean() + (~pred)[~y].mean()) / 2
    )
    assert values["deepcrack_pooled"]["global_accuracy"] == pytest.approx((pred == y).mean())
    assert values["gul2023"]["dice"] == pytest.approx((f1(pred, y) + f1(~pred, ~y)) / 2)
    low = p.astype(np.float32) > np.float32(0.1)
    assert values["krasniqi2026"]["dice@0.1"] == pytest.approx(np.mean([f1(a, b) for a, b in zip(low, y, strict=True)]))
    assert values["krasniqi2026"]["hd95_px@0.1"] == pytest.approx(np.mean([row["hd95_px@0.1"] for row in rows]))
    soft = [(2 * (a * b).sum() + 1) / (a.sum() + b.sum() + 1) for a, b in zip(p, y, strict=True)]
    assert values["ozcan2024"]["dice"] == pytest.approx(np.mean(soft), abs=2e-3)
    assert values["ozcan2024"]["f1"] == pytest.approx(np.mean([f1(a, b) for a, b in zip(pred, y, strict=True)]))
    assert values["ozcan2024"]["f1"] != pytest.approx(values["ozcan2024"]["dice"], abs=1e-2)
    assert values["per_image"]["dice"] == pytest.approx(values["ozcan2024"]["f1"])
    assert values["omnicrack"]["cl_iou_4px"] == pytest.approx(
        sum(row["n_line_near"] for row in rows)
        / sum(row["n_line"] + row["n_pred_line"] - row["n_pred_line_near"] for row in rows)
    )


def test_scsegamba_by_brute_force(rng):
    """Each image divided by its largest probability; best thresholds of means over images."""
    steps = rng.integers(0, 40, (4, 1, 20, 30)) * np.where(rng.random((4, 1, 20, 30)) < 0.7, 0, 1)
    largest = np.array([1.0, 0.5, 0.8, 0.25])[:, None, None, None]
    steps[:, 0, 0, 0] = 40
    p = largest * steps / 40
    y = steps + rng.integers(-12, 13, steps.shape) > 20
    rows = evaluated((list("abcd"), torch.from_numpy(p), torch.from_numpy(y)), costly=False)
    values = run_protocol("scsegamba", rows)["values"]
    scores, both, per_image = [], [], []
    for t in np.arange(100) / 100:
        pred = steps / 40 > t + 1e-9
        scores.append([f1(a, b) for a, b in zip(pred, y, strict=True)])
        crack = [(a & b).sum() / (a | b).sum() for a, b in zip(pred, y, strict=True)]
        wall = [(~a & ~b).sum() / (~a | ~b).sum() for a, b in zip(pred, y, strict=True)]
        both.append((np.array(crack) + wall) / 2)
    per_image = np.max(scores, 0)
    assert values["ods"] == pytest.approx(np.max(np.mean(scores, 1)))
    assert values["ois"] == pytest.approx(per_image.mean())
    assert values["mean_iou"] == pytest.approx(np.max(np.mean(both, 1)))
    assert values["f1"] == pytest.approx(f1(steps > 0, y))


def test_protocols_are_labelled_and_warn_of_thresholds_picked_on_test(rng):
    rows = evaluated(case(rng, 3, shape=(40, 40)))
    assert "size of the files" in run_protocols(rows)["native"]["left_out"]
    for name, result in run_protocols(rows, rows).items():
        assert result["protocol"] == name
        assert result["what"]
        picks = bool({"ods", "ois"} & set(result["values"]))
        assert bool(result["warning"]) == picks
        assert all(value is None or np.isfinite(value) for value in result["values"].values())


def test_protocols_for_one_class_are_left_out_for_several(rng):
    evaluator = make_evaluator(curves=True)
    evaluator.update(*case(rng, 3, channels=3))
    rows = evaluator.rows()
    values = run_protocols(rows)
    assert {name for name in values if "values" in values[name]} == {"per_image", "gul2023", "deopujari2025"}
    assert "'chen2023' is defined for one class" in values["chen2023"]["left_out"]
    assert values["gul2023"]["values"]["iou"] == evaluator.compute(rows)["iou"]
    assert values["deopujari2025"]["values"]["mean_pixel_accuracy"] == evaluator.compute(rows)["recall"]


def test_sources_have_equal_weight_in_omnicrack(rng):
    ids, probabilities, mask = case(rng, 3, shape=(60, 60))
    evaluator = make_evaluator(curves=True)
    evaluator.update(ids, probabilities, mask, columns={"source": ["A", "B", "B"]})
    values = run_protocol("omnicrack", evaluator.rows())["values"]
    assert values["cl_iou_4px"] == pytest.approx((values["cl_iou_4px/A"] + values["cl_iou_4px/B"]) / 2)


def test_an_image_without_a_counted_pixel_changes_no_protocol(rng):
    ids, probabilities, mask = case(rng, 3, shape=(40, 40))
    valid = torch.ones_like(mask)
    valid[1] = 0
    options = {"surface_thresholds": [0.1]}
    rows = evaluated((ids, probabilities, mask, valid), **options)
    without = evaluated((ids[::2], probabilities[::2], mask[::2]), **options)
    assert run_protocols(rows, rows) == run_protocols(without, without)
    assert ois(rows) == ois(without)
    for name, result in run_protocols(evaluated((ids, probabilities, mask, valid * 0), **options)).items():
        if name not in ("per_image", "native", "gul2023", "deopujari2025"):
            assert "no image has a pixel that counts" in result["left_out"], name


def test_means_with_the_background_need_its_scores(rng):
    batch = case(rng, 3, channels=3)
    evaluator = make_evaluator(curves=True, background=False)
    evaluator.update(*batch)
    for name in ("gul2023", "deopujari2025"):
        with pytest.raises(ConfigError, match=r"needs model\.evaluation\.background: true"):
            run_protocol(name, evaluator.rows())
    assert run_protocol("per_image", evaluator.rows())["values"]["iou"] is not None
