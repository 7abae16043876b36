"""`cracklab export`: a folder that predicts without PyTorch, verified against it."""

import ast
import json
import os
import shutil
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from cracklab import __version__
from cracklab.command_parser import CommandParser
from cracklab.errors import RunError
from cracklab.export.card import model_card
from cracklab.export.model import OPSET, Deployed, ExportError, compare, to_onnx
from cracklab.predict.scorer import Scorer
from cracklab.predict.settings import choose_tiling, sha256
from cracklab.predict.trained_model import TrainedModel, restore
from cracklab.warning_filters import filter_warnings

TILES = "from cracklab.predict.tiles import "
"""How the line of the bundle's script begins in whose place the tiles' source is put."""


def parser() -> CommandParser:
    """The command's arguments."""
    arguments = CommandParser("export", __doc__)
    arguments.add_argument(
        "--ckpt_path", required=True, help="checkpoint of a run, for instance RUN/checkpoints/best.ckpt"
    )
    arguments.add_argument("--out", type=Path, required=True, help="folder to make; one that is there has to be empty")
    return arguments


def run(command: str, args: Sequence[str]) -> int:
    """Write a bundle whole, or nothing; returns 1 where the net cannot be exported, or says something else in ONNX."""
    filter_warnings()
    options = parser().parse(args)
    if options.out.exists() and not (options.out.is_dir() and not any(options.out.iterdir())):
        raise RunError(f"--out {options.out} is there and not empty: choose another folder")
    restored = restore(options.ckpt_path)
    beside = options.out.absolute().with_name(f".{options.out.name}.{os.getpid()}")
    beside.mkdir(parents=True)
    try:
        difference = write_bundle(beside, restored, options.ckpt_path)
        if options.out.is_dir():
            options.out.rmdir()
        beside.rename(options.out)
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    print(
        f"ONNX opset {OPSET}, any size; differs from PyTorch by at most {difference:.1g} in probability on three images"
    )
    print(f"bundle: {options.out}")
    return 0


def write_bundle(folder: Path, restored: TrainedModel, checkpoint: str) -> float:
    """Write the files of a bundle; returns the largest difference in probability from PyTorch.

    Raises:
        ExportError: where the net cannot be written, or differs.
    """
    settings = settings_of(restored)
    origin = {"file": Path(checkpoint).name, "sha256": sha256(checkpoint), **restored.provenance}
    deployed = Deployed(restored)
    to_onnx(deployed, folder / "model.onnx", {"cracklab": json.dumps(settings)})
    difference = compare(deployed, folder / "model.onnx")
    training = {**restored.config, "data": {**restored.config["data"], "root": None}}  # a path of the one who trained
    content = {"predict": settings, "checkpoint": origin, "training": training}
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    (folder / "run.py").write_text(script(), encoding="utf-8")
    (folder / "README.md").write_text(model_card(settings, origin, training, checkpoint, difference), encoding="utf-8")
    sums = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return difference


def settings_of(restored: TrainedModel) -> dict[str, Any]:
    """What the bundle's script needs to know; kept in the model's metadata."""
    several = restored.data.num_classes > 1
    return {
        "cracklab": __version__,
        "opset": OPSET,
        "channels": restored.transform.channels,
        "classes": restored.data.num_classes,
        "class_names": list(restored.data.class_names),
        "threshold": None if several else restored.threshold,
        "scale": list(restored.scale),
        "interpolation": restored.transform.interpolation,
        **choose_tiling(Scorer([restored], ["the checkpoint"])),
    }


def script() -> str:
    """run.py: the script of `bundle.py`, with the source of the tiles in place of its import."""
    text = files("cracklab.export").joinpath("bundle.py").read_text(encoding="utf-8")
    tiles = files("cracklab.predict").joinpath("tiles.py").read_text(encoding="utf-8")
    body = ast.parse(tiles).body
    first = next(node for node in body[1:] if not isinstance(node, ast.Import | ast.ImportFrom))
    code = "\n".join(tiles.splitlines()[first.lineno - 1 :])
    line = next(line for line in text.splitlines() if line.startswith(TILES))
    for old, new in (
        (f"\n{line}\n", f"from numpy.typing import NDArray\n\n{code}\n"),
        (
            "import sys\n",
            "import sys\nfrom collections.abc import Callable, Iterator\nfrom dataclasses import dataclass\n",
        ),
    ):
        text = text.replace(old, new, 1)
    return text
