"""Losses against those of MONAI and segmentation-models-pytorch; comments explain the differences."""

import monai.losses as monai
import pytest
import segmentation_models_pytorch.losses as smp
import torch
from loss_cases import batch, tensors
from torch.nn import functional as F

from cracklab.losses import build_loss


@pytest.fixture(params=[1, 3], ids=["binary", "classes"])
def case(request):
    """Yield an image in which every class is present, since MONAI and smp treat absent classes differently."""
    z, y, maps, _ = tensors(*batch(request.param, images=2))
    z, y, maps = z[:1], y[:1], {name: m[:1] for name, m in maps.items()}
    assert y.flatten(2).any(-1).all()
    activation = {"sigmoid": True} if request.param == 1 else {"softmax": True}
    return z, y, maps, activation


def agree(name, parameters, other, case, factor=1.0, rel=1e-9):
    z, y, maps, _ = case
    z = z.requires_grad_()
    value, expected = build_loss(name, **parameters)(z, y, maps), other(z, y) * factor
    assert value.item() == pytest.approx(expected.item(), rel=rel)
    ours, theirs = torch.autograd.grad(value, z)[0], torch.autograd.grad(expected, z)[0]
    torch.testing.assert_close(ours, theirs.to(ours), rtol=max(rel, 1e-6), atol=1e-9)


@pytest.mark.parametrize("squared", [False, True])
def test_dice_equals_monais(case, squared):
    agree("dice", {"squared": squared}, monai.DiceLoss(smooth_nr=1, smooth_dr=1, squared_pred=squared, **case[3]), case)


def test_iou_equals_monais(case):
    # MONAI's Jaccard is 2 sum py / 2 sum (p + y - py): its smoothing counts half
    agree("iou", {"eps": 0.5}, monai.DiceLoss(jaccard=True, smooth_nr=1, smooth_dr=1, **case[3]), case)


@pytest.mark.parametrize("delta", [0.3, 0.7])
def test_tversky_equals_monais(case, delta):
    # MONAI's alpha weighs false positives, its beta misses
    other = monai.TverskyLoss(alpha=1 - delta, beta=delta, smooth_nr=1, smooth_dr=1, **case[3])
    agree("tversky", {"delta": delta}, other, case)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_equals_monais(case, gamma):
    # over classes MONAI takes the mean where the loss is a sum; it computes in float32
    classes = case[0].shape[1]
    agree(
        "focal", {"gamma": gamma}, monai.FocalLoss(gamma=gamma, use_softmax=classes > 1), case, factor=classes, rel=1e-5
    )


def test_focal_with_alpha_equals_monais():
    z, y, _, _ = tensors(*batch(1))
    other = monai.FocalLoss(gamma=1.5, alpha=0.8)
    assert build_loss("focal", gamma=1.5, alpha=0.8)(z, y).item() == pytest.approx(other(z, y).item(), rel=1e-5)


def test_cl_dice_equals_monais(case):
    # MONAI adds `smooth` to Tp + Ts, which the formula does not have; it pools classes in clDice but not in Dice
    for weight in (0.2, 1.0) if case[0].shape[1] == 1 else (1.0,):
        other = monai.SoftDiceclDiceLoss(iter_=4, alpha=weight, smooth=1e-12, **case[3])
        agree("cl_dice", {"iterations": 4, "weight": weight, "pool_classes": True}, other, case)


def test_hausdorff_dt_equals_monais(case):
    # MONAI's distances are in px, ours over the diagonal
    z = case[0]
    diagonal = (z.shape[2] ** 2 + z.shape[3] ** 2) ** 0.5
    other = monai.HausdorffDTLoss(alpha=1.5, include_background=True, **case[3])
    agree("hausdorff_dt", {"alpha": 1.5}, other, case, factor=diagonal**-1.5, rel=1e-5)


def test_boundary_equals_monais(case):
    # MONAI's is the published map, and not divided by the diagonal
    z = case[0]
    diagonal = (z.shape[2] ** 2 + z.shape[3] ** 2) ** 0.5
    agree("boundary", {"inner": "kervadec"}, monai.BoundaryLoss(**case[3]), case, factor=1 / diagonal, rel=1e-5)


def test_both_halves_of_unified_focal_equal_monais():
    """The totals differ: MONAI's focal half is the mean over two channels, ours their sum.

    MONAI also puts `weight` on the focal half, but its default deltas are not the paper's.
    """
    z, y, _, _ = tensors(*batch(1, images=2))
    z, y = z[:1], y[:1]
    p, two = torch.cat([1 - z.sigmoid(), z.sigmoid()], 1), torch.cat([1 - y, y], 1)
    focal = monai.unified_focal_loss.AsymmetricFocalLoss(delta=0.6, gamma=0.3)(p, two) * 2
    tversky = monai.unified_focal_loss.AsymmetricFocalTverskyLoss(delta=0.6, gamma=0.3)(p, two)
    parameters = {"delta": 0.6, "gamma": 0.3, "eps": 1e-7}
    assert build_loss("unified_focal", weight=1.0, **parameters)(z, y).item() == pytest.approx(focal.item(), rel=1e-6)
    assert build_loss("unified_focal", weight=0.0, **parameters)(z, y).item() == pytest.approx(tversky.item(), rel=1e-6)
    two_logits = torch.cat([torch.zeros_like(z), z], 1)
    for asymmetric in (True, False):
        loss = build_loss("unified_focal", asymmetric=asymmetric)
        assert loss(two_logits, two).item() == pytest.approx(loss(z, y).item(), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "parameters", "other"),
    [
        # smp's Dice is Tversky at 0.5: its smoothing counts twice
        ("dice", {}, smp.DiceLoss("binary", smooth=0.5)),
        ("iou", {}, smp.JaccardLoss("binary", smooth=1)),
        ("tversky", {"delta": 0.7}, smp.TverskyLoss("binary", smooth=1, alpha=0.3, beta=0.7)),
        ("focal_tversky", {"delta": 0.2}, smp.TverskyLoss("binary", smooth=1, alpha=0.8, beta=0.2, gamma=0.75)),
    ],
)
def test_sums_over_the_batch_equal_smps(name, parameters, other):
    z, y, _, _ = tensors(*batch(1))
    value = build_loss(name, per_image=False, **parameters)(z, y)
    assert value.item() == pytest.approx(other(z, y).item(), rel=1e-6)
    assert build_loss(name, **parameters)(z, y).item() != pytest.approx(value.item(), rel=1e-4)


def test_pos_weight_of_bce_equals_smps():
    z, y, _, _ = tensors(*batch(1))
    other = smp.SoftBCEWithLogitsLoss(pos_weight=torch.tensor(3.0))
    assert build_loss("bce", pos_weight=3.0)(z, y).item() == pytest.approx(other(z, y).item(), rel=1e-9)


def test_a_smoothed_label_is_0_8_on_one_neighbour_plus_0_2_over_all_eight():
    """`active_boundary` uses PyTorch's cross entropy for this."""
    logits, label = torch.randn(5, 8, dtype=torch.float64), torch.arange(5)
    target = torch.full((5, 8), 0.2 / 8, dtype=torch.float64)
    target[range(5), label] += 0.8
    expected = -(target * logits.log_softmax(1)).sum(1)
    torch.testing.assert_close(F.cross_entropy(logits, label, reduction="none", label_smoothing=0.2), expected)
