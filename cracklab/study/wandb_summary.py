"""The summary of a study as a run of W&B, in the group of its runs."""

import dataclasses
import json
import os
from typing import Any

import yaml

from cracklab import run_folder
from cracklab.study.folder import FAST, SUMMARY, Study

FIGURES = ("n", "mean", "std", "low", "high")


def mirror(study: Study) -> None:
    """Log mean, deviation and interval of every metric, unless W&B is disabled; runs again go on in the same W&B run."""
    finished = study.finished()
    if not finished:
        return
    path = study.path(finished[0]) / run_folder.CONFIG
    config = yaml.load(path.read_text(encoding="utf-8"), Loader=FAST)
    if config["trainer"].get("logger") is not None or "disabled" in (
        os.environ.get("WANDB_MODE"),
        config["wandb"]["mode"],
    ):
        return
    from cracklab.loggers.wandb import (  # imports Lightning, which takes seconds
        WandbSettings,
        finish_wandb,
        wandb_logger,
    )

    settings = WandbSettings(**config["wandb"])
    settings = dataclasses.replace(settings, name=f"{study.folder.name}-summary", job_type="summary", checkpoint=False)
    logger = wandb_logger(settings, study.folder, config["name"])
    if logger is False:
        return
    import wandb

    content = json.loads((study.folder / f"{SUMMARY}.json").read_text(encoding="utf-8"))
    cells: list[dict[str, Any]] = content["cells"]
    axes = list(cells[0]["labels"])
    table = wandb.Table(columns=[*axes, "metric", *FIGURES])
    for cell in cells:
        for name, found in cell["metrics"].items():
            table.add_data(*(str(cell["labels"][axis]) for axis in axes), name, *(found[key] for key in FIGURES))
    experiment = logger.experiment
    experiment.log({"summary": table})
    numbers = {key: content[key] for key in ("runs", "finished")}
    if len(cells) == 1:
        metrics = cells[0]["metrics"].items()
        numbers |= {f"{name}/{key}": found[key] for name, found in metrics for key in FIGURES[1:]}
    experiment.summary.update({name: value for name, value in numbers.items() if value is not None})
    finish_wandb()
