"""Small folders of drawn cracks."""

import pytest
from data_cases import pair, write

from cracklab.data.datamodule import CrackDataModule
from cracklab.data.layouts import LAYOUTS


@pytest.fixture
def photos(tmp_path):
    """Eight photos of three crops each, `a-1` ... `h-3`."""
    for number, name in enumerate("abcdefgh"):
        for crop in range(1, 4):
            write(tmp_path, f"{name}-{crop}", *pair(10 * number + crop))
    return tmp_path


@pytest.fixture
def make_data():
    """A function that makes a data module from the name of a layout; `layout_options` go to the layout."""

    def make(layout="synthetic", layout_options=None, **options):
        if layout == "synthetic" and layout_options is None:
            layout_options = {"train": 13, "val": 3, "test": 5, "size": (48, 64)}
        return CrackDataModule(LAYOUTS[layout](**(layout_options or {})), **options)

    return make
