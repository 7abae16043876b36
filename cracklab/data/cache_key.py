"""Keys of caches: a hash of everything that the cached arrays are made from.

Code is hashed as a syntax tree without docstrings, so that a changed comment or docstring keeps the cache, and no version has
to be raised by hand. The file of a layout outside of cracklab is hashed too, but nothing that it imports.
"""

import ast
import hashlib
import io
import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import PIL

from cracklab.data.dataset import CrackDataset
from cracklab.data.layouts import Layout
from cracklab.data.samples import Record
from cracklab.data.transform import EvalTransform

PACKAGE = Path(__file__).parents[1]
READING = (
    "data/duplicates.py",
    "data/encodings.py",
    "data/image_files.py",
    "data/images.py",
    "data/resizing.py",
    "data/layouts",
    "data/pair_reader.py",
    "data/transform.py",
    "synthetic",
    "synthetic/randomized",
)
"""Files and folders with the code that reads and prepares a pair."""
DECODERS = (cv2.__version__, PIL.__version__, np.__version__)
"""Versions of the libraries that decode and resize; another one may decode a photo to other pixels."""
MAPPING = ("data/dataset.py", "data/maps.py", "geometry")
"""Files and folders with the code that computes target maps of a prepared pair."""


def pairs_key(records: Sequence[Record], layout: Layout, transform: EvalTransform) -> str:
    """Return the key of prepared pairs: their files (path, time, size), the settings, and the code that reads them."""
    digest = hashlib.sha256(pickle.dumps((layout, transform)))
    digest.update(_code_digest(PACKAGE, READING) + repr(DECODERS).encode())
    for file in _own_files(layout):
        digest.update(_code_digest(file.parent, (file.name,)))
    for record in records:
        for path in layout.files(record):
            state = os.stat(path)
            digest.update(repr((path, state.st_mtime_ns, state.st_size)).encode())
        digest.update(record.id.encode())
    return digest.hexdigest()[:24]


def maps_key(key: str, data: CrackDataset) -> str:
    """Return the key of the target maps of a data set whose prepared pairs have this key."""
    settings = repr((data.positions, data.maps, data.map_options))
    return hashlib.sha256(key.encode() + settings.encode() + _code_digest(PACKAGE, MAPPING)).hexdigest()[:24]


class _Layouts(pickle.Pickler):
    """Finds the layouts in an object, at any depth."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())
        self.found: list[Layout] = []

    def persistent_id(self, obj: object) -> None:
        """Keep a layout; pickle calls this for every object."""
        if isinstance(obj, Layout):
            self.found.append(obj)


def _own_files(layout: Layout) -> list[Path]:
    """Return the source files of the classes of a layout, and of those in it, that are outside of cracklab."""
    layouts = _Layouts()
    layouts.dump(layout)
    modules = {cls.__module__ for one in layouts.found for cls in type(one).__mro__} - {"builtins"}
    own = [sys.modules.get(name) for name in modules if name.partition(".")[0] != __package__.partition(".")[0]]
    paths = sorted(Path(module.__file__) for module in own if module is not None and module.__file__)
    return [path for path in paths if path.suffix == ".py"]


@cache
def _code_digest(package: Path, names: tuple[str, ...]) -> bytes:
    """Return a hash of the syntax trees, without docstrings, of source files below a package."""
    digest = hashlib.sha256()
    for path in _source_files(package, names):
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                node.body = [statement for statement in node.body if not _is_docstring(statement)]
        digest.update(path.relative_to(package).as_posix().encode() + ast.dump(tree).encode())
    return digest.digest()


def _source_files(package: Path, names: Sequence[str]) -> Iterator[Path]:
    for path in (package / name for name in names):
        yield from sorted(path.glob("*.py")) if path.is_dir() else [path]


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
