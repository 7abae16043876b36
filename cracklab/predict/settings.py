"""predict.json: what made the masks of a folder, so that a second start goes on with the same."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cracklab import __version__
from cracklab.errors import RunError
from cracklab.files import write_json
from cracklab.predict.scorer import Scorer, reach
from cracklab.predict.tiles import GRID, Tiling

NAME = "predict.json"
TILE = 512
"""Side of tiles where nothing is said, px; a net that reaches further gets larger ones."""
LARGEST = 1024
"""Side of the largest tiles that are chosen by themselves, px."""
UNKNOWN = 128
"""Overlap for nets that look at the whole picture, so that no overlap makes tiles exact, px."""


def settle(
    folder: Path, checkpoints: Sequence[str], scorer: Scorer, tile: int | None, overlap: int | None, flips: bool
) -> dict[str, Any]:
    """The settings of a folder: those of predict.json where there is one, else new ones, which are written there.

    Raises:
        RunError: where the folder's masks were made by other checkpoints or in another way.
    """
    asked: dict[str, Any] = {"sha256": sorted(sha256(path) for path in checkpoints), "flips": flips}
    asked |= {name: value for name, value in (("tile", tile), ("overlap", overlap)) if value is not None}
    path = folder / NAME
    if path.is_file():
        settings = _read(path)
        made = {**settings, "sha256": sorted(one["sha256"] for one in settings["checkpoints"])}
        for name, value in asked.items():
            if made.get(name) != value:
                what = "other checkpoints" if name == "sha256" else f"{name} {made.get(name)} instead of {value}"
                raise RunError(f"the masks in {folder} were made with {what} ({path}): choose another --out")
        return settings
    settings = {
        "cracklab": __version__,
        "checkpoints": [
            {"path": str(one), "sha256": sha256(one), "threshold": member.threshold, **member.provenance}
            for one, member in zip(checkpoints, scorer.members, strict=True)
        ],
        "threshold": scorer.threshold if scorer.classes == 1 else None,
        "classes": list(scorer.class_names),
        "scale": list(scorer.scale),
        "flips": flips,
        **choose_tiling(scorer, tile, overlap),
    }
    write_json(path, settings)
    return settings


def tiling(settings: dict[str, Any], batch: int) -> Tiling:
    """Where tiles lie, by the settings of a folder."""
    return Tiling(settings["tile"], settings["overlap"], batch)


def choose_tiling(scorer: Scorer, tile: int | None = None, overlap: int | None = None) -> dict[str, int | None]:
    """Tile, overlap and reach, px. Twice the reach as overlap: in its middle, neither tile's edge is felt."""
    distance = reach(scorer) if overlap is None else None
    if overlap is None:
        overlap = UNKNOWN if distance is None else 2 * distance
    if tile is None:
        tile = min(LARGEST, max(TILE, -(-3 * overlap // GRID) * GRID))
    return {"tile": tile, "overlap": min(overlap, tile - GRID), "reach": distance}


def _read(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = settings["tile"], settings["overlap"], settings["flips"], [one["sha256"] for one in settings["checkpoints"]]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read ({error}): choose another --out, or remove it with its masks") from error
    return settings


def sha256(path: str | Path) -> str:
    """Checksum of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_text(settings: dict[str, Any]) -> str:
    """What is said before the first photo."""
    many = len(settings["checkpoints"])
    scale, overlap, distance = settings["scale"], settings["overlap"], settings["reach"]
    threshold = f"threshold {settings['threshold']:.3f}" if settings["threshold"] is not None else "the likeliest class"
    felt = f"twice the net's reach of {distance} px" if distance is not None else "not from its reach: edges may show"
    return (
        f"{f'mean of {many} checkpoints' if many > 1 else '1 checkpoint'}, {threshold}{' (mean)' * (many > 1)}; "
        f"photos at {scale[0]:.3g} of their size; tiles of {settings['tile']} px, overlap {overlap} px, {felt}"
    )
