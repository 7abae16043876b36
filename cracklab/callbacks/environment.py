"""environment.json: the versions, seeds and device of a run."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from jsonargparse import Namespace

from cracklab import run_folder
from cracklab.callbacks.seed import determinism
from cracklab.files import write_json
from cracklab.version import __version__

PACKAGES = (
    "torch", "torchvision", "lightning", "torchmetrics", "segmentation-models-pytorch", "timm", "monai", "albumentations",
    "opencv-python-headless", "scipy", "scikit-image", "numpy", "pandas", "jsonargparse", "wandb",
)  # fmt: skip


def write_environment(
    path: Path, trainer: pl.Trainer, seed: int, loss: dict[str, float], planned: Sequence[str] = ()
) -> None:
    """Write versions, seeds, device, git revision and determinism tier, and the settings derived from the data.

    Args:
        path: the file.
        trainer: of the run.
        seed: of the run.
        loss: the parameters that the loss derived from the data.
        planned: keys of the settings in config.yaml that followed from the data, since they were not given.
    """
    write_json(
        path,
        {
            "cracklab": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": {name: _version(name) for name in PACKAGES},
            "command": ["cracklab", *sys.argv[1:]],
            "git": git_revision(),
            "seed": seed,
            "seeds_of_a_step": "NumPy SeedSequence of (seed, epoch, batch, rank)",
            "loss": loss,
            "planned": list(planned),
            "determinism": determinism(trainer),
            "device": device(trainer),
        },
    )


def planned_before(checkpoint: str | Path, config: Mapping[str, Any], now: Namespace) -> list[str]:
    """Return the keys of the settings that followed from the data when a run began, and that a resumed run keeps.

    They are in environment.json beside the checkpoint; a configuration does not tell them from those that were given.

    Args:
        checkpoint: the file that the run is resumed from.
        config: the configuration in it; empty for a training in Python.
        now: that of the resumed run.
    """
    run = run_folder.run_of(checkpoint)
    try:
        environment = json.loads((run / run_folder.ENVIRONMENT).read_text(encoding="utf-8")) if run else {}
        groups = {key: key.partition(".") for key in environment.get("planned", ())}
        return [key for key, (group, _, name) in groups.items() if key in now and config[group].get(name) == now[key]]
    except (OSError, ValueError, AttributeError, TypeError, LookupError):  # missing or damaged: only a report reads it
        return []


def device(trainer: pl.Trainer) -> dict[str, Any]:
    """Return the device, its processes and its precision."""
    root = trainer.strategy.root_device
    name = torch.cuda.get_device_name(root) if root.type == "cuda" else platform.processor() or platform.machine()
    return {
        "type": root.type,
        "name": name,
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "precision": str(trainer.precision),
        "cuda": torch.version.cuda if root.type == "cuda" else None,
    }


def git_revision() -> dict[str, Any] | None:
    """Return the git revision of the working folder and whether files are changed; None outside a repository."""
    try:
        revision = _git("rev-parse", "HEAD")
        return {"revision": revision, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, timeout=10).stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
