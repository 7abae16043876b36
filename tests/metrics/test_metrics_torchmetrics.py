import pickle

import lightning_cases
import numpy as np
import pytest
import torch
from lightning_cases import IMAGES, Images, collection
from metric_cases import blobs, case, make_evaluator
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from skimage.morphology import dilation, disk, skeletonize
from test_metrics_boundary import reference as boundary_iou_reference
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex, BinaryPrecision, BinaryRecall

from cracklab.errors import ConfigError
from cracklab.metrics import torchmetrics as classes
from cracklab.metrics.overlap import BINARY, RATIOS
from cracklab.metrics.scores import SCORES
from cracklab.metrics.torchmetrics import (
    AverageSurfaceDistance,
    Betti0Error,
    BoundaryF1,
    BoundaryIoU,
    Bridged,
    CenterlineIoU,
    ClDice,
    Dice,
    HausdorffDistance,
    HausdorffDistance95,
    IoU,
    PiecesPerCrack,
    Precision,
    Recall,
    SurfaceDice,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning"),  # MONAI's own
    pytest.mark.filterwarnings("ignore:.*Boundary IoU"),
]

ALL = [getattr(classes, name) for name in classes.__all__]
OF_IMAGES = {cls.score: cls for cls in ALL if hasattr(cls, "score")}
OF_PIXELS = {cls.ratio: cls for cls in ALL if hasattr(cls, "ratio")}


def computed(metric, *batches):
    for batch in batches:
        metric.update(*batch)
    return metric.compute().item()


def horizontal(*spans, shape=(9, 9)):
    """A mask (1, 1, H, W) of horizontal lines, each (row, first column, end)."""
    mask = torch.zeros(1, 1, *shape, dtype=torch.bool)
    for row, first, end in spans:
        mask[..., row, first:end] = True
    return mask


def test_every_score_has_one_class():
    assert set(OF_IMAGES) == set(SCORES) - set(BINARY)
    assert set(OF_PIXELS) == set(RATIOS)
    assert len(OF_IMAGES) + len(OF_PIXELS) == len(ALL)


@pytest.mark.parametrize("cls", ALL)
def test_direction_and_flags(cls):
    lower = {HausdorffDistance95, HausdorffDistance, AverageSurfaceDistance, Betti0Error}
    assert cls.higher_is_better is (None if cls is PiecesPerCrack else cls not in lower)
    assert cls.full_state_update is False
    assert cls.is_differentiable is False


# -- oracles ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def masks(rng):
    """Predictions and truths of 4 images, (4, 1, H, W) bool, none empty."""
    truth = blobs(rng, (4, 1, 40, 52), 3, 0.2)
    pred = truth ^ blobs(rng, truth.shape, 1, 0.1)
    return torch.from_numpy(pred), torch.from_numpy(truth)


def test_distances_are_the_means_of_monais(masks):
    as_float = [mask.float() for mask in masks]
    hd95 = compute_hausdorff_distance(*as_float, include_background=True, percentile=95)
    assert computed(HausdorffDistance95(), masks) == pytest.approx(hd95.mean().item(), abs=1e-4)
    assert computed(HausdorffDistance95(backend="monai"), masks) == pytest.approx(hd95.mean().item())
    hd100 = compute_hausdorff_distance(*as_float, include_background=True)
    assert computed(HausdorffDistance(), masks) == pytest.approx(hd100.mean().item(), abs=1e-4)
    asd = compute_average_surface_distance(*as_float, include_background=True, symmetric=True)
    assert computed(AverageSurfaceDistance(), masks) == pytest.approx(asd.mean().item(), abs=1e-4)
    for tolerance in (1.0, 3.0):
        dice = compute_surface_dice(*as_float, class_thresholds=[tolerance], include_background=True)
        assert computed(SurfaceDice(tolerance_px=tolerance), masks) == pytest.approx(dice.mean().item(), abs=1e-6)


@pytest.mark.parametrize("width", [None, 1, 3])
def test_boundary_iou_is_the_mean_of_the_references(masks, width):
    expected = [
        boundary_iou_reference(p.numpy(), t.numpy(), width) for p, t in zip(*(m[:, 0] for m in masks), strict=True)
    ]
    assert computed(BoundaryIoU(width_px=width), masks) == pytest.approx(np.mean(expected))


def test_centre_lines_by_skeletonize_and_dilation(masks):
    cl_dice, cl_iou = [], []
    for pred, truth in zip(*(mask[:, 0].numpy() for mask in masks), strict=True):
        line, pred_line = skeletonize(truth), skeletonize(pred)
        sensitivity, precision = (line & pred).sum() / line.sum(), (pred_line & truth).sum() / pred_line.sum()
        cl_dice.append(2 * sensitivity * precision / (sensitivity + precision))
        tp = (line & dilation(pred_line, disk(2))).sum()
        fp = (pred_line & ~dilation(line, disk(2))).sum()
        cl_iou.append(tp / (line.sum() + fp))
    assert computed(ClDice(), masks) == pytest.approx(np.mean(cl_dice))
    assert computed(CenterlineIoU(buffer_px=2), masks) == pytest.approx(np.mean(cl_iou))


def test_topology_of_a_broken_crack_in_closed_form():
    truth = horizontal((2, 0, 9), (6, 0, 9))
    pred = horizontal((2, 0, 3), (2, 4, 9), (6, 0, 9))  # the first crack in pieces of 3 and 5 px
    assert computed(PiecesPerCrack(), (pred, truth)) == 1.5
    assert computed(Bridged(tolerance_px=0), (pred, truth)) == pytest.approx((5 + 9) / 18)
    assert computed(Betti0Error(), (pred, truth)) == 1  # 3 pieces, 2 cracks


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(IoU, BinaryJaccardIndex), (Dice, BinaryF1Score), (Precision, BinaryPrecision), (Recall, BinaryRecall)],
)
def test_pooled_ratios_are_those_of_torchmetrics(rng, ours, theirs):
    _, probabilities, mask = case(rng, 4)
    for threshold in (0.5, 0.3):
        reference = theirs(threshold=threshold)
        expected = computed(reference, *((probabilities[i], mask[i].int()) for i in range(4)))
        batches = [(probabilities[:1], mask[:1]), (probabilities[1:], mask[1:])]
        assert computed(ours(threshold=threshold), *batches) == pytest.approx(expected)


def test_pooled_and_per_image_ratios_in_closed_form():
    pred = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]]).reshape(2, 1, 1, 4)
    truth = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 1]]).reshape(2, 1, 1, 4)
    assert computed(IoU(), (pred, truth)) == pytest.approx(2 / 6)  # TP, FP, FN = 1 + 1, 1 + 0, 0 + 3
    assert computed(IoU(per_image=True), (pred, truth)) == pytest.approx((1 / 2 + 1 / 4) / 2)


# -- the evaluator, policies, options --------------------------------------------------------------------------------


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [*OF_IMAGES, *OF_PIXELS])
def test_values_are_those_of_the_evaluator(rng, name, channels, background):
    ids, probabilities, mask = case(rng, 4, channels)
    mask[1], mask[2, -1] = 0, 0
    valid = torch.ones_like(mask[:, :1])
    valid[0, ..., :9], valid[3] = 0, 0  # of image 3 no pixel counts
    evaluator = make_evaluator(
        boundary_width_px=2, background=background, groups=["surface", "boundary", "skeleton", "topology"]
    )
    evaluator.update(ids, probabilities, mask, valid)
    result = evaluator.compute(evaluator.rows())
    own = {"width_px": 2} if name == "boundary_iou" else {}
    metric = (OF_IMAGES | OF_PIXELS)[name](**own, background=background)
    batches = [(probabilities[part], mask[part], valid[part]) for part in (slice(0, 1), slice(1, 4))]
    assert computed(metric, *batches) == pytest.approx(result[name])
    if name in OF_PIXELS:
        metric = OF_PIXELS[name](per_image=True, background=background)
        assert computed(metric, *batches) == pytest.approx(result[f"{name}_image"])


def test_padding_counts_nowhere_if_sizes_are_given(rng):
    ids, probabilities, mask = case(rng, 3, shape=(60, 80))
    mask[1] = 0  # HD95 is the diagonal of the image, 50 px
    sizes = torch.tensor([[60, 80], [30, 40], [44, 80]])
    evaluator = make_evaluator(groups=["surface", "boundary", "skeleton", "topology"])
    evaluator.update(ids, probabilities, mask, size=sizes)
    result = evaluator.compute(evaluator.rows())
    assert evaluator.rows()[1]["hd95_px"] == 50
    for name, cls in (OF_IMAGES | OF_PIXELS).items():
        assert computed(cls(), (probabilities, mask, None, None, sizes)) == pytest.approx(result[name]), name
    assert computed(HausdorffDistance95(), (probabilities, mask)) > result["hd95_px"] + 5


def test_empty_masks_count_by_the_stated_policy():
    none, some = torch.zeros(1, 1, 30, 40, dtype=torch.bool), torch.ones(1, 1, 30, 40, dtype=torch.bool)
    assert computed(HausdorffDistance95(), (none, some)) == 50  # the diagonal of 30 x 40
    assert computed(HausdorffDistance95(empty=7), (none, some)) == 7
    assert computed(HausdorffDistance95(), (none, none), (none, some)) == 25
    assert computed(HausdorffDistance95(crack_free="skip"), (some, none), (none, some)) == 50
    assert computed(ClDice(), (none, none)) == computed(IoU(), (none, none)) == 1
    assert computed(BoundaryF1(), (some, none)) == 0


def test_nan_if_there_is_nothing_to_measure():
    none = torch.zeros(1, 1, 5, 5, dtype=torch.bool)
    assert np.isnan(computed(Bridged(), (none, none)))
    assert np.isnan(computed(IoU(per_image=True, crack_free="skip"), (none, none)))
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert np.isnan(computed(IoU()))


def test_masks_of_any_type_and_probabilities_give_the_same(rng):
    _, probabilities, mask = case(rng, 3)
    expected = computed(ClDice(threshold=0.3), (probabilities, mask))
    pred = probabilities > 0.3
    for same in (pred, pred.int(), pred.to(torch.uint8), pred.float()):
        for truth in (mask > 0, mask.int(), mask.half()):
            assert computed(ClDice(threshold=0.3), (same, truth)) == expected
    assert computed(ClDice(threshold=0.7), (probabilities, mask)) != expected


def test_several_classes_are_the_most_probable_whatever_the_threshold(rng):
    _, probabilities, mask = case(rng, 3, 3)
    one_hot = torch.nn.functional.one_hot(probabilities.argmax(1), 3).movedim(-1, 1)
    expected = computed(IoU(), (one_hot, mask))
    assert computed(IoU(threshold=0.9), (probabilities, mask)) == expected


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (HausdorffDistance95, {"empty": -1.0}, "empty is -1.0"),
        (BoundaryIoU, {"width_px": 0}, "width_px is 0"),
        (SurfaceDice, {"tolerance_px": -2}, "tolerance_px is -2"),
        (CenterlineIoU, {"buffer_px": float("nan")}, "buffer_px is nan"),
        (ClDice, {"threshold": 1.5}, "threshold is 1.5"),
        (IoU, {"threshold": 0}, "threshold is 0"),
        (IoU, {"crack_free": "ignore"}, "crack_free is 'ignore'"),
        (HausdorffDistance95, {"backend": "scipy"}, "backend is 'scipy'"),
    ],
)
def test_options_out_of_range_are_refused(cls, options, message):
    with pytest.raises(ConfigError, match=message):
        cls(**options)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="`tolerance`"):
        SurfaceDice(tolerance=2)
    with pytest.raises(ValueError, match="`tolerance_px`"):
        ClDice(tolerance_px=2)  # no option of this score


MASK = torch.ones(2, 1, 4, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (
            (MASK * 3.5 - 1, MASK),
            r"pred has values from 2.5 to 2.5: expected probabilities, such as .*probabilities\(logits\)",
        ),
        ((MASK * float("nan"), MASK), "pred has values from nan to nan"),
        ((MASK.float()[0], MASK), r"pred is \(1, 4, 4\): expected \(B, C, H, W\)"),
        ((MASK, MASK * 255), r"target has values other than 0 and 1"),
        ((MASK * 2, MASK), r"pred has values other than 0 and 1"),
        ((MASK, MASK[..., :3]), "same shape"),
        ((MASK, MASK, MASK[:, 0]), "valid is"),
        ((MASK, MASK, None, ["a"]), "ids has 1 values for 2 images"),
        ((MASK, MASK, None, None, torch.ones(2, 3)), r"size is \(2, 3\): expected \(2, 2\)"),
    ],
)
def test_batches_that_do_not_fit_are_refused(batch, message):
    with pytest.raises(ConfigError, match=message):
        HausdorffDistance95().update(*batch)


@pytest.mark.parametrize("cls", [HausdorffDistance95, IoU])
def test_a_batch_without_images_changes_nothing(cls):
    metric = cls()
    metric.update(MASK[:0], MASK[:0])
    metric.update(MASK[:0], MASK[:0], ids=[], sizes=torch.zeros(0, 2))
    assert metric.compute().isnan()
    assert computed(metric, (MASK, MASK)) == cls()(MASK, MASK).item()


def test_different_numbers_of_classes_are_refused():
    metric = IoU()
    metric.update(MASK, MASK)
    metric.update(MASK.expand(-1, 2, -1, -1), MASK.expand(-1, 2, -1, -1))
    with pytest.raises(ConfigError, match="IoU got images of different numbers of classes"):
        metric.compute()


# -- state -----------------------------------------------------------------------------------------------------------


def test_repeated_images_are_dropped_if_ids_are_given(rng):
    ids, probabilities, mask = case(rng, 3)
    for name, cls in (OF_IMAGES | OF_PIXELS).items():
        once = computed(cls(), (probabilities, mask))
        repeated = [(probabilities, mask), (probabilities[:2], mask[:2])]
        with_ids = [(*batch, None, ids[: len(batch[0])]) for batch in repeated]
        assert computed(cls(), *with_ids) == once, name
        numbers = [(*batch, None, torch.arange(len(batch[0]))) for batch in repeated]
        assert computed(cls(), *numbers) == once, name
    assert computed(IoU(), *repeated) != computed(IoU(), (probabilities, mask))


def test_images_without_ids_all_count_beside_images_with_ids(rng):
    ids, probabilities, mask = case(rng, 3)
    value = computed(Recall(per_image=True), (probabilities, mask, None, ids), (probabilities[:1], mask[:1]))
    recalls = [((p > 0.5) & (y > 0)).sum() / (y > 0).sum() for p, y in zip(probabilities, mask, strict=True)]
    assert value == pytest.approx((sum(recalls) + recalls[0]).item() / 4)


def test_forward_returns_the_value_of_the_batch_and_accumulates(rng):
    _, probabilities, mask = case(rng, 4)
    metric = ClDice()
    for part in (slice(0, 2), slice(2, 4)):
        batch = probabilities[part], mask[part]
        assert metric(*batch).item() == computed(ClDice(), batch)
    assert metric.compute().item() == computed(ClDice(), (probabilities, mask))
    metric.reset()
    metric.update(probabilities[:1], mask[:1])
    assert metric.compute().item() == computed(ClDice(), (probabilities[:1], mask[:1]))


def test_low_precision_modules_do_not_round_the_state(rng):
    _, probabilities, mask = case(rng, 4)
    module = torch.nn.ModuleList([HausdorffDistance95(), IoU()])
    for metric in module:
        metric.update(probabilities[:2], mask[:2])
    module.to(torch.bfloat16)
    for metric in module:
        metric.update(probabilities[2:], mask[2:])
        assert metric.compute().item() == computed(type(metric)(), (probabilities, mask))


def test_pickles_and_checkpoints_keep_the_state(rng):
    _, probabilities, mask = case(rng, 3)
    metric = HausdorffDistance95(empty=5.0)
    metric.persistent(True)
    expected = computed(metric, (probabilities, mask))
    assert pickle.loads(pickle.dumps(metric)).compute().item() == expected
    again = HausdorffDistance95(empty=5.0)
    again.load_state_dict(metric.state_dict())
    again._update_count = 1  # torchmetrics does not store it, and would warn
    assert again.compute().item() == expected


def test_metrics_of_a_collection_share_a_state_only_if_they_measure_the_same(rng):
    """torchmetrics merges metrics whose states are equal after the first batch, here a perfect prediction."""
    _, probabilities, mask = case(rng, 4)
    metrics = {
        "hd95": HausdorffDistance95(), "hd95_5": HausdorffDistance95(empty=5.0), "hd": HausdorffDistance(), "asd": AverageSurfaceDistance(),
        "surface_dice": SurfaceDice(), "surface_dice_0": SurfaceDice(tolerance_px=0), "f1": BoundaryF1(), "cl_dice": ClDice(),
        "iou": IoU(), "iou_image": IoU(per_image=True), "dice": Dice(), "iou_08": IoU(threshold=0.8),
    }  # fmt: skip
    batches = [(mask[:1], mask[:1]), (probabilities, mask), (mask[:1] * 0, mask[:1])]
    alone = {name: computed(metric.clone(), *batches) for name, metric in metrics.items()}
    together = MetricCollection(metrics)
    for batch in batches:
        together.update(*batch)
    assert {name: value.item() for name, value in together.compute().items()} == alone
    assert len(set(alone.values())) == len(alone)
    shared = [set(group) for group in together.compute_groups.values() if len(group) > 1]
    assert shared == [{"iou", "iou_image", "dice"}]


# -- Lightning and several processes ---------------------------------------------------------------------------------


def expected(images=IMAGES, repeated=()):
    """The values of one process, of the first images, and of some of them again."""
    data, metrics = Images(), collection()
    for i in (*range(images), *repeated):
        metrics.update(data.probabilities[i : i + 1], data.masks[i : i + 1])
    return {name: value.item() for name, value in metrics.compute().items()}


def of(logged, prefix):
    return {name.removeprefix(prefix): value for name, value in logged.items() if name.startswith(prefix)}


def test_a_plain_lightning_module_logs_a_collection():
    logged = lightning_cases.validate(devices=1)
    assert of(logged, "ids/") == of(logged, "no_ids/") == expected()


@pytest.fixture(scope="module")
def two_processes():
    """What a plain LightningModule logs on two processes, of 5 images: the sampler gives the first one twice."""
    return lightning_cases.validate(devices=2)


@pytest.mark.slow
def test_ids_drop_the_images_that_the_sampler_repeats(two_processes):
    assert of(two_processes, "ids/") == expected()


def test_without_ids_a_repeated_image_counts_twice(two_processes):
    assert of(two_processes, "no_ids/") == expected(repeated=[0])
    assert all(value != expected()[name] for name, value in of(two_processes, "no_ids/").items())


def test_shares_of_different_size_give_the_value_of_one_process(two_processes):
    assert of(two_processes, "uneven/") == expected()


def test_a_process_without_images_changes_nothing(two_processes):
    assert of(two_processes, "one/") == expected(1)


def test_all_processes_have_the_same_value(two_processes):
    assert len(of(two_processes, "spread/")) == 15
    assert set(of(two_processes, "spread/").values()) == {0.0}
