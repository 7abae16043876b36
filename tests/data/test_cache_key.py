"""Which changes of code, files and settings discard a cache."""

import ast
import shutil

import pytest
from data_cases import pair, write

from cracklab.data import cache_key
from cracklab.data.dataset import CrackDataset
from cracklab.data.layouts import LAYOUTS
from cracklab.data.samples import with_ids
from cracklab.data.transform import EvalTransform

PACKAGE = cache_key.PACKAGE


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """Keys of pairs and of maps, as computed from the package, or from a copy with texts replaced in some of its files."""

    def compute(*changes):
        copy = PACKAGE
        if changes:
            copy = tmp_path / "copy"
            shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.onnx", "*.ckpt"))
        for file, old, new in changes:
            text = (copy / file).read_text()
            assert old in text
            (copy / file).write_text(text.replace(old, new))
        monkeypatch.setattr(cache_key, "PACKAGE", copy)
        layout = LAYOUTS["synthetic"](train=2, val=1, test=1)
        records = with_ids(layout.index(tmp_path)[0])
        transform = EvalTransform()
        key = cache_key.pairs_key(records, layout, transform)
        data = CrackDataset([], [record.id for record in records], [1, 2], transform, maps=["distance"])
        return key, cache_key.maps_key(key, data)

    return compute


def test_comments_docstrings_and_unrelated_code_keep_the_keys(keys):
    """Not one of these changes counts; the package and its copy are otherwise the same."""
    pairs, maps = keys()
    assert pairs != maps
    changed = keys(
        ("data/images.py", "IGNORE = 255", "IGNORE = 255  # a comment"),
        ("data/images.py", '"""Mask value of pixels', '"""Another docstring of a constant'),
        ("data/images.py", '"""Read a photo ', '"""Another docstring of a function. Read a photo '),
        ("data/images.py", "\n\n\ndef read_image", "\n\n\n\n\n\ndef read_image"),
        ("data/augment.py", "WARPED = 0.25", "WARPED = 0.3"),
        ("data/cache.py", "ALIGNMENT = 64", "ALIGNMENT = 128"),
        ("metrics/overlap.py", "import torch", "import torch, os"),
    )
    assert changed == (pairs, maps)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("data/resizing.py", "COVERAGE = 0.45", "COVERAGE = 0.5"),
        ("data/images.py", "IMREAD_COLOR", "IMREAD_GRAYSCALE"),
        ("data/encodings.py", "grey >= 128", "grey >= 127"),
        ("data/transform.py", "// 2", "// 3"),
        ("data/duplicates.py", "SIDE = 32", "SIDE = 16"),
        ("data/layouts/base.py", "return read_mask(record.mask)", "return 1 - read_mask(record.mask)"),
        ("synthetic/draw.py", "import numpy as np", "import numpy"),
        ("synthetic/randomized/draw.py", "CRACK_FREE = 0.2", "CRACK_FREE = 0.3"),
    ],
)
def test_changed_code_of_reading_changes_both_keys(keys, file, old, new):
    assert not set(keys((file, old, new))) & set(keys())


@pytest.mark.parametrize("file", ["data/maps.py", "data/dataset.py", "geometry/masks.py"])
def test_changed_code_of_target_maps_keeps_the_pairs(keys, file):
    changed, original = keys((file, "import numpy as np", "import numpy")), keys()
    assert changed[0] == original[0]
    assert changed[1] != original[1]


def test_changed_files_and_settings_change_the_key(tmp_path):
    write(tmp_path, "a", *pair(0))

    def key(layout=None, transform=None):
        layout = layout or LAYOUTS["folders"]()
        return cache_key.pairs_key(with_ids(layout.index(tmp_path)[0]), layout, transform or EvalTransform())

    original = key()
    assert key() == original
    assert key(LAYOUTS["folders"](invert=True)) != original
    assert key(transform=EvalTransform(resize=16)) != original
    write(tmp_path, "a", *pair(1, 41, 57))
    assert key() != original


def imported_files(file):
    """Files and folders of the package that a file of it imports from, wherever in the file."""
    for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cracklab"):
            place = "/".join(node.module.split(".")[1:])
            for name in node.names:
                for path in (f"{place}/{name.name}.py", f"{place}.py", f"{place}/__init__.py"):
                    if (PACKAGE / path).is_file():
                        yield path
                        break


def test_everything_that_reading_and_mapping_import_counts():
    listed = {
        path.relative_to(PACKAGE).as_posix()
        for path in cache_key._source_files(PACKAGE, cache_key.READING + cache_key.MAPPING)
    }
    found = {imported for file in listed for imported in imported_files(file)}
    # records, errors, bounds of settings, names of classes, types of samples, and augmentation, which cached maps never see
    unlisted = {"data/samples.py", "errors.py", "bounds.py", "registry.py", "batch.py", "data/augment.py"}
    assert found - listed == unlisted
