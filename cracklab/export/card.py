"""The model card of a bundle: what it is, what it was trained on, how good it is, what it is not for."""

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from cracklab import run_folder
from cracklab.predict.tiles import GRID

SHOWN = ("iou", "dice", "precision", "recall", "iou_image", "dice_image", "hd95_px", "boundary_iou", "cl_dice")
"""Scores of test_metrics.json that a card shows."""


RUN = """\
    pip install onnxruntime numpy opencv-python-headless
    python run.py PHOTO [PHOTO ...] --out MASKS
    sha256sum -c SHA256SUMS"""
USE = (
    "To point people who inspect walls, floors and pavements to what looks like the training images' cracks, on photos of a "
    "like distance, resolution, material and light. Its masks are to be looked at by a person."
)
LIMITS = (
    "Unknown on other materials, cameras and scales than those of the data above: a photo taken from twice the distance shows "
    "cracks at half the width. Joints, cables, stains, scratches and shadows may be taken for cracks, and cracks finer than "
    "about one pixel at the net's scale are lost. A mask says nothing about depth, cause or danger, and is no measurement "
    "unless its scale and its error on such photos are known. Not for decisions on safety without inspection."
)


def model_card(
    settings: Mapping[str, Any],
    origin: Mapping[str, Any],
    training: Mapping[str, Any],
    checkpoint: str,
    difference: float,
) -> str:
    """README.md of a bundle, Markdown.

    Args:
        settings: how photos are predicted.
        origin: what is known of the checkpoint.
        training: the configuration of the run.
        checkpoint: where the checkpoint lies; metrics are those of its run folder.
        difference: from PyTorch, in probability.
    """
    several = settings["classes"] > 1
    net, scale = training["model"]["net"], settings["scale"]
    what = f"pixels of {settings['classes']} classes ({', '.join(settings['class_names'])})" if several else "cracks"
    cut = "the most probable class" if several else f"crack above probability {settings['threshold']:g}"
    arguments = ", ".join(f"{key} {value}" for key, value in _arguments(net).items())
    sections = {
        f"# {training.get('name', 'run')}: {what} in photos": [
            f"{_name(net)} ({arguments}), trained by cracklab {origin['cracklab']} with the loss "
            f"{_name(training['model']['loss'])}, epoch {origin['epoch']}. ONNX opset {settings['opset']}; differs from PyTorch "
            f"by at most {difference:.1g} in probability on three drawn walls.",
            RUN,
        ],
        "## Input and output": [
            f"`image`: (batch, {settings['channels']}, height, width) uint8, {'RGB' if settings['channels'] == 3 else 'grey'}, "
            f"sides multiples of {GRID} px. `probability`: (batch, {settings['classes']}, height, width) float32. `mask`: "
            f"(batch, 1, height, width) uint8, {'class index' if several else '0 or 255'}: {cut}. Normalisation, probabilities "
            f"and the cut are inside. Photos have to be brought to {scale[0]:.4g} of their height and {scale[1]:.4g} of their "
            f"width first, the scale of the training; `run.py` does that, in tiles of {settings['tile']} px that share "
            f"{settings['overlap']} px{_why(settings)}.",
        ],
        "## Data": [_data(origin, training)],
        "## Metrics": _metrics(run_folder.run_of(checkpoint), settings),
        "## Intended use": [USE],
        "## Limits": [LIMITS],
    }
    return "\n\n".join("\n\n".join([heading, *map(_wrapped, parts)]) for heading, parts in sections.items()) + "\n"


def _wrapped(text: str) -> str:
    """A paragraph in lines; code and tables as they are."""
    return text if text.startswith((" ", "|")) else fill(text, 120, subsequent_indent="  " * text.startswith("- "))


def _why(settings: Mapping[str, Any]) -> str:
    if settings["reach"] is None:
        return " (the net looks at the whole picture, so tiles and one pass differ)"
    return f", twice as far as an edge is felt ({settings['reach']} px)"


def _data(origin: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    data, counts = training["data"], origin["data"].get("images", {})
    numbers = ", ".join(f"{number} {side}" for side, number in counts.items())
    keys = ("split", "fold", "crop", "resize", "train_crop", "channels")
    chosen = ", ".join(f"`data.{key}` {data[key]}" for key in keys if data.get(key) is not None)
    leaks = (
        " The published split is used as it is, and may show a photo on two sides."
        if data["known_overlap"] == "report"
        else ""
    )
    return f"Layout `{_name(data['layout'])}`: {numbers} images. {chosen}. All settings: `config.yaml`.{leaks}"


def _metrics(folder: Path | None, settings: Mapping[str, Any]) -> list[str]:
    """Scores of the run's test, where there is one and it was at this threshold."""
    path = None if folder is None else folder / run_folder.TEST_METRICS
    if folder is None or path is None or not path.is_file():
        return ["Not tested: `cracklab test` was not run for this checkpoint."]
    scores = json.loads(path.read_text(encoding="utf-8"))
    if settings["threshold"] is not None and scores.get("test/threshold") != settings["threshold"]:
        return ["Not tested: the run's test was of another checkpoint, at another threshold."]
    rows = [(name, scores.get(f"test/{name}")) for name in SHOWN]
    table = [f"| {name} | {value:.4f} |" for name, value in rows if value is not None]
    cut = "" if settings["threshold"] is None else ", at the threshold above, which validation chose"
    parts = [
        f"On {scores.get('test/images', 0):.0f} test images{cut}. Distances are in px at the net's scale.",
        "\n".join(["| score | value |", "|---|---|", *table]),
    ]
    protocols = folder / run_folder.PROTOCOLS
    if protocols.is_file():
        parts.append("The same predictions under named protocols, as papers report them:")
        found = json.loads(protocols.read_text(encoding="utf-8")).values()
        parts += [_protocol(one) for one in found if "values" in one]
    return parts


def _protocol(result: Mapping[str, Any]) -> str:
    values = ", ".join(f"{name} {value:.4f}" for name, value in result["values"].items() if value is not None)
    words = [result["what"], f"Source: {result['source']}." if result["source"] else ""]
    words += [f"Warning: {result['warning']}" if result["warning"] else ""]
    return f"- **{result['protocol']}**: {values}. {' '.join(filter(None, words))}"


def _name(given: Any) -> str:
    return str(given["class_path"] if isinstance(given, Mapping) else given).rpartition(".")[2]


def _arguments(net: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in (net.get("init_args") or {}).items() if isinstance(value, str | int) and value}
