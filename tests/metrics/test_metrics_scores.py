import inspect
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from metric_cases import blobs, real_pairs
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage
from scipy.spatial.distance import cdist
from skimage.morphology import dilation, disk, skeletonize

from cracklab.errors import ConfigError
from cracklab.metrics import hausdorff95, scores
from cracklab.metrics.bands import BANDS, by_width, pooled_by_width
from cracklab.metrics.image_scores import GROUPS, SCORES_OF, image_score, image_scores
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.overlap import BINARY
from cracklab.metrics.pairs import Pair
from cracklab.metrics.scores import SCORES
from cracklab.metrics.surface import image_hausdorff95
from cracklab.metrics.torchmetrics import AverageSurfaceDistance, HausdorffDistance95

pytestmark = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's own


def cracks(rng, shape=(48, 64), count=3):
    """Crooked lines of 1 to 5 px, bool."""
    mask = np.zeros(shape, np.uint8)
    for _ in range(count):
        steps = np.cumsum(rng.integers(-6, 9, (6, 2)), 0) + rng.integers(5, 40, 2)
        cv2.polylines(mask, [steps.astype(np.int32)], False, 1, int(rng.integers(1, 6)))
    return mask > 0


def disturbed(rng, truth):
    """The prediction of a mediocre net: shifted, frayed, with gaps and specks."""
    pred = np.roll(truth, rng.integers(-1, 2, 2), (0, 1)) & ~blobs(rng, truth.shape, 0, 0.1)
    return (pred & ~blobs(rng, truth.shape, 3, 0.2)) | (rng.random(truth.shape) < 0.003)


def value(name, pred, truth, **options):
    return image_score(name, pred, truth, EvaluationOptions(**options))


# -- oracles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_distances_are_monais(seed):
    rng = np.random.default_rng(seed)
    truth = cracks(rng)
    pred = disturbed(rng, truth)
    batch = [torch.from_numpy(mask)[None, None].float() for mask in (pred, truth)]
    ours = GROUPS["surface"](Pair(pred, truth), EvaluationOptions(tolerance_px=2))
    assert ours["hd95_px"] == pytest.approx(
        compute_hausdorff_distance(*batch, include_background=True, percentile=95).item(), abs=1e-4
    )
    assert ours["hd100_px"] == pytest.approx(
        compute_hausdorff_distance(*batch, include_background=True).item(), abs=1e-4
    )
    asd = compute_average_surface_distance(*batch, include_background=True, symmetric=True)
    assert ours["asd_px"] == pytest.approx(asd.item(), abs=1e-4)
    dice = compute_surface_dice(*batch, class_thresholds=[2.0], include_background=True)
    assert ours["surface_dice"] == pytest.approx(dice.item(), abs=1e-6)


def test_boundary_f1_by_brute_force(rng):
    truth = cracks(rng)
    pred = disturbed(rng, truth)
    points = [np.argwhere(m & ~ndimage.binary_erosion(m)) for m in (pred, truth)]
    distances = cdist(*points)
    for tolerance in (0, 1, 2.5):
        precision, recall = ((distances.min(axis) <= tolerance).mean() for axis in (1, 0))
        expected = 2 * precision * recall / (precision + recall)
        assert value("boundary_f1", pred, truth, tolerance_px=tolerance) == pytest.approx(expected)


def test_monai_backend_is_monai(rng):
    truth = cracks(rng)
    masks = [torch.from_numpy(mask)[None, None] for mask in (disturbed(rng, truth), truth)]
    expected = compute_hausdorff_distance(*masks, include_background=True, percentile=95)
    assert hausdorff95(*masks, backend="monai").item() == expected.item()
    assert value("hd95_px", *(m[0, 0].numpy() for m in masks), backend="monai") == expected.item()


@pytest.mark.parametrize("seed", range(4))
def test_centre_lines_by_dilation(seed):
    """Distances by dilating with a disk, as OmniCrack30k does."""
    rng = np.random.default_rng(seed)
    truth = cracks(rng)
    pred = disturbed(rng, truth)
    line, pred_line = skeletonize(truth), skeletonize(pred)
    sensitivity, precision = (line & pred).sum() / line.sum(), (pred_line & truth).sum() / pred_line.sum()
    assert value("cl_dice", pred, truth) == pytest.approx(2 * sensitivity * precision / (sensitivity + precision))
    for buffer in (1, 4):
        tp = line & dilation(pred_line, disk(buffer))
        fp = pred_line & ~dilation(line, disk(buffer))
        cl_iou = tp.sum() / (line | fp).sum() if not (line & fp).any() else None
        assert value("cl_iou", pred, truth, buffer_px=buffer) == pytest.approx(cl_iou)
        assert value("skeleton_recall", pred, truth, buffer_px=buffer) == pytest.approx(tp.sum() / line.sum())
        expected = 1 - fp.sum() / pred_line.sum()
        assert value("skeleton_precision", pred, truth, buffer_px=buffer) == pytest.approx(expected)


def test_topology_of_a_broken_crack_in_closed_form():
    truth, pred = np.zeros((2, 20, 100), bool)
    truth[5, :100] = truth[15, 10:60] = True  # a crack of 100 px, one of 50 px
    pred[5, :20] = pred[5, 30:100] = pred[15, 10:60] = True  # the first in pieces of 20 and 70
    pred[0, 0] = True  # and a speck, far off
    # pieces per crack: (2 + 1) / 2; main pieces of 70 and 50 px; 4 pieces and 2 cracks
    result = GROUPS["topology"](Pair(pred, truth), EvaluationOptions(tolerance_px=0))
    assert result == {"pieces_per_crack": 1.5, "bridged": pytest.approx((70 + 50) / 150), "betti0_error": 2}
    # with a tolerance of 2 px, the gap of 10 px shrinks to 6 px
    near = GROUPS["topology"](Pair(pred, truth), EvaluationOptions(tolerance_px=2))
    assert near["bridged"] == pytest.approx((72 + 50) / 150)
    shifted = np.roll(pred, 1, 0)
    assert value("bridged", shifted, truth, tolerance_px=0) == 0
    assert value("pieces_per_crack", shifted, truth, tolerance_px=1) == 1.5


def test_components_are_scipys(rng):
    truth = cracks(rng)
    pred = disturbed(rng, truth)
    pieces, count = (ndimage.label(mask, np.ones((3, 3)))[1] for mask in (pred, truth))
    assert pieces != count
    assert value("betti0_error", pred, truth) == abs(pieces - count)


def test_width_bands_of_straight_cracks_in_closed_form():
    truth = np.zeros((100, 120), bool)
    for top, width in ((5, 1), (20, 4), (40, 8), (65, 14)):
        truth[top : top + width, 10:110] = True
    pred = truth.copy()
    pred[20:24, 60:80] = False  # 80 px missed of the second
    pred[48:50, 30:40] = True  # 20 px false beside the third
    row = by_width(Pair(pred, truth))
    result = pooled_by_width([row])
    assert result["recall_w1_2"] == 1
    assert result["iou_w1_2"] == 1
    assert result["recall_w3_5"] == pytest.approx(320 / 400, abs=0.02)  # the tapered ends of wider ones are in it
    assert result["iou_w6_10"] == pytest.approx(800 / 820, abs=0.02)
    assert result["recall_w6_10"] == result["recall_w11"] == 1
    assert row["n_w11_tp"] == pytest.approx(1400, rel=0.05)
    assert sum(row[f"n_{band}_tp"] for band in BANDS) == (pred & truth).sum()
    assert sum(row[f"n_{band}_fp"] for band in BANDS) == (pred & ~truth).sum()
    assert result["cl_dice_w3_5"] < 0.95 < result["cl_dice_w11"]
    empty = by_width(Pair(pred, np.zeros_like(truth)))
    assert empty["width_px"] is None
    assert pooled_by_width([empty])["iou_w11"] is None
    assert pooled_by_width([row, empty]) == result


@pytest.mark.parametrize(
    ("width", "band"), [(1, "w1_2"), (2, "w1_2"), (3, "w3_5"), (5, "w3_5"), (6, "w6_10"), (10, "w6_10"), (11, "w11")]
)
def test_whole_widths_are_in_the_band_that_names_them(width, band):
    truth = np.zeros((30, 60), bool)
    truth[10 : 10 + width] = True
    row = by_width(Pair(truth, truth))
    assert row[f"n_{band}_tp"] > 0.8 * truth.sum()  # the skeleton forks at the ends


# -- policies and properties -----------------------------------------------------------------------------------------


def test_every_score_has_a_group_and_a_policy():
    assert {*BINARY, *(name for names in SCORES_OF.values() for name in names)} == set(SCORES)
    assert set(SCORES_OF) == set(GROUPS)
    some = np.eye(20, dtype=bool)
    for group, names in SCORES_OF.items():
        assert set(names) <= set(GROUPS[group](Pair(some, some), EvaluationOptions())), group


def test_the_default_for_empty_masks_is_written_in_one_file():
    files = list(Path(scores.__file__).parent.glob("*.py"))
    assert [path.name for path in files if '"diagonal"' in path.read_text()] == ["scores.py"]
    for function in (hausdorff95, image_hausdorff95, EvaluationOptions, HausdorffDistance95, AverageSurfaceDistance):
        assert inspect.signature(function).parameters["empty"].default is scores.EMPTY


def goodness(name, number):
    return {"higher": number, "lower": -number, "one": -abs(number - 1)}[SCORES[name].better]


@pytest.mark.parametrize("name", SCORES)
def test_an_empty_prediction_never_improves_a_perfect_one(name, rng):
    nothing = np.zeros((48, 64), bool)
    truths = [cracks(rng) for _ in range(4)] + [nothing, ~nothing]
    truths += [blobs(rng, (48, 64), 0, 0.01), np.pad(np.ones((1, 1), bool), ((3, 44), (5, 58)))]
    for truth in truths:
        for options in ({}, {"crack_free": "skip"}, {"empty": 5.0}, {"boundary_width_px": 1}):
            perfect, empty = value(name, truth, truth, **options), value(name, nothing, truth, **options)
            assert np.isnan(perfect) == np.isnan(empty), "an empty prediction must not leave the mean"
            if not np.isnan(perfect):
                assert goodness(name, empty) <= goodness(name, perfect)
            if truth.any() and not np.isnan(perfect):
                assert goodness(name, empty) < goodness(name, perfect)
                assert perfect == {"higher": 1, "lower": 0, "one": 1}[SCORES[name].better]


@pytest.mark.parametrize("name", SCORES)
def test_a_false_alarm_is_worse_than_an_empty_prediction(name, rng):
    nothing, alarm = np.zeros((48, 64), bool), cracks(rng)
    silent, loud = value(name, nothing, nothing), value(name, alarm, nothing)
    if name in ("pieces_per_crack", "bridged"):
        assert np.isnan(silent)
        assert np.isnan(loud)
    else:
        assert goodness(name, loud) < goodness(name, silent)
        assert np.isnan(value(name, alarm, nothing, crack_free="skip"))


@pytest.mark.parametrize("name", SCORES)
def test_scores_under_swapping_padding_and_translation(name, rng):
    truth = np.pad(cracks(rng), 3)
    pred = np.pad(disturbed(rng, truth[3:-3, 3:-3]), 3)
    options = {"boundary_width_px": 2}
    number = value(name, pred, truth, **options)
    symmetric = {"iou", "dice", "accuracy", "mean_iou", "cl_dice", "boundary_iou"}
    symmetric |= {"hd95_px", "hd100_px", "asd_px", "surface_dice", "boundary_f1", "betti0_error"}
    assert (value(name, truth, pred, **options) == pytest.approx(number)) == (name in symmetric)
    padded = [np.pad(mask, ((0, 7), (9, 2))) for mask in (pred, truth)]
    if name not in ("accuracy", "mean_iou", "mean_accuracy"):  # true negatives do count there
        assert value(name, *padded, **options) == pytest.approx(number)
    moved = [np.roll(mask, (2, -3), (0, 1)) for mask in (pred, truth)]
    assert value(name, *moved, **options) == pytest.approx(number)


def test_real_masks_score_between_empty_and_perfect(deepcrack):
    for pred, truth in real_pairs(deepcrack, 3):
        pred, truth = pred[0, 0].numpy(), truth[0, 0].numpy()
        values = image_scores(pred, truth, EvaluationOptions())
        assert 0.5 < values["cl_dice"] < 1
        assert 0.5 < values["surface_dice"] < 1
        assert 0 < values["hd95_px"] < 50
        assert values["width_px"] > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ("skeletons",)}, "no group of metrics is called 'skeletons'; did you mean 'skeleton'"),
        ({"tolerance_px": -1.0}, "tolerance_px is -1.0"),
        ({"buffer_px": float("nan")}, "buffer_px is nan"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        EvaluationOptions(**options)
