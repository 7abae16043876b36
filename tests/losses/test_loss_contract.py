"""The contract of `Loss`: dtypes, checks, ignored pixels, names, the command line."""

import math

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentError, ArgumentParser
from loss_cases import batch, tensors
from torch import nn

from cracklab.errors import ConfigError
from cracklab.losses import LOSSES, External, Loss, build_loss


class Spy(Loss):
    """A loss that keeps the tensors that `compute` receives."""

    maps = ("distance",)

    def compute(self, logits, mask, maps, valid):
        self.seen = logits, mask, maps["distance"], valid, torch.is_autocast_enabled("cpu")
        return logits.sum()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
)
def test_half_precision_is_raised_to_float32_and_float64_is_kept(dtype, expected):
    z, y, maps, valid = tensors(*batch(ignore=True), dtype=dtype)
    spy = Spy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert spy(z, y.bool(), maps, valid.bool()).dtype == expected
    assert {tensor.dtype for tensor in spy.seen[:4]} == {expected}
    assert spy.seen[4] is False


def test_ignored_pixels_reach_compute_as_0_and_get_no_gradient():
    z, y, maps, valid = tensors(*batch(ignore=True))
    outside = valid == 0
    z = z.masked_fill(outside, torch.nan).requires_grad_()
    maps["distance"][outside] = torch.inf
    spy = Spy()
    spy(z, y, maps, valid).backward()
    assert all(tensor[outside].eq(0).all() for tensor in spy.seen[:3])
    assert z.grad[outside].eq(0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda z, y, m, v: (z[0], y, m, v), "expected floating"),
        (lambda z, y, m, v: (z.long(), y, m, v), "expected floating"),
        (lambda z, y, m, v: (z, y[:, 0], m, v), r"mask is \(3, 17, 22\) but the logits are \(3, 1, 17, 22\)"),
        (lambda z, y, m, v: (z, y, {}, v), "reads the target map 'distance' but got none"),
        (lambda z, y, m, v: (z, y, None, v), "reads the target map 'distance'"),
        (lambda z, y, m, v: (z, y, {"distance": m["distance"][:2]}, v), "distance is"),
        (
            lambda z, y, m, v: (z, y, m, v[:, 0]),
            r"valid is \(3, 17, 22\) but the logits are .*: expected \(B, 1, H, W\)",
        ),
    ],
)
def test_wrong_tensors_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        Spy()(*change(*tensors(*batch(ignore=True))))


def test_classes_beyond_the_channels_are_an_error():
    z, y, maps, valid = tensors(*batch(2))
    with pytest.raises(ConfigError, match=r"classes is \[2\]: expected channels from 0 to 1"):
        build_loss("dice", classes=[2])(z, y, maps, valid)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("dicee", {}, "no loss is called 'dicee'; did you mean 'dice'"),
        ("distance_aware", {"betta": 1}, "distance_aware has no parameter 'betta'; did you mean 'beta'"),
        ("combo", {"pool_clases": True}, "did you mean 'pool_classes'"),
        ("weighted_sum", {}, "weighted_sum has no default for 'losses'"),
        ("dice", {"eps": 0}, "eps is 0: expected a number above 0"),
        ("dice", {"classes": []}, "classes is "),
        ("bce", {"pos_weight": -1}, "pos_weight is -1"),
        ("distance_aware", {"base": "iou"}, "base is 'iou'"),
        ("distance_aware", {"beta": -1}, "beta is -1"),
        ("distance_aware", {"sigma": 0}, "sigma is 0"),
        ("distance_aware", {"alpha": -1}, "alpha is -1"),
        ("distance_aware", {"alpha": 1, "beta": 3.0}, "alpha is 1: expected none if beta"),
        ("distance_aware", {"learnable": True, "beta": 0.0}, "learnable is True: expected False with alpha"),
        ("distance_aware", {"prior": -1}, "prior is -1"),
        ("boundary", {"inner": "half"}, "inner is 'half'"),
        ("distance_penalty", {"alpha": 0.5}, "alpha is 0.5"),
        ("distance_transform", {"inner": "half"}, "inner is 'half'"),
        ("distance_transform", {"threshold": 95}, "threshold is 95"),
        ("focal", {"gamma": -1}, "gamma is -1"),
        ("focal", {"alpha": 2}, "alpha is 2"),
        ("asymmetric_focal", {"gamma": -1}, "gamma is -1"),
        ("focal_margin", {"gamma": -1}, "gamma is -1"),
        ("focal_margin", {"margin": "half"}, "margin is 'half': expected a number of at least 0, or 'auto'"),
        ("large_margin", {"margin": -0.1}, "margin is -0.1"),
        ("tversky", {"delta": 1.1}, "delta is 1.1"),
        ("focal_tversky", {"gamma": 0}, "gamma is 0"),
        ("hybrid_focal", {"weight": 2}, "weight is 2"),
        ("unified_focal", {"gamma": 1}, "gamma is 1: expected a number from 0 to below 1"),
        ("hausdorff_dt", {"alpha": 0}, "alpha is 0"),
        ("hausdorff_er", {"erosions": 0}, "erosions is 0"),
        ("active_boundary", {"weight": -1}, "weight is -1"),
        ("active_boundary", {"base": "dise"}, "did you mean 'dice'"),
        ("tip_weighted", {"weight": -1}, "weight is -1"),
        ("tip_distance", {"radius": 0}, "radius is 0"),
        ("cl_dice", {"iterations": 0}, "iterations is 0: expected a number of at least 1, or 'auto'"),
        ("skeleton_recall", {"weight": -1}, "weight is -1"),
    ],
)
def test_wrong_settings_are_named(name, parameters, message):
    with pytest.raises(ConfigError, match=message):
        build_loss(name, **parameters)


class Experiment:
    def __init__(self, loss: Loss | nn.Module) -> None:
        self.loss = loss


def parse(*arguments):
    LOSSES.fill()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Experiment, "model")
    return parser.instantiate(parser.parse_args(list(arguments))).model.loss


def test_command_line_takes_short_names():
    loss = parse("--model.loss", "distance_aware", "--model.loss.beta", "5", "--model.loss.eps", "2")
    assert type(loss) is LOSSES["distance_aware"]
    assert (loss.beta, loss.eps, loss.sigma) == (5.0, 2.0, 0.25)
    assert type(parse("--model.loss", "torch.nn.BCEWithLogitsLoss")) is nn.BCEWithLogitsLoss


@pytest.mark.parametrize(
    "arguments", [("distance_awear",), ("dice", "--model.loss.epz", "1"), ("dice", "--model.loss.eps", "many")]
)
def test_command_line_rejects_unknown_names_and_values(arguments):
    with pytest.raises(ArgumentError):
        parse("--model.loss", *arguments)


def test_a_loss_of_another_library_gets_the_mask_in_its_form_and_no_ignored_pixels():
    z, y, maps, _ = tensors(*batch(1))
    expected = build_loss("bce")(z, y)
    assert External(nn.BCEWithLogitsLoss())(z, y).item() == pytest.approx(expected.item(), rel=1e-12)
    z, y, maps, valid = tensors(*batch(3))
    expected = build_loss("bce")(z, y)
    assert External(nn.CrossEntropyLoss(), "index")(z, y).item() == pytest.approx(expected.item(), rel=1e-12)
    assert External(nn.CrossEntropyLoss(), "one_hot")(z, y).item() == pytest.approx(expected.item(), rel=1e-12)
    z, y, maps, valid = tensors(*batch(1, ignore=True))
    with pytest.raises(ConfigError, match="BCEWithLogitsLoss cannot ignore pixels"):
        External(nn.BCEWithLogitsLoss())(z, y, maps, valid)
    assert External(nn.BCEWithLogitsLoss())(z, y, maps, torch.ones_like(valid)).isfinite()
    with pytest.raises(ConfigError, match=r"returned a tensor \(3, 1, 17, 22\): expected a scalar tensor"):
        External(nn.BCEWithLogitsLoss(reduction="none"))(z, y)


def test_compound_losses_report_their_terms():
    z, y, _, _ = tensors(*batch())
    combo = build_loss("combo")
    value = combo(z.requires_grad_(), y)
    assert combo.terms["entropy"].item() == pytest.approx(build_loss("bce")(z, y).item())
    assert combo.terms["region"].item() == pytest.approx(build_loss("dice")(z, y).item())
    assert sum(combo.terms.values()).item() == pytest.approx(value.item())
    assert not any(term.requires_grad for term in combo.terms.values())


def test_an_image_without_a_valid_pixel_has_no_loss():
    z, y, maps, valid = tensors(*batch(ignore=True))
    valid[1] = 0
    loss = build_loss("distance_aware")
    each = loss.of_each(z, y, maps, valid)
    assert [math.isnan(value) for value in each] == [False, True, False]
    others = z[::2], y[::2], {name: values[::2] for name, values in maps.items()}, valid[::2]
    assert np.nanmean(each) == pytest.approx(loss(*others).item())
