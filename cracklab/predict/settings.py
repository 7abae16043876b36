"""predict.json: the settings that the masks of a folder were made with, so that a second start uses the same ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cracklab.errors import ConfigError, RunError
from cracklab.files import sha256, write_json
from cracklab.predict.predictor import Predictor
from cracklab.predict.reach import check_tiling
from cracklab.version import __version__

NAME = "predict.json"
OPTIONS: dict[str, Callable[[Any], str]] = {
    "tile": str,
    "overlap": str,
    "scales": lambda scales: ",".join(f"{scale:g}" for scale in scales),
    "high_threshold": "{:g}".format,
}
"""Setting -> how its option of the command is written."""


def settings_of(folder: Path, predictor: Predictor, tile: int | None, overlap: int | None) -> dict[str, Any]:
    """Return the settings of a folder: those in predict.json, or those of the predictor, which are then written there.

    Args:
        folder: of the masks.
        predictor: makes the masks.
        tile: as asked for; None: any.
        overlap: as asked for; None: any.

    Raises:
        RunError: if the masks in the folder were made by other checkpoints or with other settings.
    """
    path = folder / NAME
    checksums = [sha256(model.path) for model in predictor.models]
    if path.is_file():
        settings = _read(path)
        before = {
            "scales": [1.0],
            "high_threshold": 0.0,
            **settings,
            "sha256": sorted(entry["sha256"] for entry in settings["checkpoints"]),
        }
        now = {"sha256": sorted(checksums), "flips": predictor.flips, "tile": tile, "overlap": overlap}
        now |= {"scales": list(predictor.scales), "high_threshold": predictor.high_threshold}
        for name, value in now.items():
            if value is not None and before[name] != value:
                what, again = f"{name} {before[name]} instead of {value}", ""
                if name == "sha256":
                    what = "other checkpoints"
                elif name in OPTIONS:
                    again = f", or keep --{name} {OPTIONS[name](before[name])}"
                raise RunError(f"the masks in {folder} were made with {what} ({path}): choose another --out{again}")
        return settings
    settings = {
        "cracklab": __version__,
        "checkpoints": [
            {**model.provenance, "path": str(model.path), "sha256": checksum, "threshold": model.threshold}
            for model, checksum in zip(predictor.models, checksums, strict=True)
        ],
        "threshold": predictor.threshold if predictor.num_classes == 1 else None,
        "high_threshold": predictor.high_threshold,
        "classes": list(predictor.class_names),
        "scale": list(predictor.scale),
        "scales": list(predictor.scales),
        "flips": predictor.flips,
        **tiling_settings(predictor, overlap),
    }
    write_json(path, settings)
    return settings


def tiling_settings(predictor: Predictor, overlap: int | None = None) -> dict[str, int | None]:
    """Return tile, overlap and reach, px; the reach is None if the overlap was asked for, and so not derived from it.

    Example:
        >>> from types import SimpleNamespace
        >>> from cracklab.predict.tiles import Tiling
        >>> tiling_settings(SimpleNamespace(tiling=Tiling(tile=512, overlap=64), reach=32))
        {'tile': 512, 'overlap': 64, 'reach': 32}
    """
    tiling = predictor.tiling
    return {
        "tile": tiling.tile,
        "overlap": tiling.overlap,
        "reach": predictor.reach if overlap is None else None,
    }


def as_text(settings: dict[str, Any]) -> str:
    """Return the line that is printed before the first photo.

    Example:
        >>> settings = {"checkpoints": [{}], "threshold": 0.4, "scale": [0.25, 0.25], "tile": 512, "overlap": 6, "reach": 3}
        >>> as_text(settings)
        "1 checkpoint, threshold 0.400; photos at 0.25 of their size; tiles of 512 px, overlap 6 px, twice the net's reach of 3 px"
        >>> as_text({**settings, "scales": [4, 2, 1]}).split("; ")[1]
        'photos at 1, 0.5 and 0.25 of their size, fused'
        >>> as_text({**settings, "scale": [1, 1]}).split("; ")[1]
        'photos at their own size'
    """
    count = len(settings["checkpoints"])
    overlap, reach = settings["overlap"], settings["reach"]
    scales = [f"{settings['scale'][0] * one:.3g}" for one in settings.get("scales", [1.0])]
    sizes = " and ".join(filter(None, [", ".join(scales[:-1]), scales[-1]]))
    photos = "photos at their own size" if scales == ["1"] else f"photos at {sizes} of their size"
    threshold = f"threshold {settings['threshold']:.3f}" if settings["threshold"] is not None else "most probable class"
    if settings.get("high_threshold"):
        threshold += f", {settings['high_threshold']:g} somewhere in each crack"
    reason = "not from its reach: edges may show"
    if reach is not None:
        reason = f"{'less than ' * (overlap < 2 * reach)}twice the net's reach of {reach} px"
    return (
        f"{f'mean of {count} checkpoints' if count > 1 else '1 checkpoint'}, {threshold}{' (mean)' * (count > 1)}; "
        f"{photos}{', fused' * (len(scales) > 1)}; tiles of {settings['tile']} px, overlap {overlap} px, {reason}"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = settings["tile"], settings["overlap"], settings["flips"], [one["sha256"] for one in settings["checkpoints"]]
        check_tiling(settings["tile"], settings["overlap"], None)
    except (ConfigError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read ({error}): choose another --out, or remove it with its masks") from error
    return settings
