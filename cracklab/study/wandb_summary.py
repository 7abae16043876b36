"""The summary of a study as a W&B run, in the group of its runs."""

import dataclasses
import json
from typing import Any

from cracklab import config_files, run_folder
from cracklab.study.aggregate import STATISTICS
from cracklab.study.folder import SUMMARY, Study


def log_summary(study: Study) -> None:
    """Log the statistics of every metric; a second call continues the same W&B run.

    Nothing is logged if W&B is disabled, or if the runs have another logger.

    Args:
        study: a study whose tables have been written.
    """
    finished = study.finished()
    if not finished:
        return
    path = study.path(finished[0]) / run_folder.CONFIG
    config = config_files.read(path)
    if config["trainer"].get("logger") is not None:
        return
    # a finished study, which logs nothing, starts faster without this import
    from cracklab.loggers.identity import MAX_NAME, MAX_TAG, VERSION_TAG, Identity
    from cracklab.loggers.wandb import WandbSettings, open_run, wandb_logger, wandb_session

    name, job_type = f"{study.folder.name} summary"[-MAX_NAME:], "summary"
    settings = dataclasses.replace(WandbSettings(**config["wandb"]), name=name, job_type=job_type, checkpoint=False)
    with wandb_session():
        default = Identity(name, config["name"][:MAX_TAG], job_type, (VERSION_TAG,))
        logger = wandb_logger(settings, study.folder, default)
        if logger is False:
            return
        import wandb

        content = json.loads((study.folder / f"{SUMMARY}.json").read_text(encoding="utf-8"))
        cells: list[dict[str, Any]] = content["cells"]
        axes = list(cells[0]["labels"])
        table = wandb.Table(columns=[*axes, "metric", *STATISTICS])
        for cell in cells:
            labels = [str(cell["labels"][axis]) for axis in axes]
            for name, statistics in cell["metrics"].items():
                table.add_data(*labels, name, *(statistics[key] for key in STATISTICS))
        open_run(logger)
        experiment = logger.experiment
        experiment.log({"summary": table})
        numbers = {key: content[key] for key in ("runs", "finished")}
        if len(cells) == 1:
            metrics = cells[0]["metrics"].items()
            numbers |= {f"{name}/{key}": values[key] for name, values in metrics for key in STATISTICS if key != "n"}
        experiment.summary.update({name: value for name, value in numbers.items() if value is not None})
