"""Pictures of test images: the same images across methods, and the worst images of the best method."""

import math
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np

from cracklab import config_files, pictures, run_folder
from cracklab.errors import RunError
from cracklab.report.analysis import Analysis
from cracklab.report.labels import flat
from cracklab.report.tested_run import TestedRun

MAX_IMAGES, MAX_METHODS = 4, 6
"""Columns of the picture, and its rows below photo and truth."""
MAX_HEIGHT = 300
"""Taller tiles are reduced to this height, px."""


@dataclass(frozen=True)
class Sheet:
    """A picture with the block, images and methods in it."""

    picture: pictures.Image
    block: str
    images: list[str]
    methods: list[str]


def same_images(analysis: Analysis) -> Sheet | None:
    """Draw photo, truth and the errors of each method for the block in which most methods have pictures of common images.

    One column per image, one row per method, best method first, as in Figure 4 of Krasniqi and Shehu 2026. None if no
    run has pictures.
    """
    best: tuple[int, str, dict[str, TestedRun], list[str]] | None = None
    for runs in analysis.blocks.values():
        names = {method: _examples(runs[method]) for method in analysis.methods if method in runs}
        names = dict([(method, found) for method, found in names.items() if found][:MAX_METHODS])
        common = sorted(set.intersection(*names.values())) if names else []
        if common and (best is None or len(names) > best[0]):
            best = (
                len(names),
                _block(analysis, next(iter(runs.values()))),
                {m: runs[m] for m in names},
                common,
            )
    if best is None:
        return None
    _, block, runs, names_of_files = best
    files = names_of_files[:MAX_IMAGES]
    images = [unquote(Path(name).stem) for name in files]
    strips = {
        method: [_tiles(run.folder / run_folder.EXAMPLES / name) for name in files] for method, run in runs.items()
    }
    first = next(iter(strips.values()))
    rows = [
        pictures.side_by_side([tiles[0] for tiles in first], images),
        pictures.side_by_side([tiles[1] for tiles in first], ["truth"] * len(files)),
    ]
    for method, tiles_of in strips.items():
        values = analysis.image_values([runs[method]])
        titles = [f"{method}  {_text(analysis, values.get(name))}" for name in images]
        rows.append(pictures.side_by_side([tiles[3] for tiles in tiles_of], titles))
    legend = pictures.legend(rows[0].shape[1], _tolerance(next(iter(runs.values()))))
    return Sheet(pictures.stack_rows([*rows, legend]), block, images, list(strips))


def worst_sheet(analysis: Analysis) -> tuple[str, bytes] | None:
    """Return name and PNG of the first run of the best method that has a picture of its worst images."""
    for run in analysis.runs_of(analysis.methods[0]):
        for path in sorted((run.folder / run_folder.PANELS).glob("test_worst_*.png")):
            return run.name, path.read_bytes()
    return None


def as_png(picture: pictures.Image) -> bytes:
    """Encode a picture as PNG."""
    return bytes(cv2.imencode(".png", picture[..., ::-1])[1])


def _block(analysis: Analysis, run: TestedRun) -> str:
    if run.block == "-":
        return f"Seed {run.seed}"
    return f"{analysis.collection.block.capitalize()} {run.block}, seed {run.seed}"


def _examples(run: TestedRun) -> set[str]:
    folder = run.folder / run_folder.EXAMPLES
    return {path.name for path in folder.glob("*.png")} if folder.is_dir() else set()


def _tiles(path: Path) -> list[pictures.Image]:
    """Read photo, truth, probability and errors of one image, none taller than `MAX_HEIGHT`."""
    read = cv2.imread(str(path))
    if read is None or read.shape[1] % 4:
        raise RunError(f"{path} is not a picture that `cracklab test` writes: delete it, or test that run again")
    strip = np.ascontiguousarray(read[..., ::-1], np.uint8)
    if strip.shape[0] > MAX_HEIGHT:
        scale = MAX_HEIGHT / strip.shape[0]
        width = 4 * round(strip.shape[1] * scale / 4)
        strip = np.asarray(cv2.resize(strip, (width, MAX_HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    return [np.ascontiguousarray(tile) for tile in np.split(strip, 4, axis=1)]


def _text(analysis: Analysis, value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"{analysis.quantity.name} {value:.3g}"


def _tolerance(run: TestedRun) -> float:
    path = run.folder / run_folder.CONFIG
    config = flat(config_files.read(path)) if path.is_file() else {}
    return float(config.get("model.evaluation.tolerance_px", 2.0))
