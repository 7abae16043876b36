import json
import math
import warnings

import metric_cases
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_cases import case, make_evaluator
from monai.metrics import compute_hausdorff_distance

from cracklab.errors import ConfigError
from cracklab.metrics import boundary_iou, hausdorff95
from cracklab.metrics.overlap import BINARY, precision
from cracklab.metrics.rows import without_histograms


def evaluate(*batches, **options):
    evaluator = make_evaluator(**options)
    for batch in batches:
        evaluator.update(*batch)
    rows = evaluator.rows()
    return rows, evaluator.compute(rows)


def counts(pred, truth):
    tp, fp, fn = np.sum(pred & truth), np.sum(pred & ~truth), np.sum(~pred & truth)
    return tp / (tp + fp + fn), 2 * tp / (2 * tp + fp + fn), tp / (tp + fp), tp / (tp + fn)


def test_every_metric_follows_its_definition(rng):
    ids, probabilities, mask = case(rng)
    evaluator = make_evaluator(thresholds=[0.1, 0.5], boundary_width_px=2)
    evaluator.threshold = 0.3
    evaluator.update(ids, probabilities, mask)
    rows = evaluator.rows()
    result = evaluator.compute(rows)
    truth = mask.numpy() > 0
    names = ("iou", "dice", "precision", "recall")
    for threshold, suffix in ((0.3, ""), (0.1, "@0.1"), (0.5, "@0.5")):
        pred = probabilities.numpy() > threshold
        assert [result[name + suffix] for name in names] == pytest.approx(counts(pred, truth), abs=1e-15)
        single = [counts(p, t) for p, t in zip(pred, truth, strict=True)]
        assert [result[f"{name}_image{suffix}"] for name in names] == pytest.approx(np.mean(single, 0), abs=1e-15)
        assert [rows[2][name + suffix] for name in names] == pytest.approx(single[2], abs=1e-15)
        assert rows[1]["tn" + suffix] == np.sum(~pred[1] & ~truth[1])
    pred = probabilities > 0.3
    surface = compute_hausdorff_distance(pred, mask, include_background=True, percentile=95)
    assert result["hd95_px"] == pytest.approx(surface.mean().item(), abs=1e-4)
    assert result["boundary_iou"] == pytest.approx(boundary_iou(pred, mask > 0, width_px=2).mean().item())
    assert result["crack_share"] == pytest.approx(truth.mean())
    assert result["images"] == 5


def test_a_probability_equal_to_the_threshold_is_background():
    probabilities = torch.full((1, 1, 4, 4), 0.5)
    _, result = evaluate((["a"], probabilities, torch.ones(1, 1, 4, 4)))
    assert result["recall"] == 0


def test_empty_masks_score_by_the_stated_policy():
    some = torch.zeros(1, 1, 30, 40)
    some[..., 5:9, 5:30] = 1
    none = torch.zeros(1, 1, 30, 40)
    pairs = {"both": (none, none), "missed": (none, some), "false": (some, none), "hit": (some, some)}
    rows, result = evaluate(*(([name], *pair) for name, pair in pairs.items()))
    by_id = {row["id"]: row for row in rows}
    for name in ("iou", "dice", "precision", "recall", "boundary_iou"):
        assert {key: row[name] for key, row in by_id.items()} == {"both": 1, "missed": 0, "false": 0, "hit": 1}
    assert {key: row["hd95_px"] for key, row in by_id.items()} == {"both": 0, "missed": 50, "false": 50, "hit": 0}
    assert result["hd95_px"] == 25  # (0 + 50 + 50 + 0) / 4
    assert result["hd95_px_empty"] == 2
    assert result["iou"] == pytest.approx(1 / 3)  # one hit, one miss and one false alarm of the same size
    assert by_id["both"]["boundary_share"] is None  # no truth
    assert result["boundary_share"] == 0.54  # 54 of 4 x 25 px
    _, nothing = evaluate((["a"], none, none))
    assert nothing["iou"] == nothing["precision"] == nothing["iou_image"] == 1


def test_padding_and_invalid_pixels_are_ignored(rng):
    ids, probabilities, mask = case(rng, 3, shape=(30, 40))
    sizes = torch.tensor([[30, 40], [21, 33], [30, 25]])
    junk = probabilities.clone()
    valid = torch.ones_like(mask)
    valid[2, :, :10] = 0
    for i, (height, width) in enumerate(sizes.tolist()):
        junk[i, :, height:], junk[i, :, :, width:] = 0.9, 0.9
    padded, result = evaluate((ids, junk, mask, valid, sizes))
    crops = []
    for i, (height, width) in enumerate(sizes.tolist()):
        part = slice(i, i + 1), slice(None), slice(10 if i == 2 else 0, height), slice(width)
        crops.append(([ids[i]], probabilities[part], mask[part]))
    cropped, expected = evaluate(*crops)
    assert padded == cropped or all(
        padded[i][key] == cropped[i][key] for i in range(3) for key in cropped[i] if key != "boundary_iou"
    )
    assert padded[1]["boundary_iou"] == cropped[1]["boundary_iou"]  # 2 % of the image's own diagonal
    assert result["iou"] == expected["iou"]


def test_an_image_without_a_counted_pixel_is_in_no_mean(rng):
    ids, probabilities, mask = case(rng, 3)
    valid = torch.ones_like(mask)
    valid[1] = 0
    rows, result = evaluate((ids, probabilities, mask, valid))
    _, without = evaluate(([ids[0], ids[2]], probabilities[::2], mask[::2]))
    assert rows[1]["iou"] is None
    assert rows[1]["tn"] == 0
    assert {**result, "images": 2} == without
    columns = {"loss": [0.5, math.nan, 1.0]}
    assert evaluate((ids, probabilities, mask, valid, None, columns))[1]["loss"] == 0.75


def test_classes_are_scored_one_by_one_and_averaged(rng):
    ids, probabilities, mask = case(rng, 4, channels=3)
    rows, result = evaluate((ids, probabilities, mask), class_names=["wall", "crack", "joint"])
    pred, truth = probabilities.argmax(1).numpy(), mask.numpy() > 0
    iou = [counts(pred == c, truth[:, c])[0] for c in range(3)]
    assert [result[f"iou/{name}"] for name in ("wall", "crack", "joint")] == pytest.approx(iou)
    assert result["iou"] == pytest.approx(np.mean(iou))
    assert rows[0]["dice"] == pytest.approx(np.mean([counts(pred[0] == c, truth[0, c])[1] for c in range(3)]))
    one_hot = torch.from_numpy(np.stack([pred == c for c in range(3)], 1))
    distances = hausdorff95(one_hot, mask > 0)
    assert result["hd95_px"] == pytest.approx(distances.mean().item())
    assert rows[1]["hd95_px/crack"] == distances[1, 1].item()
    assert not any("@" in name for name in result)
    _, foreground = evaluate((ids, probabilities, mask), background=False)
    assert foreground["iou"] == pytest.approx(np.mean(iou[1:]))
    assert "iou/0" not in foreground
    assert foreground["iou/2"] == pytest.approx(iou[2])


def test_an_absent_class_is_in_no_mean(rng):
    ids, probabilities, mask = case(rng, 3, channels=2)
    absent = torch.zeros_like(mask[:, :1])
    _, two = evaluate((ids, probabilities, mask))
    rows, three = evaluate((ids, torch.cat([probabilities, absent], 1), torch.cat([mask, absent], 1)))
    assert three["iou/2"] is None
    assert rows[0]["hd95_px/2"] is None
    assert all(three[name] == value for name, value in two.items())
    false = torch.cat([probabilities, absent], 1)
    false[0, :, 0, 0] = torch.tensor([0.0, 0.0, 1.0])
    rows, result = evaluate((ids, false, torch.cat([mask, absent], 1)))
    assert result["iou/2"] == 0  # one false pixel, and it counts
    assert result["iou"] < 0.7 * two["iou"]
    assert [row["hd95_px_empty"] for row in rows] == [1, 0, 0]


def test_columns_are_averaged_if_numbers_and_kept_if_words(rng):
    ids, probabilities, mask = case(rng, 3)
    columns = {"loss": [0.5, 1.0, 3.0], "group": ["a", "b", "a"]}
    rows, result = evaluate((ids, probabilities, mask, None, None, columns))
    assert result["loss"] == 1.5
    assert "group" not in result
    assert list(rows[0])[:3] == ["id", "loss", "group"]
    rows, result = evaluate((ids, probabilities, mask, None, None, {"loss": [0.5, math.nan, 1.0]}))
    assert rows[1]["loss"] is None
    assert result["loss"] is None  # not the mean of the others


def test_rows_are_one_per_image_and_sorted(rng):
    ids, probabilities, mask = case(rng, 4)
    order = [2, 0, 3, 1]
    shuffled = ([ids[i] for i in order], probabilities[order], mask[order])
    rows, result = evaluate(shuffled, ([ids[2]], probabilities[2:3], mask[2:3]))
    expected = evaluate(*(([ids[i]], probabilities[i : i + 1], mask[i : i + 1]) for i in range(4)))
    assert (rows, result) == expected
    evaluator = make_evaluator()
    evaluator.update(*shuffled)
    evaluator.reset()
    assert evaluator.rows() == []
    assert evaluator.compute([]) == {"images": 0.0}


def test_costly_scores_can_be_switched_off(rng):
    batch = case(rng, 3)
    rows, result = evaluate(batch, costly=False)
    _, full = evaluate(batch)
    assert not any("hd95" in name or "boundary" in name for name in [*rows[0], *result])
    assert result.items() < full.items()


def test_images_without_crack_can_be_skipped(rng):
    ids, probabilities, mask = case(rng, 4)
    mask[1:3], probabilities[2] = 0, 0
    _, scored = evaluate((ids, probabilities, mask))
    rows, skipped = evaluate((ids, probabilities, mask), crack_free="skip")
    _, alone = evaluate((ids[::3], probabilities[::3], mask[::3]))
    for name in ("iou_image", "iou_image@0.5", "hd95_px", "cl_dice", "boundary_iou"):
        assert skipped[name] == alone[name]
        assert skipped[name] != scored[name]
    assert rows[1]["iou"] is None
    for result in (scored, skipped):
        assert (result["empty_truth"], result["empty_pred"], result["hd95_px_empty"]) == (2, 1, 1)
        assert result["false_positive_px"] == rows[1]["fp"] / 2
    assert skipped["iou"] == scored["iou"] < alone["iou"]  # pooled: false pixels count wherever they are


def test_an_empty_prediction_instead_of_a_perfect_one_improves_no_metric(rng):
    for channels in (1, 3):
        ids, _, mask = case(rng, 4, channels)
        if channels == 1:
            mask[3] = 0
        empty = mask.clone()
        empty[1] = 0
        empty[1, 0] = float(channels > 1)  # of several classes: all is background
        options = {"curves": True, "surface_thresholds": [0.2], "crack_free": "score"}
        perfect, worse = (evaluate((ids, probabilities, mask), **options)[1] for probabilities in (mask, empty))
        assert set(perfect) == set(worse)
        neutral = {
            "images",
            "crack_share",
            "width_px",
            "boundary_share",
            "empty_truth",
            "empty_pred",
            "false_positive_px",
        }
        for name in set(perfect) - neutral:
            lower = name.startswith(("hd", "asd", "betti0"))
            assert perfect[name] is None or (-1) ** lower * worse[name] <= (-1) ** lower * perfect[name], name
        assert worse["iou"] < perfect["iou"]
        assert worse["hd95_px"] > perfect["hd95_px"] == 0


def test_distances_are_given_in_mm_if_the_scale_is_known(rng):
    ids, probabilities, mask = case(rng, 2)
    rows, result = evaluate((ids, probabilities, mask, None, None, {"mm_per_px": [0.5, 2.0]}))
    assert rows[0]["hd95_mm"] == rows[0]["hd95_px"] * 0.5
    assert result["asd_mm"] == pytest.approx((rows[0]["asd_px"] / 2 + rows[1]["asd_px"] * 2) / 2)


def test_groups_of_scores_can_be_chosen(rng):
    rows, _ = evaluate(case(rng, 2), groups=["skeleton"])
    assert "cl_dice" in rows[0]
    assert "hd95_px" not in rows[0]
    rows, result = evaluate(case(rng, 2, channels=2), groups=["topology"], class_names=["wall", "crack"])
    assert "bridged/crack" in rows[0]
    assert result["betti0_error"] is not None
    rows, _ = evaluate(case(rng, 2, channels=2))
    assert "cl_dice" not in rows[0]  # for several classes, only if it is chosen


def test_the_order_of_images_does_not_matter(rng):
    ids, probabilities, mask = case(rng, 40, shape=(20, 24))  # more images than may be waiting for a thread
    order = rng.permutation(40)
    shuffled = [ids[i] for i in order], probabilities[order], mask[order]
    expected_rows, expected = evaluate((ids, probabilities, mask))
    assert evaluate(shuffled) == (expected_rows, expected)


@pytest.mark.filterwarnings("ignore:.*Boundary IoU")
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31), st.booleans())
def test_values_are_finite_or_none(channels, height, width, seed, background):
    rng = np.random.default_rng(seed)
    quantised = rng.integers(0, 3, (3, channels, height, width)) / 2
    mask = rng.integers(0, channels + 1, (3, 1, height, width)) == np.arange(channels)[None, :, None, None]
    mask &= rng.random((3, 1, 1, 1)) < 0.6
    valid = torch.from_numpy(rng.random((3, 1, height, width)) < rng.random((3, 1, 1, 1)) * 1.2)
    batch = ["a", "b", "c"], torch.from_numpy(quantised), torch.from_numpy(mask), valid
    rows, result = evaluate(batch, background=background)
    json.dumps([rows, result], allow_nan=False)
    assert result["iou"] is not None
    for row in [*rows, result]:
        for name, value in row.items():
            if name.startswith(("iou", "dice", "precision", "recall", "boundary")):
                assert value is None or 0 <= value <= 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_floating_dtype_gives_the_same(rng, dtype):
    ids, probabilities, mask = case(rng, 2)
    probabilities = probabilities.to(dtype)
    assert evaluate((ids, probabilities, mask.to(dtype))) == evaluate((ids, probabilities.float(), mask))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same(rng):
    ids, probabilities, mask = case(rng, 3, channels=2)
    sizes = torch.tensor([[20, 20], [33, 47], [33, 40]])
    on_gpu = [tensor.cuda() for tensor in (probabilities, mask, torch.ones_like(mask[:, :1]), sizes)]
    assert evaluate((ids, *on_gpu)) == evaluate((ids, probabilities, mask, None, sizes))


@pytest.mark.parametrize(
    ("width", "sentence"),
    [
        (
            None,
            r"100 % of the pixels of the true masks lie in its band of 2 % of the diagonal: .* lower model.evaluation",
        ),
        (2, r"in its band of 2 px: .* lower model.evaluation.boundary_width_px"),
        (1, r"in its band of 1 px, the narrowest there is: .* read IoU alone$"),
    ],
)
def test_warns_once_with_a_possible_remedy_if_boundary_iou_is_nearly_plain_iou(rng, width, sentence):
    ids, probabilities, mask = case(rng, 3)
    evaluator = make_evaluator(boundary_width_px=width)
    evaluator.update(ids, probabilities, mask * (torch.rand_like(mask) < 0.2))
    with pytest.warns(UserWarning, match=sentence):
        evaluator.compute(evaluator.rows())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluator.compute(evaluator.rows())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thresholds": [1.5]}, r"thresholds is \[1.5\]"),
        ({"boundary_width_px": 0}, "width_px is 0"),
        ({"empty": -2.0}, "empty is -2.0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make_evaluator(**options)


def test_batches_that_do_not_match_are_refused(rng):
    ids, probabilities, mask = case(rng, 3)
    for batch, message in [
        ((ids[:2], probabilities, mask), "ids has 2 values for 3 images"),
        ((ids, probabilities, mask[:, 0]), "mask is"),
        ((ids, probabilities, mask, mask[:, 0]), "valid is"),
        ((ids, probabilities, mask, None, torch.ones(3)), "size is"),
        ((ids, probabilities, mask, None, None, {"loss": [1.0]}), "loss has 1 values for 3 images"),
    ]:
        with pytest.raises(ConfigError, match=message):
            make_evaluator().update(*batch)
    with pytest.raises(ConfigError, match="2 class names for 3 channels"):
        evaluate(case(rng, 2, channels=3), class_names=["a", "b"])


@pytest.mark.parametrize(("processes", "images"), [(2, 5), (3, 7)])
def test_several_processes_give_the_rows_and_metrics_of_one(gathered, processes, images):
    batch = case(np.random.default_rng(3), images)
    columns = {"loss": [i / 7 for i in range(images)]}
    one = (*batch, None, metric_cases.shrinking(images), columns)
    rows, metrics = evaluate(one, thresholds=[0.1], curves=True)
    for rank in range(processes):
        assert json.loads((gathered / f"{processes}_{images}_{rank}.json").read_text()) == [
            without_histograms(rows),
            metrics,
        ]


@pytest.fixture(scope="module")
def gathered(tmp_path_factory):
    """Rows and metrics of each process: of 3 processes, then of 2 of them."""
    folder = tmp_path_factory.mktemp("gathered")
    torch.multiprocessing.start_processes(
        metric_cases.work, (folder, [(3, 7), (2, 5)]), nprocs=3, start_method="forkserver"
    )
    return folder


def test_ratios_of_average_counts_are_those_of_whole_counts():
    counts = np.array([[2.0], [1.0], [3.0], [6.0]])
    for name, ratio in BINARY.items():
        assert ratio(*counts / 10) == pytest.approx(ratio(*counts)), name
    assert precision(*np.array([0.0, 0.0, 0.5, 0.5])).item() == 0  # nothing is predicted
