"""`cracklab export`: a folder that predicts without PyTorch, verified against it."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from glob import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from cracklab.checkpoint import checkpoint_file, ships
from cracklab.command_parser import CommandParser
from cracklab.errors import RunError
from cracklab.export.card import model_card
from cracklab.export.model import OPSET, Deployed, ExportError, compare, to_onnx
from cracklab.files import naming, output_folder, remove_leftovers
from cracklab.predict.predictor import Predictor
from cracklab.predict.settings import sha256, tiling_settings
from cracklab.predict.trained_model import TRUST, TrainedModel, restore
from cracklab.version import __version__
from cracklab.warning_filters import filter_warnings

SOURCES = {"run.py": ("cracklab.export", "bundle.py"), "tiles.py": ("cracklab.predict", "tiles.py")}
"""Source files in a bundle, and the package and file that each is a copy of."""
FILES = ("model.onnx", "model.onnx.data", "config.yaml", "README.md", "SHA256SUMS", "NOTICE", *SOURCES)
"""All files of a bundle."""


def parser() -> CommandParser:
    """Return the parser of the command's arguments."""
    arguments = CommandParser("export", __doc__)
    arguments.add_argument(
        "--ckpt_path",
        type=checkpoint_file,
        required=True,
        help="checkpoint of a run, for instance RUN/checkpoints/best.ckpt, or cracklab:cracks",
    )
    arguments.add_argument(
        "--out", type=output_folder, required=True, help="folder of the bundle; it must be new or empty"
    )
    arguments.add_argument("--trust", action="append", default=[], metavar="CLASS", help=TRUST)
    return arguments


def run(command: str, args: Sequence[str]) -> int:
    """Write a bundle whole or not at all; return 1 if the net cannot be exported or predicts differently in ONNX."""
    filter_warnings()
    options = parser().parse(args)
    if options.out.exists() and not (options.out.is_dir() and not any(options.out.iterdir())):
        raise RunError(f"--out {options.out} exists and is not an empty folder: choose another folder")
    model = restore(options.ckpt_path, options.trust)
    temporary = options.out.absolute().with_name(f".{options.out.name}.{os.getpid()}")
    remove_leftovers(temporary.parent, escape(options.out.name), FILES)
    try:
        with naming(options.out):
            temporary.mkdir(parents=True)
            difference = write_bundle(temporary, model)
            if options.out.is_dir():
                options.out.rmdir()
            temporary.rename(options.out)
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(
        f"ONNX opset {OPSET}, any size; differs from PyTorch by at most {difference:.1g} in probability on three images"
    )
    print(f"bundle: {options.out}")
    return 0


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
    if ships(model.path):  # its licence asks that copies keep the notice
        shutil.copyfile(Path(model.path).with_name("NOTICE"), folder / "NOTICE")
    (folder / "README.md").write_text(model_card(settings, origin, training, model.path, difference), encoding="utf-8")
    sums = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return difference


def bundle_settings(model: TrainedModel) -> dict[str, Any]:
    """Return the settings that run.py reads from the metadata of model.onnx."""
    several, predictor = model.num_classes > 1, Predictor([model], "cpu")
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
    }
