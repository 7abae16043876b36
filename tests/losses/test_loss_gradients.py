"""Gradients against finite differences in float64; parts that a formula detaches are held fixed."""

import numpy as np
import pytest
import torch
from loss_cases import batch, make, tensors
from loss_oracles import classwise, dice_
from loss_space_oracles import ORACLES, relative
from torch.autograd import gradcheck

from cracklab.losses import LOSSES, build_loss
from cracklab.losses.active_boundary import direction_loss, log_probabilities, predicted_boundary

DETACHED = {"distance_penalty", "active_boundary"}


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", [name for name in LOSSES if name not in DETACHED])
def test_gradients_equal_finite_differences(name, classes):
    z, y, maps, valid = tensors(*batch(classes, size=(8, 9), images=2, ignore=True))
    loss = make(name).double()
    fast = classes > 1 or name in ("cl_dice", "hausdorff_er")
    assert gradcheck(lambda z: loss(z, y, maps, valid), z.requires_grad_(), fast_mode=fast)
    assert torch.autograd.grad(loss(z, y, maps, valid), z)[0].abs().max() > 0


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("dice", {"squared": True}),
        ("tversky", {"per_image": False, "pool_classes": True}),
        ("unified_focal", {"asymmetric": False}),
        ("focal_margin", {"asymmetric": False, "gamma": 0.5}),
        ("focal", {"gamma": 0.5, "alpha": 0.7}),
        ("distance_aware", {"base": "bce"}),
        ("distance_transform", {"inner": "published", "threshold": 0.8}),
        ("boundary", {"inner": "kervadec"}),
    ],
)
def test_gradients_of_variants_equal_finite_differences(name, parameters, classes):
    z, y, maps, valid = tensors(*batch(classes, size=(11, 12), images=2, ignore=True))
    loss = build_loss(name, **parameters)
    assert gradcheck(lambda z: loss(z, y, maps, valid), z.requires_grad_(), fast_mode=classes > 1)


def finite_difference(function, z, step=1e-6):
    gradient = np.zeros_like(z)
    for index in np.ndindex(*z.shape):
        shift = np.zeros_like(z)
        shift[index] = step
        gradient[index] = (function(z + shift) - function(z - shift)) / (2 * step)
    return gradient


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("classes", [1, 3])
def test_gradient_of_distance_penalty_holds_the_denominator_fixed(classes, hard):
    z, y, maps, valid = batch(classes, size=(9, 10), images=2, ignore=True)
    d = relative(maps["distance"], valid)

    def probability(z):
        return 1 / (1 + np.exp(-z)) if classes == 1 else np.exp(z) / np.exp(z).sum(1, keepdims=True)

    def false(z):
        return (probability(z) > 0.5 if hard else probability(z)) * (1 - y) * valid

    below = false(z).sum((2, 3)) + 1
    fixed = (false(z) * d).sum((2, 3)) / below

    def value(moved):
        penalty = fixed if hard else (false(moved) * d).sum((2, 3)) / below
        factor = np.broadcast_to((1 + 3 * penalty)[:, :, None, None], z.shape)

        @classwise
        def term(p, y, maps):
            return dice_(p, y) * maps["factor"][0]

        return term(moved, y, {"factor": factor}, valid)

    assert value(z) == pytest.approx(ORACLES["distance_penalty"](z, y, maps, valid, hard=hard), rel=1e-12)
    logits, *rest = tensors(z, y, maps, valid)
    build_loss("distance_penalty", hard=hard)(logits.requires_grad_(), *rest).backward()
    np.testing.assert_allclose(logits.grad.numpy(), finite_difference(value, z), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("classes", [1, 3])
def test_gradient_of_active_boundary_holds_neighbours_and_boundary_fixed(classes):
    z, _, maps, valid = tensors(*batch(classes, size=(17, 22), images=2, ignore=True))
    counted = valid[:, 0] > 0
    fixed = log_probabilities(z)
    boundary = predicted_boundary(fixed, counted)
    assert boundary.any()

    def direction(z):
        return direction_loss(log_probabilities(z), fixed, boundary, maps["boundary_distance"].amin(1), counted).mean()

    assert gradcheck(direction, z.clone().requires_grad_(), fast_mode=True)
    leaf = z.clone().requires_grad_()
    direction(leaf).backward()
    whole = z.clone().requires_grad_()
    y = (torch.rand_like(z) > 0.9).double()
    loss, base = build_loss("active_boundary", weight=2.0), build_loss("combo")
    (loss(whole, y, maps, valid) - base(whole, y, maps, valid)).backward()
    torch.testing.assert_close(whole.grad, 2 * leaf.grad * (valid > 0))


def test_gradient_and_value_with_learnable_beta_and_sigma():
    z, y, maps, valid = tensors(*batch(1, size=(9, 10), images=2))
    loss = build_loss("distance_aware", learnable=True, beta=3.0, sigma=0.4, prior=0.2).double()

    def value(log_factors):
        return torch.func.functional_call(loss, {"log_factors": log_factors}, (z, y, maps, valid))

    start = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    assert gradcheck(value, start)
    expected = ORACLES["distance_aware"](
        *batch(1, size=(9, 10), images=2), beta=3.0 * np.exp(0.3), sigma=0.4 * np.exp(-0.2)
    )
    assert value(start).item() == pytest.approx(expected + 0.1 * (0.3**2 + 0.2**2), rel=1e-7)
