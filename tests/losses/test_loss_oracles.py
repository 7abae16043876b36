"""Every loss against its formula in float64 NumPy, binary and several classes, with and without ignored pixels."""

import pytest
from loss_cases import batch, tensors
from loss_oracles import ORACLES

from cracklab.losses import build_loss

REGION = [{"eps": 0.3}, {"per_image": False}, {"classes": [1]}, {"pool_classes": True}, {"classes": [2, 0], "eps": 3.0}]
PARAMETERS = {
    "bce": [{}, {"pos_weight": 3.5}],
    "dice": [{}, {"squared": True}, *REGION],
    "combo": [{}, *REGION],
    "distance_aware": [
        {},
        {"beta": 5.0},
        {"sigma": 0.1},
        {"beta": 0.7, "sigma": 0.6, "base": "bce"},
        {"alpha": 0.4},
        {"alpha": 0.1, "base": "bce"},
        *REGION,
    ],
    "boundary": [{}, {"inner": "kervadec"}, {"classes": [1, 2]}],
}
CASES = [(name, parameters) for name, settings in PARAMETERS.items() for parameters in settings]


@pytest.mark.parametrize("ignore", [False, True], ids=["whole", "ignore"])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize(("name", "parameters"), CASES, ids=str)
def test_oracle(name, parameters, classes, ignore):
    if classes == 1 and "classes" in parameters:
        parameters = {**parameters, "classes": [0]}
    z, y, maps, valid = batch(classes, ignore=ignore)
    expected = ORACLES[name](z, y, maps, valid, **parameters)
    value = build_loss(name, **parameters)(*tensors(z, y, maps, valid))
    assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_every_parameter_tells():
    """The settings above differ in value: a parameter that is ignored would show here."""
    for classes in (1, 3):
        z, y, maps, valid = batch(classes)
        for name, settings in PARAMETERS.items():
            settings = [s for s in settings if classes > 1 or not {"classes", "pool_classes"} & set(s)]
            values = [build_loss(name, **s)(*tensors(z, y, maps, valid)).item() for s in settings]
            assert len({round(v, 7) for v in values}) == len(values), (name, classes, values)
