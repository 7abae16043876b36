"""The model card of a bundle: the model, its training data, its scores, its intended use and its limits."""

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from cracklab import run_folder
from cracklab.errors import RunError
from cracklab.predict.tiles import GRID
from cracklab.tables import escaped
from cracklab.weights import ships

SHOWN = ("iou", "dice", "precision", "recall", "iou_image", "dice_image", "hd95_px", "boundary_iou", "cl_dice")
"""Scores of test_metrics.json that a card shows."""

SHIPPED = (
    "This model ships with cracklab. Its card has its scores without labels, false alarms and pictures of failures: "
    "`cracklab models cracks`, or cracklab/weights/README.md. NOTICE names the weights that its training started from."
)
"""Metrics of a model that ships."""

RUN = """\
    pip install onnxruntime numpy opencv-python-headless
    python run.py PHOTOS [PHOTOS ...] --out MASKS          # photos, folders, patterns
    sha256sum -c SHA256SUMS"""
USE = (
    "For people who inspect walls, floors and pavements: it points to places that look like the cracks of the training images, "
    "on photos of similar distance, resolution, material and light. A person has to check its masks."
)
LIMITS = (
    "Its scores on other materials, cameras and scales than those of the data above are unknown: a photo taken from twice the "
    "distance shows cracks at half the width. It may mistake joints, cables, stains, scratches and shadows for cracks, and it "
    "loses cracks finer than about one pixel at the net's scale. A mask says nothing about depth, cause or danger, and is no "
    "measurement unless its scale and its error on such photos are known. Not for decisions on safety without inspection."
)


def model_card(
    settings: Mapping[str, Any],
    origin: Mapping[str, Any],
    training: Mapping[str, Any],
    checkpoint: str | Path,
    difference: float,
) -> str:
    """Return README.md of a bundle, Markdown.

    Args:
        settings: of the prediction.
        origin: file and provenance of the checkpoint.
        training: the configuration of the run.
        checkpoint: path of the checkpoint; the scores are those of its run folder.
        difference: largest difference from PyTorch, in probability.
    """
    several = settings["classes"] > 1
    net, scale = training["model"]["net"], settings["scale"]
    classes = escaped(", ".join(settings["class_names"])) if several else ""
    what = f"pixels of {settings['classes']} classes ({classes})" if several else "cracks"
    cut = "the most probable class" if several else f"crack above probability {settings['threshold']:g}"
    arguments = escaped(", ".join(f"{key} {value}" for key, value in _arguments(net).items()))
    sections = {
        f"# {escaped(str(training.get('name', 'run')))}: {what} in photos": [
            f"{escaped(_name(net))} ({arguments}), trained by cracklab {escaped(str(origin['cracklab']))} with the loss "
            f"{escaped(_name(training['model'].get('loss')))}, epoch {origin['epoch']}. ONNX opset {settings['opset']}; differs from PyTorch "
            f"by at most {difference:.1g} in probability on three synthetic walls.",
            RUN,
        ],
        "## Input and output": [
            f"`image`: (batch, {settings['channels']}, height, width) uint8, {'RGB' if settings['channels'] == 3 else 'grey'}, "
            f"sides multiples of {GRID} px. `probability`: (batch, {settings['classes']}, height, width) float32. `mask`: "
            f"(batch, 1, height, width) uint8, {'class index' if several else '0 or 255'}: {cut}. The file includes "
            f"normalisation, probabilities and the mask's rule. Resize photos to {scale[0]:.4g} of their height and "
            f"{scale[1]:.4g} of their width first, the scale of the training images{_scales(settings)}. `run.py` does that, and "
            f"scores tiles of "
            f"{settings['tile']} px that overlap by {settings['overlap']} px{_reason(settings)}.",
        ],
        "## Data": [_data(origin, training)],
        "## Metrics": [SHIPPED] if ships(checkpoint) else _metrics(run_folder.run_of(checkpoint), settings),
        "## Intended use": [USE],
        "## Limits": [LIMITS],
    }
    return "\n\n".join("\n\n".join([heading, *map(_wrapped, parts)]) for heading, parts in sections.items()) + "\n"


def _wrapped(text: str) -> str:
    """Return a paragraph wrapped at 120 characters; leave code and tables as they are."""
    return text if text.startswith((" ", "|")) else fill(text, 120, subsequent_indent="  " * text.startswith("- "))


def _scales(settings: Mapping[str, Any]) -> str:
    others = [f"{scale:g}" for scale in settings["scales"]]
    return (
        ""
        if others == ["1"]
        else f", and fuse the probabilities at {', '.join(others)} times that size (quadratic mean)"
    )


def _reason(settings: Mapping[str, Any]) -> str:
    if settings["reach"] is None:
        return " (the net sees farther than that, so tiles and one pass differ)"
    short = settings["overlap"] < 2 * settings["reach"]
    return f", {'less than ' * short}twice the net's reach of {settings['reach']} px{' (edges may show)' * short}"


def _data(origin: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    data, counts = training["data"], origin["data"].get("images", {})
    numbers = escaped(", ".join(f"{number} {side}" for side, number in counts.items()))
    keys = ("split", "fold", "crop", "resize", "train_crop", "channels")
    chosen = ", ".join(f"`data.{key}` {escaped(str(data[key]))}" for key in keys if data.get(key) is not None)
    leaks = (
        " The published split is used unchanged and may have one photo on two sides."
        if data.get("known_overlap") == "report"
        else ""
    )
    layout = " ".join(_name(data.get("layout")).replace("`", "'").split())
    return f"Layout `{layout}`: {numbers} images. {chosen}. All settings: `config.yaml`.{leaks}"


def _metrics(folder: Path | None, settings: Mapping[str, Any]) -> list[str]:
    """Return the scores of the run's test, or a sentence that the checkpoint was not tested at this threshold.

    Raises:
        RunError: if the files of the test are damaged.
    """
    try:
        return _scores(folder, settings)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise RunError(f"the test in {folder} cannot be read ({error!r}): test that run again") from None


def _scores(folder: Path | None, settings: Mapping[str, Any]) -> list[str]:
    path = None if folder is None else folder / run_folder.TEST_METRICS
    if folder is None or path is None or not path.is_file():
        return ["Not tested: `cracklab test` was not run for this checkpoint."]
    scores = json.loads(path.read_text(encoding="utf-8"))
    if settings["threshold"] is not None and scores.get("test/threshold") != settings["threshold"]:
        return ["Not tested: the run's test used another threshold, so it was of another checkpoint."]
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
    return f"- **{escaped(result['protocol'])}**: {escaped(values)}. {escaped(' '.join(filter(None, words)))}"


def _name(given: Any) -> str:
    return str(given.get("class_path") if isinstance(given, Mapping) else given).rpartition(".")[2]


def _arguments(net: Any) -> dict[str, Any]:
    given = (net.get("init_args") if isinstance(net, Mapping) else None) or {}
    return {key: value for key, value in given.items() if isinstance(value, str | int) and value}
