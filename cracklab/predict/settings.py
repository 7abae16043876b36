"""predict.json: the settings that the masks of a folder were made with, so that a second start uses the same ones."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cracklab.errors import ConfigError, RunError
from cracklab.files import naming, sha256, write_json
from cracklab.predict.predictor import Predictor
from cracklab.predict.reach import check_tiling
from cracklab.version import __version__

NAME = "predict.json"
OPTIONS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "tile": ("tile", str),
    "overlap": ("overlap", str),
    "flips": ("tta", lambda flips: "flips" if flips else "none"),
    "scales": ("scales", lambda scales: ",".join(f"{scale:g}" for scale in scales)),
    "high_threshold": ("high_threshold", "{:g}".format),
}
"""Setting -> its option of the command, and how the value of the option is written."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Checkpoint(BaseModel):
    """A checkpoint in predict.json, as far as a later start needs it."""

    model_config = ConfigDict(extra="allow", strict=True)
    sha256: str


class FolderSettings(BaseModel):
    """The content of predict.json that a later start needs; earlier versions lack what has a default."""

    model_config = ConfigDict(extra="allow", strict=True)
    checkpoints: list[Checkpoint] = Field(min_length=1)
    threshold: float | None
    high_threshold: float = 0.0
    scale: list[Positive] = Field(min_length=2, max_length=2)
    scales: list[Positive] = Field([1.0], min_length=1)
    flips: bool
    tile: int
    overlap: int
    reach: int | None = None


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
    if not path.is_file():
        settings = _settings(predictor, checksums, overlap)
        if _write_first(path, settings):
            return settings
    settings = _read(path)
    before = {**settings, "sha256": sorted(checkpoint["sha256"] for checkpoint in settings["checkpoints"])}
    now = {
        "sha256": sorted(checksums),
        "flips": predictor.flips,
        "tile": tile if predictor.memory_gb is None else predictor.tiling.tile,
        "overlap": overlap,
        "scales": list(predictor.scales),
        "high_threshold": predictor.high_threshold,
    }
    for name, value in now.items():
        if value is not None and before[name] != value:
            made_with, remedy = "other checkpoints", ""
            if name in OPTIONS:
                option, text = OPTIONS[name]
                made_with = f"--{option} {text(before[name])} instead of {text(value)}"
                remedy = f", or keep --{option} {text(before[name])}"
            if name == "tile" and predictor.memory_gb is not None:
                remedy += f" without --memory_gb {predictor.memory_gb:g}"
            raise RunError(f"the masks in {folder} were made with {made_with} ({path}): choose another --out{remedy}")
    return settings


def _settings(predictor: Predictor, checksums: Sequence[str], overlap: int | None) -> dict[str, Any]:
    """Return the settings of a predictor, for predict.json."""
    return {
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


def _write_first(path: Path, settings: Mapping[str, Any]) -> bool:
    """Write the settings, unless a command that started at the same time was faster; return whether they were written."""
    beside = path.with_name(f".{path.stem}_first.{os.getpid()}{path.suffix}")
    with naming(path):
        try:
            write_json(beside, settings)
            os.link(beside, path)  # which never replaces a file
        except FileExistsError:
            return False
        except OSError:
            if not beside.is_file():
                raise
            beside.replace(path)  # the file system has no links
        finally:
            beside.unlink(missing_ok=True)
    return True


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
        settings = FolderSettings.model_validate_json(path.read_bytes()).model_dump()
        check_tiling(settings["tile"], settings["overlap"], None)
    except (ConfigError, ValidationError) as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = ": ".join([".".join(map(str, first["loc"])), first["msg"]]).lstrip(": ")
        raise RunError(
            f"{path} cannot be read ({reason}): choose another --out, or remove it with its masks"
        ) from error
    return settings
