"""Identities between losses, for values and gradients, and consequences of their definitions."""

import pytest
import torch
from loss_cases import batch, tensors

from cracklab.losses import build_loss

REGION = {"eps": 0.7}
FOR_ANY_CLASSES = [
    (("tversky", {"delta": 0.5, "eps": 0.5}), ("dice", {})),
    (("distance_aware", {"beta": 0.0, **REGION}), ("dice", REGION)),
    (("distance_aware", {"alpha": 0.0, **REGION}), ("dice", REGION)),
    (("distance_penalty", {"alpha": 1.0, **REGION}), ("dice", REGION)),
    (("tip_weighted", {"weight": 0.0, **REGION}), ("dice", REGION)),
    (("tip_distance", {"weight": 0.0, **REGION}), ("dice", REGION)),
    (("skeleton_recall", {"weight": 0.0, **REGION}), ("dice", REGION)),
    (("cl_dice", {"weight": 0.0, **REGION}), ("dice", REGION)),
    (
        ("distance_aware", {"base": "bce", "per_image": False, "pool_classes": True}),
        ("distance_aware", {"base": "bce"}),
    ),
    (("focal_tversky", {"delta": 0.3, "gamma": 1.0}), ("tversky", {"delta": 0.3})),
    (("hybrid_focal_margin", {"margin": 0.0, "delta": 0.3}), ("hybrid_focal", {"delta": 0.3})),
    (("active_boundary", {"weight": 0.0}), ("combo", {})),
    (("focal", {"gamma": 0.0}), ("bce", {})),
    (("dice_focal", {"gamma": 0.0}), ("combo", {})),
    (("focal_margin", {"gamma": 1.3, "margin": 0.0}), ("asymmetric_focal", {"gamma": 1.3})),
    (("focal_margin", {"gamma": 0.0, "margin": 0.8}), ("large_margin", {"margin": 0.8})),
]
FOR_ONE_CLASS = [
    (("focal_margin", {"gamma": 1.3, "margin": 0.0, "asymmetric": False}), ("focal", {"gamma": 1.3})),
    (("focal_margin", {"gamma": 0.0, "margin": 0.0}), ("bce", {})),
    (("focal_margin", {"gamma": 0.0, "margin": 0.0, "asymmetric": False}), ("bce", {})),
    (("distance_aware", {"beta": 0.0, "base": "bce"}), ("bce", {})),
    (("tip_weighted", {"weight": 0.0, "base": "bce"}), ("bce", {})),
    (
        ("hybrid_focal_margin", {"margin": 0.0, "weight": 0.4, "asymmetric": False}),
        ("hybrid_focal", {"weight": 0.4, "asymmetric": False}),
    ),
]


@pytest.mark.parametrize("ignore", [False, True], ids=["whole", "ignore"])
@pytest.mark.parametrize(
    ("first", "second", "classes"),
    [(*pair, classes) for pair in FOR_ANY_CLASSES for classes in (1, 3)] + [(*pair, 1) for pair in FOR_ONE_CLASS],
    ids=str,
)
def test_two_losses_agree_in_value_and_gradient(first, second, classes, ignore):
    z, y, maps, valid = tensors(*batch(classes, ignore=ignore), dtype=torch.float32)
    z.requires_grad_()
    values = [build_loss(name, **parameters)(z, y, maps, valid) for name, parameters in (first, second)]
    torch.testing.assert_close(values[0], values[1], rtol=1e-6, atol=1e-6)
    gradients = [torch.autograd.grad(value, z)[0] for value in values]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["bce", "focal"])
def test_one_class_equals_two_with_the_background_as_channel_0(name):
    """A binary loss of z equals its two-class form of (0, z)."""
    z, y, _, _ = tensors(*batch(1))
    parameters = {"pos_weight": 4.0} if name == "bce" else {"alpha": 0.8, "gamma": 1.5}
    loss = build_loss(name, **parameters)
    two = loss(torch.cat([torch.zeros_like(z), z], 1), torch.cat([1 - y, y], 1))
    assert two.item() == pytest.approx(loss(z, y).item(), rel=1e-12)


@pytest.mark.parametrize("name", ["asymmetric_focal", "large_margin", "focal_margin"])
def test_each_class_against_the_rest_is_a_binary_loss(name):
    """Its logit is that of the class's softmax probability."""
    z, y, _, _ = tensors(*batch(3))
    p = z.softmax(1)
    loss = build_loss(name)
    alone = [loss(p[:, c : c + 1].logit(), y[:, c : c + 1]).item() for c in range(3)]
    assert loss(z, y).item() == pytest.approx(sum(alone) / 3, rel=1e-9)


def test_tversky_weighs_misses_by_delta():
    y = torch.zeros(1, 1, 8, 8)
    y[..., 2:6, 2:6] = 1
    missed, extra = y.clone(), y.clone()
    missed[..., 2, :] = 0
    extra[..., 6, 2:6] = 1
    strict, lax = build_loss("tversky", delta=0.9), build_loss("tversky", delta=0.1)
    assert strict(missed * 40 - 20, y) > 2 * strict(extra * 40 - 20, y)
    assert lax(extra * 40 - 20, y) > 2 * lax(missed * 40 - 20, y)


def test_distance_aware_forgives_and_distance_penalty_punishes_far_false_positives():
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 20, 5:35] = 1
    rows = torch.arange(40.0)[:, None].expand(40, 40)
    maps = {"distance": (rows - 20).abs()[None, None]}
    near, far = mask.clone(), mask.clone()
    near[..., 23, 10:15] = 1
    far[..., 38, 10:15] = 1
    for name, sign in (("distance_aware", -1), ("distance_penalty", 1), ("dice", 0)):
        loss = build_loss(name)
        difference = (loss(far * 40 - 20, mask, maps) - loss(near * 40 - 20, mask, maps)).item()
        assert difference == pytest.approx(0, abs=1e-6) if sign == 0 else difference * sign > 1e-3


def test_absent_classes_do_not_count():
    """A false positive of an absent class is already a miss of another; alone, the absent class counts."""
    z, y, _, _ = tensors(*batch(3, images=2))
    z, y = z[:1], y[:1]
    y[:, 0] += y[:, 2]
    y[:, 2] = 0
    alone = [build_loss("dice", classes=[c])(z, y).item() for c in range(3)]
    assert build_loss("dice")(z, y).item() == pytest.approx((alone[0] + alone[1]) / 2, rel=1e-12)
    assert alone[2] == pytest.approx(1 - 1 / (z.softmax(1)[:, 2].sum().item() + 1), rel=1e-12)


def test_hausdorff_counts_probabilities_below_one_half():
    """p = 0.4 everywhere is an empty prediction, but the distances to the true outline count too."""
    maps = {"distance": torch.full((1, 1, 9, 9), 9 * 2**0.5), "interior_distance": torch.zeros(1, 1, 9, 9)}
    z = torch.full((1, 1, 9, 9), 0.4).logit().requires_grad_()
    value = build_loss("hausdorff_dt")(z, torch.zeros(1, 1, 9, 9), maps)
    assert value.item() == pytest.approx(0.16 * 2)  # (0.4 - 0)^2 (1 + 1), both distances being the diagonal
    value.backward()
    assert (z.grad > 0).all()


@pytest.mark.parametrize("ignore", [False, True], ids=["whole", "ignore"])
def test_without_tips_tip_distance_is_dice(ignore):
    """The distance is then the diagonal, which is within the radius for an image this small."""
    y = torch.zeros(1, 1, 8, 8)
    y[..., 4] = 1
    valid = (torch.rand(1, 1, 8, 8) > 0.3).float() if ignore else None
    maps = {"tip_distance": torch.full((1, 1, 8, 8), 8 * 2**0.5)}
    z = torch.randn(1, 1, 8, 8)
    assert build_loss("tip_distance")(z, y, maps, valid).item() == pytest.approx(
        build_loss("dice")(z, y, {}, valid).item()
    )
