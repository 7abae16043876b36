"""Random run folders in the format that fit and test write, for reports on many runs."""

import json
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import yaml

from cracklab import run_folder
from cracklab.files import write_json
from cracklab.metrics.aggregate import aggregate
from cracklab.metrics.overlap import BINARY
from cracklab.study.folder import PlannedRun, Study, StudyPlan

PIXELS = 96 * 96
FOLDS = 5


def write_run(
    folder: Path,
    loss: str,
    level: float,
    *,
    seed: int = 1,
    fold: int | None = None,
    options: Mapping[str, Any] | None = None,
    images: int = 30,
    epochs: int = 6,
    tested: bool = True,
    gpu: bool = False,
    examples: int = 0,
) -> Path:
    """Write a run whose images have an IoU of about `level`; a photo has three images, a fold every fifth photo."""
    rng = np.random.default_rng([seed, 99 if fold is None else fold, sum(map(ord, loss)), round(level * 1e6)])
    hard = np.random.default_rng(0).normal(0, 0.08, images)  # an image is equally hard for all methods
    folder.mkdir(parents=True)
    config = {
        "seed_everything": seed,
        "trainer": {"max_epochs": epochs, "precision": None},
        "model": {"loss": {"class_path": f"cracklab.losses.{loss}", "init_args": dict(options or {})}},
        "data": {"layout": {"class_path": "synthetic"}, "root": None, "fold": fold, "folds": FOLDS, "seed": seed},
        "name": folder.name,
    }
    (folder / run_folder.CONFIG).write_text(yaml.safe_dump(config))
    (folder / run_folder.ENVIRONMENT).write_text(json.dumps(environment(seed, gpu)))
    curve = level * (1 - np.exp(-np.arange(1, epochs + 1) / 2)) + rng.normal(0, 0.005, epochs)
    surface = np.where(np.arange(1, epochs + 1) % 2 == 0, 1, np.nan)
    pd.DataFrame(
        {
            "epoch": range(epochs), "step": range(10, 10 * epochs + 1, 10), "lr": 1e-3, "seconds": rng.uniform(9, 11, epochs),
            "train/loss": 1 - curve, "val/iou": curve, "val/boundary_iou": curve * 0.8 * surface, "val/hd95_px": 20 * (1 - curve) * surface,
        }
    ).to_csv(folder / run_folder.METRICS, index=False)  # fmt: skip
    costs = {
        "epoch": range(epochs),
        "images_per_s": 30.0,
        "epoch_s": rng.uniform(10, 12, epochs),
        "waiting_share": 0.01,
    }
    pd.DataFrame(costs | ({"gpu_peak_gb": rng.uniform(2, 3, epochs)} if gpu else {})).to_csv(
        folder / run_folder.RESOURCES, index=False
    )
    if not tested:
        return folder
    chosen = [i for i in range(images) if fold is None or (i // 3) % FOLDS == fold]
    rows = [
        row(f"wall{i // 3:03d}-{i % 3}", f"wall{i // 3:03d}", level + hard[i] + rng.normal(0, 0.03), rng)
        for i in chosen
    ]
    metrics = {f"test/{name}": value for name, value in aggregate(rows).items()} | {"test/threshold": 0.5}
    write_json(folder / run_folder.TEST_METRICS, dict(sorted(metrics.items())))
    protocol = {
        "protocol": "deepcrack_pooled",
        "what": "",
        "source": "",
        "warning": "",
        "values": {"f1": metrics["test/dice"]},
    }
    write_json(folder / run_folder.PROTOCOLS, {"deepcrack_pooled": protocol})
    pd.DataFrame(rows).to_csv(folder / run_folder.PER_IMAGE, index=False)
    for one in rows[:examples]:
        (folder / run_folder.EXAMPLES).mkdir(parents=True, exist_ok=True)
        strip = rng.integers(0, 255, (48, 4 * 48, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / run_folder.EXAMPLES / f"{one['id']}.png"), strip)
    return folder


def row(name: str, photo: str, iou: float, rng: np.random.Generator) -> dict[str, Any]:
    """Return the row of one image with about this IoU: counts, and the ratios computed from them."""
    truth = int(rng.integers(200, 500))
    tp = int(np.clip(iou, 0.01, 0.99) * truth)
    counts = (tp, (truth - tp) // 2, (truth - tp) - (truth - tp) // 2, PIXELS - 2 * truth)
    ratios = {name: float(ratio(*(np.array(count) for count in counts))) for name, ratio in BINARY.items()}
    counted = dict(zip(("tp", "fp", "fn", "tn"), counts, strict=True))
    surface = {"hd95_px": 20 * (1 - ratios["iou"]), "boundary_iou": 0.8 * ratios["iou"], "cl_dice": ratios["dice"]}
    return {"id": name, "group": photo, "loss": 1 - ratios["dice"], **ratios, **counted, **surface, "hd95_px_empty": 0}


def environment(seed: int, gpu: bool = False) -> dict[str, Any]:
    """Return the content of environment.json."""
    device = {
        "type": "cuda" if gpu else "cpu",
        "name": "A100" if gpu else "x86_64",
        "processes": 1,
        "precision": "32-true",
    }
    tier = {"tier": "bitwise", "reason": "trainer.deterministic: true" if gpu else "CPU"}
    packages = {"torch": "2.15.0", "lightning": "2.6.6", "numpy": "2.4.6", "scipy": "1.17.1"}
    return {
        "cracklab": "0.1.0", "python": "3.11.7", "platform": "Linux", "packages": packages, "git": None, "seed": seed,
        "determinism": tier, "device": device,
    }  # fmt: skip


def write_study(
    folder: Path,
    levels: Mapping[str, float],
    seeds: Iterable[int] = (1, 2),
    folds: int = FOLDS,
    leave_out: Iterable[str] = (),
    asked: Mapping[str, Any] | None = None,
    **more: Any,
) -> Path:
    """Write a study of losses x seeds x folds that was `asked` for; runs named in `leave_out` have not started."""
    rng = np.random.default_rng(7)
    easy = rng.normal(0, 0.02, folds)  # a fold is equally hard for all methods
    runs = []
    for loss, seed, fold in product(levels, seeds, range(folds)):
        name = f"loss={loss},seed_everything={seed},fold={fold}"
        labels = {"loss": loss, "seed_everything": seed, "fold": fold}
        runs.append(
            PlannedRun(name, f"runs/{name}", labels, {"model.loss": loss, "seed_everything": seed, "data.fold": fold})
        )
        level = levels[loss] + easy[fold] + rng.normal(0, 0.004)
        if name not in leave_out:
            write_run(folder / "runs" / name, loss, level, seed=seed, fold=fold, **more)
    axes = {"loss": list(levels), "seed_everything": list(seeds), "fold": list(range(folds))}
    Study(folder).write_plan(StudyPlan("study", {"arguments": [], **(asked or {})}, axes, runs), {})
    return folder


def write_grid(folder: Path, betas: Iterable[float], sigmas: Iterable[float], seeds: Iterable[int] = (1, 2)) -> Path:
    """Write a study over two numeric arguments of a loss; the best values are beta 2 and sigma 0.25."""
    runs = []
    for beta, sigma, seed in product(betas, sigmas, seeds):
        name = f"beta={beta},sigma={sigma},seed_everything={seed}"
        options = {"beta": beta, "sigma": sigma}
        keys = {f"model.loss.{key}": value for key, value in options.items()}
        runs.append(
            PlannedRun(name, f"runs/{name}", {**keys, "seed_everything": seed}, {**keys, "seed_everything": seed})
        )
        level = 0.7 - 0.02 * (beta - 2) ** 2 - 0.1 * (sigma - 0.25) ** 2 + 0.001 * seed
        write_run(folder / "runs" / name, "distance_aware", level, seed=seed, options=options)
    axes = {"model.loss.beta": list(betas), "model.loss.sigma": list(sigmas), "seed_everything": list(seeds)}
    Study(folder).write_plan(StudyPlan("study", {"arguments": []}, axes, runs), {})
    return folder
