"""Sends loggers the configuration of a run, and W&B its axes, best values and the checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml

from cracklab import run_folder
from cracklab.callbacks.resources import KEYS
from cracklab.checkpoint import Payload, read_checkpoint
from cracklab.loggers.identity import Config, config_of_run, settings_of
from cracklab.loggers.media import wandb_loggers
from cracklab.metrics.overlap import BINARY
from cracklab.metrics.protocols import run_protocols
from cracklab.metrics.result import EvaluationResult
from cracklab.metrics.scores import SCORES


class Dashboard(pl.Callback):
    """Logs the resolved configuration to every logger, and axes, best values, protocols and the best checkpoint to W&B.

    Args:
        checkpoint: whether best.ckpt becomes an artifact of the W&B run; an offline run refers to the file.
    """

    def __init__(self, checkpoint: bool = True) -> None:
        self.checkpoint = checkpoint
        self._best: dict[str, float] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Log the configuration, and define the axes and summaries of W&B."""
        self._log_config(trainer, yaml.safe_load(pl_module.config))
        for logger in wandb_loggers(trainer):
            experiment = logger.experiment
            experiment.define_metric("epoch", hidden=True)
            for name in ("train/loss", *KEYS):
                experiment.define_metric(name, step_metric="epoch")
            experiment.define_metric("train/loss/*", step_metric="epoch")
            for name, summary in summaries(pl_module.evaluation.thresholds).items():
                experiment.define_metric(f"val/{name}", step_metric="epoch", summary=summary)

    def on_test_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Log the configuration of the run that is tested."""
        self._log_config(trainer, config_of_run(Path(trainer.default_root_dir), pl_module.config))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Log the configuration of the run that `cracklab validate` scores."""
        if trainer.state.fn == "validate":
            self._log_config(trainer, config_of_run(Path(trainer.default_root_dir), pl_module.config))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Log the best value so far; the checkpoint of the previous epoch has been written by now."""
        self._log_best(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Log the best value and the checkpoint that reached it."""
        self._log_best(trainer, pl_module)
        path = Path(trainer.default_root_dir) / run_folder.BEST
        if not self.checkpoint or not trainer.is_global_zero or not path.is_file():
            return
        for logger in wandb_loggers(trainer):
            import wandb

            content = read_checkpoint(path)
            metadata = {
                "epoch": content["epoch"],
                "threshold": Payload.from_checkpoint(content, path).threshold,
                **overall(self._best),
            }
            artifact = wandb.Artifact(f"checkpoint-{logger.experiment.id}", "model", metadata=metadata)
            artifact.add_file(str(path), policy="immutable")  # no copy
            logger.experiment.log_artifact(artifact, aliases=["best"])

    def on_test_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Write the values of all protocols to the summary."""
        result: EvaluationResult = pl_module.result
        for logger in wandb_loggers(trainer):
            for name, found in run_protocols(result.rows, result.native_rows).items():
                for key, value in found.get("values", {}).items():
                    logger.experiment.summary[f"protocols/{name}/{key}"] = value

    def _log_config(self, trainer: pl.Trainer, config: Config | None) -> None:
        """Log a few settings by short names, by which tables of runs group and filter, and the whole below `config`."""
        if config:
            for logger in trainer.loggers:
                logger.log_hyperparams({**settings_of(config), "config": config})

    def _log_best(self, trainer: pl.Trainer, pl_module: Any) -> None:
        checkpoints: Any = trainer.checkpoint_callback
        if checkpoints is None or checkpoints.best is None:
            return
        result: EvaluationResult | None = pl_module.result
        # an epoch may have several validations, and the last need not be the best
        if result is not None and result.metrics.get(checkpoints.monitor) == checkpoints.best:
            self._best = {f"best/{name}": value for name, value in result.scores.items()}
        values = {f"best/{checkpoints.monitor}": checkpoints.best, "best/epoch": checkpoints.best_epoch}
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)
        for logger in wandb_loggers(trainer):
            logger.experiment.summary.update(self._best)


def overall(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the scores without those of single classes (`best/val/iou/car`): W&B allows 100 metadata entries per artifact."""
    return {name: value for name, value in scores.items() if name.count("/") == "best/val/iou".count("/")}


def summaries(thresholds: list[float]) -> dict[str, str]:
    """Return how W&B summarises each validation score: `max`, `min` or `last`."""
    kinds = {"higher": "max", "lower": "min", "one": "last"}
    found = {name: kinds[score.better] for name, score in SCORES.items()} | {"loss": "min", "average_precision": "max"}
    for name in BINARY:
        found[f"{name}_image"] = kinds[SCORES[name].better]
        for threshold in thresholds:
            found[f"{name}@{threshold:g}"] = found[f"{name}_image@{threshold:g}"] = kinds[SCORES[name].better]
    return found
