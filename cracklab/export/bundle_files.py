"""The files of a bundle."""

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from cracklab.export.card import model_card
from cracklab.export.model import OPSET, Deployed, compare, to_onnx
from cracklab.files import sha256
from cracklab.predict.predictor import Predictor
from cracklab.predict.reach import MEMORY_GB
from cracklab.predict.settings import tiling_settings
from cracklab.predict.trained_model import TrainedModel
from cracklab.version import __version__
from cracklab.weights import ships

SOURCES = {
    "run.py": ("cracklab.export", "bundle.py"),
    "tiles.py": ("cracklab.predict", "tiles.py"),
    "masks.py": ("cracklab.predict", "masks.py"),
}
"""Source files in a bundle, and the package and file that each is a copy of."""
FILES = ("model.onnx", "model.onnx.data", "config.yaml", "README.md", "SHA256SUMS", "NOTICE", *SOURCES)
"""All files of a bundle."""
ARENA = 1.8
"""Memory that ONNX Runtime takes, relative to the tensors in use at one time: its arena grows by powers of two. Measured: 1.3 to 1.8, for `cracks`."""


def write_bundle(folder: Path, model: TrainedModel) -> float:
    """Write the files of a bundle; return the largest difference in probability from PyTorch.

    Raises:
        ExportError: if the net cannot be written as ONNX, or predicts differently there.
    """
    settings = bundle_settings(model)
    origin = {"file": Path(model.path).name, "sha256": sha256(model.path), **model.provenance}
    deployed = Deployed(model)
    to_onnx(deployed, folder / "model.onnx", {"cracklab": json.dumps(settings)})
    difference = compare(deployed, folder / "model.onnx")
    training = {**model.config, "data": {**model.config["data"], "root": None}}  # a path on the training machine
    content = {"predict": settings, "checkpoint": origin, "training": training}
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    for name, (package, source) in SOURCES.items():
        (folder / name).write_bytes(files(package).joinpath(source).read_bytes())
    if ships(model.path):  # its licence requires that copies keep the notice
        shutil.copyfile(Path(model.path).with_name("NOTICE"), folder / "NOTICE")
    (folder / "README.md").write_text(model_card(settings, origin, training, model.path, difference), encoding="utf-8")
    sums = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return difference


def bundle_settings(model: TrainedModel) -> dict[str, Any]:
    """Return the settings that run.py reads from the metadata of model.onnx."""
    several, predictor = model.num_classes > 1, Predictor([model], "cpu", memory_gb=MEMORY_GB / ARENA)
    return {
        "cracklab": __version__,
        "opset": OPSET,
        "channels": model.transform.channels,
        "classes": model.num_classes,
        "class_names": list(model.class_names),
        "threshold": None if several else model.threshold,
        "scale": list(model.scale),
        "scales": list(predictor.scales),
        "interpolation": model.transform.interpolation,
        **tiling_settings(predictor),
        "bytes_per_px": ARENA * model.bytes_per_px,
        "provenance": model.provenance,
    }
