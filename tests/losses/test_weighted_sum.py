"""The weighted sum and its schedules; parameters that are derived from data or trained."""

from types import SimpleNamespace

import pytest
import torch
from loss_cases import batch, tensors
from test_loss_contract import parse
from torch import nn

from cracklab.errors import ConfigError
from cracklab.losses import External, Loss, WeightedSum, WeightSchedule, build_loss

NARROW = SimpleNamespace(crack_share=0.02, width_px_p95=9.0)


@pytest.mark.parametrize(
    ("epoch", "weight"), [(0, 0.2), (4, 0.2), (5, 0.2), (6, 0.4), (9, 1.0), (10, 1.2), (11, 1.2), (500, 1.2)]
)
def test_a_scheduled_weight_moves_linearly_and_is_constant_outside(epoch, weight):
    assert WeightSchedule(start=0.2, end=1.2, first_epoch=5, last_epoch=10)(epoch) == pytest.approx(weight)


def test_a_schedule_needs_two_epochs():
    with pytest.raises(ConfigError, match="last_epoch is 3: expected an epoch after first_epoch"):
        WeightSchedule(0, 1, first_epoch=3, last_epoch=3)


def test_weights_follow_the_epoch_and_terms_are_named():
    z, y, maps, _ = tensors(*batch())
    dice, boundary = build_loss("dice"), build_loss("boundary")
    loss = WeightedSum(
        [(dice, WeightSchedule(1.0, 0.0, last_epoch=10)), (boundary, 0.5), (build_loss("dice", eps=9.0), 2)]
    )
    assert loss.maps == ("signed_distance",)
    expected = {"dice": dice(z, y), "boundary": boundary(z, y, maps), "dice_2": build_loss("dice", eps=9.0)(z, y)}
    for epoch, first in ((0, 1.0), (3, 0.7), (10, 0.0), (99, 0.0)):
        loss.set_epoch(epoch)
        weights = {"dice": first, "boundary": 0.5, "dice_2": 2}
        assert loss(z, y, maps).item() == pytest.approx(sum(w * expected[k].item() for k, w in weights.items()))
        assert {k: t.item() for k, t in loss.terms.items()} == pytest.approx({k: v.item() for k, v in expected.items()})


def test_nested_sums_pass_on_epoch_and_statistics():
    z, y, maps, _ = tensors(*batch())
    inner = WeightedSum([(build_loss("dice"), WeightSchedule(0.0, 1.0, last_epoch=2))])
    outer = WeightedSum([(inner, 2.0), (build_loss("focal_margin", margin="auto"), 1.0)])
    outer.set_epoch(1)
    assert outer.needs_statistics
    assert outer.configure(NARROW) == {"losses.focal_margin.margin": 1.5}
    expected = build_loss("dice")(z, y) + build_loss("focal_margin", margin=1.5)(z, y)
    assert outer(z, y, maps).item() == pytest.approx(expected.item())


def test_losses_inside_another_are_configured_once_and_told_the_epoch(monkeypatch):
    class Own(Loss):
        """A loss with a method of its own for statistics."""

        calls, epoch = 0, None

        def configure(self, statistics):
            self.calls += 1
            return {"share": statistics.crack_share}

        def set_epoch(self, epoch):
            self.epoch = epoch

        def compute(self, logits, mask, maps, valid):
            return logits.mean()

    monkeypatch.setattr("cracklab.losses.active_boundary.build_loss", lambda name: Own())
    active = build_loss("active_boundary")
    assert active.learns_from_statistics
    own = Own()
    loss = WeightedSum([(WeightedSum([(own, 1.0), (own, 0.5)]), 1.0), (active, 1.0), (build_loss("dice"), 1.0)])
    assert loss.learns_from_statistics
    assert not loss.needs_statistics
    places = ["losses.weighted_sum.losses.Own", "losses.active_boundary.base"]
    assert loss.configure(NARROW) == {f"{place}.share": 0.02 for place in places}
    loss.set_epoch(3)
    assert [(one.calls, one.epoch) for one in (own, active.base)] == [(1, 3), (1, 3)]


def test_losses_of_other_libraries_can_be_summed():
    z, y, _, _ = tensors(*batch())
    loss = WeightedSum([(External(nn.BCEWithLogitsLoss()), 0.5), (build_loss("dice"), 1.0)])
    assert loss(z, y).item() == pytest.approx(0.5 * build_loss("bce")(z, y).item() + build_loss("dice")(z, y).item())
    assert set(loss.terms) == {"BCEWithLogitsLoss", "dice"}


def test_a_sum_can_be_given_on_the_command_line():
    loss = parse(
        "--model.loss",
        '{"class_path": "weighted_sum", "init_args": {"losses": [["dice", 1], '
        '[{"class_path": "distance_aware", "init_args": {"beta": 5}}, {"start": 0, "end": 1, "last_epoch": 10}]]}}',
    )
    assert [type(child).__qualname__ for child in loss.losses.values()] == ["dice", "distance_aware"]
    assert list(loss.weights.values()) == [1.0, WeightSchedule(0.0, 1.0, last_epoch=10)]
    with pytest.raises(ConfigError, match="expected at least one pair"):
        WeightedSum([])


@pytest.mark.parametrize(
    ("share", "margin"), [(0.001, 1.5), (0.03, 1.5), (0.04, 1.0), (0.045, 0.75), (0.05, 0.5), (0.0505, 0.5), (0.2, 0.5)]
)
def test_auto_derives_the_margin_from_the_crack_fraction(share, margin):
    z, y, _, _ = tensors(*batch())
    for name in ("focal_margin", "hybrid_focal_margin", "large_margin"):
        loss = build_loss(name, margin="auto")
        with pytest.raises(ConfigError, match="margin is 'auto' but no statistics of the training data are known"):
            loss(z, y)
        assert loss.needs_statistics
        assert loss.configure(SimpleNamespace(crack_share=share, width_px_p95=3.0)) == pytest.approx({"margin": margin})
        assert loss(z, y).item() == pytest.approx(build_loss(name, margin=margin)(z, y).item())


@pytest.mark.parametrize(("width", "iterations"), [(0.5, 1), (2.0, 1), (3.0, 2), (9.0, 5), (9.1, 5), (24.0, 12)])
def test_auto_derives_the_iterations_from_the_width(width, iterations):
    z, y, _, _ = tensors(*batch())
    loss = build_loss("cl_dice", iterations="auto")
    assert loss.configure(SimpleNamespace(crack_share=0.03, width_px_p95=width)) == {"iterations": iterations}
    assert loss(z, y).item() == pytest.approx(build_loss("cl_dice", iterations=iterations)(z, y).item())


def test_auto_can_be_given_on_the_command_line():
    assert parse("--model.loss", "focal_margin", "--model.loss.margin", "auto").needs_statistics
    assert parse("--model.loss", "cl_dice", "--model.loss.iterations", "auto").needs_statistics
    assert parse("--model.loss", "cl_dice", "--model.loss.iterations", "4").iterations() == 4


def test_given_numbers_are_not_derived():
    loss = build_loss("focal_margin", margin=0.7)
    assert not loss.needs_statistics
    assert loss.configure(NARROW) == {}
    assert loss.margin() == 0.7


def test_a_checkpoint_keeps_derived_numbers_but_a_given_one_wins(tmp_path):
    loss = build_loss("focal_margin", margin="auto")
    loss.configure(NARROW)
    torch.save(loss.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    fresh, given = build_loss("focal_margin", margin="auto"), build_loss("focal_margin", margin=0.2)
    fresh.load_state_dict(state)
    given.load_state_dict(state)
    assert (fresh.margin(), given.margin()) == (1.5, 0.2)


def test_learnable_beta_and_sigma_start_at_the_given_values_and_are_trained():
    z, y, maps, _ = tensors(*batch(), dtype=torch.float32)
    fixed, loss = build_loss("distance_aware"), build_loss("distance_aware", learnable=True)
    assert list(fixed.parameters()) == []
    value = loss(z, y, maps)
    assert value.item() == pytest.approx(fixed(z, y, maps).item(), rel=1e-6)
    assert {k: t.item() for k, t in loss.terms.items()} == pytest.approx({"beta": 2.0, "sigma": 0.25})
    optimizer = torch.optim.SGD(loss.parameters(), lr=1.0)
    for _ in range(20):
        optimizer.zero_grad()
        loss(z, y, maps).backward()
        optimizer.step()
    assert loss(z, y, maps) < value
    assert all(term > 0 for term in loss.terms.values())
    assert loss.terms["beta"].item() != pytest.approx(2.0, rel=1e-3)
