"""Learning-rate schedules against their formulas."""

import io
import math

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR

from cracklab.errors import ConfigError
from cracklab.schedules import Constant, Cosine, OneCycle, Polynomial, Steps


def rates(schedule, steps: int, lrs=(0.4, 0.1)) -> list[list[float]]:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    optimizer = SGD(groups, momentum=0.9)
    scheduler = schedule(optimizer, steps)
    history = []
    for _ in range(steps):
        history.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return history


def test_constant_keeps_the_rate():
    assert rates(Constant(), 5) == [[0.4, 0.1]] * 5


def test_each_group_keeps_its_own_rate():
    for schedule in (OneCycle(), Cosine(0.1), Polynomial(), Steps()):
        history = rates(schedule, 20)
        assert all(big == pytest.approx(4 * small) for big, small in history)


@pytest.mark.parametrize(("warmup", "steps"), [(0.1, 10), (0.05, 20), (0.2, 5), (0.5, 2)])
def test_one_cycle_with_a_rise_of_one_step_begins_at_the_highest_rate(warmup, steps):
    """PyTorch's own schedule divides by zero; the fall is half a cosine down to 1 / (25 * 1e4) of the highest rate."""
    low = 0.4 / 25e4
    fall = [low + (0.4 - low) * (1 + math.cos(math.pi * step / (steps - 1))) / 2 for step in range(steps)]
    assert [rate for rate, _ in rates(OneCycle(warmup), steps)] == pytest.approx(fall, rel=1e-6)


def test_one_cycle_equals_pytorchs():
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4, momentum=0.9)
    reference = OneCycleLR(optimizer, max_lr=0.4, total_steps=30, pct_start=0.2, div_factor=10, final_div_factor=100)
    expected = []
    for _ in range(30):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    assert [lr for lr, _ in rates(OneCycle(0.2, 10, 100), 30)] == pytest.approx(expected)


def test_polynomial_is_a_power_of_the_remaining_steps():
    assert [lr for lr, _ in rates(Polynomial(0.9), 10)] == pytest.approx([0.4 * (1 - i / 10) ** 0.9 for i in range(10)])


def test_cosine_warms_up_and_ends_at_its_floor():
    history = [lr for lr, _ in rates(Cosine(warmup=0.25, floor=0.1), 100)]
    assert history[:25] == pytest.approx([0.4 * i / 25 for i in range(25)])
    half = 25 + 37  # just before the middle of the descent
    assert history[half] == pytest.approx(0.4 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 37 / 75))))


def test_steps_fall_at_each_milestone():
    history = [lr for lr, _ in rates(Steps([0.6, 0.9], 0.1), 10)]
    assert history == pytest.approx([0.4] * 6 + [0.04] * 3 + [0.004])  # times 0.1 from 60 % and 90 % of the steps


def test_a_milestone_in_epochs_is_refused():
    with pytest.raises(ConfigError, match=r"milestones is \[60, 90\]: give "):
        Steps([60, 90])


def test_states_load_with_weights_only():
    """A checkpoint holds a scheduler's state, and loads without unpickling code."""
    for schedule in (Constant(), OneCycle(), Cosine(), Polynomial(), Steps()):
        optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4, momentum=0.9)
        file = io.BytesIO()
        torch.save(schedule(optimizer, 10).state_dict(), file)
        file.seek(0)
        assert isinstance(torch.load(file, weights_only=True), dict)
