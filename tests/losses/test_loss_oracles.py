"""Every loss against its formula in float64 NumPy, binary and several classes, with and without ignored pixels."""

import pytest
from loss_cases import batch, tensors
from loss_space_oracles import ORACLES

from cracklab.losses import LOSSES, build_loss

REGION = [{"eps": 0.3}, {"per_image": False}, {"classes": [1]}, {"pool_classes": True}, {"classes": [2, 0], "eps": 3.0}]
SETTINGS = {
    "bce": [{}, {"pos_weight": 3.5}],
    "focal": [{}, {"gamma": 0.5}, {"gamma": 3.0, "alpha": 0.8}, {"alpha": 0.1}],
    "asymmetric_focal": [{}, {"gamma": 0.5}, {"gamma": 3.0}],
    "large_margin": [{}, {"margin": 0.3}, {"margin": 2.5}],
    "focal_margin": [
        {},
        {"gamma": 0.7, "margin": 1.5},
        {"asymmetric": False},
        {"gamma": 1.3, "margin": 0.0},
        {"gamma": 0.7, "margin": 1.5, "asymmetric": False},
    ],
    "dice": [{}, {"squared": True}, *REGION],
    "iou": [{}, *REGION],
    "tversky": [{}, {"delta": 0.3}, {"delta": 0.9, "eps": 0.2}, *REGION],
    "focal_tversky": [{}, {"delta": 0.3}, {"gamma": 0.4}, {"delta": 0.2, "gamma": 1.6}, *REGION],
    "log_cosh_dice": [{}, {"squared": True}, *REGION],
    "combo": [{}, *REGION],
    "dice_focal": [{}, {"gamma": 0.5}, *REGION],
    "hybrid_focal": [
        {},
        {"gamma_focal": 0.5},
        {"delta": 0.3},
        {"gamma_tversky": 1.4},
        {"weight": 0.2},
        {"asymmetric": False},
        {"asymmetric": False, "weight": 0.8},
        *REGION,
    ],
    "hybrid_focal_margin": [
        {},
        {"margin": 1.4},
        {"gamma_focal": 0.5},
        {"delta": 0.3},
        {"gamma_tversky": 1.4},
        {"weight": 0.2},
        {"asymmetric": False, "weight": 0.8, "margin": 0.9},
        *REGION,
    ],
    "unified_focal": [
        {},
        {"weight": 0.2},
        {"delta": 0.3},
        {"gamma": 0.2},
        {"asymmetric": False},
        {"asymmetric": False, "gamma": 0.7, "delta": 0.8},
        {"eps": 0.3},
        {"per_image": False},
    ],
    "distance_aware": [
        {},
        {"beta": 5.0},
        {"sigma": 0.1},
        {"beta": 0.7, "sigma": 0.6, "base": "bce"},
        {"alpha": 0.4},
        {"alpha": 0.1, "base": "bce"},
        *REGION,
    ],
    "distance_penalty": [{}, {"alpha": 9.0}, {"hard": True}, *REGION],
    "distance_transform": [{}, {"inner": "published"}, {"threshold": 0.8}, *REGION],
    "boundary": [{}, {"inner": "kervadec"}, {"classes": [1, 2]}],
    "hausdorff_dt": [{}, {"alpha": 0.7}, {"classes": [1, 2]}],
    "hausdorff_er": [{}, {"alpha": 0.7}, {"erosions": 3}, {"classes": [1, 2]}],
    "active_boundary": [{}, {"weight": 3.0}, {"base": "dice"}, {"base": "distance_aware", "weight": 0.3}],
    "tip_weighted": [{}, {"weight": 9.0}, {"base": "bce", "weight": 2.0}, *REGION],
    "tip_distance": [{}, {"weight": 0.3}, {"radius": 4.0}, *REGION],
    "cl_dice": [{}, {"iterations": 1}, {"weight": 0.8}, *REGION],
    "skeleton_recall": [{}, {"weight": 0.3}, *REGION],
    "weighted_sum": [{"losses": [("dice", 0.3), ("boundary", 2.0), ("distance_aware", 0.1)]}],
}
CASES = [(name, parameters) for name, settings in SETTINGS.items() for parameters in settings]


def build(name, parameters):
    if name == "weighted_sum":
        parameters = {"losses": [(build_loss(each), weight) for each, weight in parameters["losses"]]}
    return build_loss(name, **parameters)


@pytest.mark.parametrize("ignore", [False, True], ids=["whole", "ignore"])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize(("name", "parameters"), CASES, ids=str)
def test_the_value_is_that_of_the_formula(name, parameters, classes, ignore):
    if classes == 1 and "classes" in parameters:
        parameters = {**parameters, "classes": [0]}
    z, y, maps, valid = batch(classes, ignore=ignore)
    expected = ORACLES[name](z, y, maps, valid, **parameters)
    value = build(name, parameters)(*tensors(z, y, maps, valid))
    assert value.item() == pytest.approx(expected, rel=1e-6 if name == "hausdorff_dt" else 1e-9, abs=1e-12)


def test_every_loss_has_an_oracle():
    assert set(SETTINGS) == set(ORACLES) == set(LOSSES)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_changes_the_value(name):
    """A loss that ignored a parameter would give two settings above the same value."""
    z, y, maps, valid = batch(3)
    values = [build(name, parameters)(*tensors(z, y, maps, valid)).item() for parameters in SETTINGS[name]]
    assert len({round(value, 7) for value in values}) == len(values), values
