"""Loss classes are importable from `cracklab.losses`, whichever file defines them."""

import os
import subprocess
import sys
from importlib import import_module

import pytest

import cracklab.losses
from cracklab.losses import LOSSES, build_loss

THIRD_PARTY = """
from cracklab.losses import Dice, register

@register("steep_dice")
class SteepDice(Dice):
    pass
"""


@pytest.mark.parametrize("name", LOSSES)
def test_every_registered_class_is_importable_by_its_class_name(name):
    cls = LOSSES[name]
    namespace = {}
    exec(f"from cracklab.losses import {cls.__name__}", namespace)
    assert namespace[cls.__name__] is cls
    assert getattr(import_module(cls.__module__), cls.__name__) is cls  # defined there, not in the package itself
    assert cls.__name__ in dir(cracklab.losses)


def test_a_class_takes_the_parameters_that_build_loss_takes():
    loss, same = cracklab.losses.DistanceAware(beta=5.0, eps=2.0), build_loss("distance_aware", beta=5.0, eps=2.0)
    assert type(loss) is type(same)
    assert (loss.beta, loss.eps) == (same.beta, same.eps) == (5.0, 2.0)


def test_a_misspelt_class_is_an_attribute_error_with_the_nearest_name():
    with pytest.raises(AttributeError, match="no loss 'DistanceAwar'; did you mean 'DistanceAware'"):
        _ = cracklab.losses.DistanceAwar
    with pytest.raises(ImportError, match="DistanceAwar"):
        exec("from cracklab.losses import DistanceAwar")
    assert not hasattr(cracklab.losses, "DistanceAwar")


def test_submodules_are_still_importable():
    namespace = {}
    exec("from cracklab.losses import morphology", namespace)
    assert namespace["morphology"] is sys.modules["cracklab.losses.morphology"]


def python(*lines, path=""):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(path)])}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_importing_the_package_imports_no_loss():
    printed = python(
        "import sys, cracklab.losses",
        "print('cracklab.losses.distance' in sys.modules, 'cv2' in sys.modules)",
        "from cracklab.losses import DistanceAware",
        "print('cracklab.losses.distance' in sys.modules, 'skimage' in sys.modules)",
    )
    assert printed == ["False", "False", "True", "False"]  # skimage, for target maps, takes longer than all losses


def test_a_package_that_extends_a_class_can_be_imported_first(tmp_path):
    """Its entry point names the class, which does not exist yet while its module imports `Dice`."""
    (tmp_path / "steep.py").write_text(THIRD_PARTY)
    (tmp_path / "steep-1.dist-info").mkdir()
    (tmp_path / "steep-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: steep\nVersion: 1\n")
    (tmp_path / "steep-1.dist-info" / "entry_points.txt").write_text(
        "[cracklab.losses]\nsteep_dice = steep:SteepDice\n"
    )
    printed = python(
        "import steep, cracklab.losses",
        "print(cracklab.losses.LOSSES['steep_dice'] is steep.SteepDice)",
        "print(hasattr(cracklab.losses, 'SteepDice'))",  # it is imported from its own package
        path=tmp_path,
    )
    assert printed == ["True", "False"]
