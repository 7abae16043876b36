"""The callbacks, the logger and the run folder that every run adds to Lightning's trainer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from jsonargparse import Namespace
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning_utilities.core.rank_zero import rank_zero_only

from cracklab.callbacks import (
    Checkpoints,
    Curves,
    Dashboard,
    Divergence,
    ExactResume,
    KFold,
    Progress,
    Resources,
    SeedSteps,
    Tables,
)
from cracklab.callbacks.checkpoints import AtomicCheckpointIO
from cracklab.callbacks.run_ends import RunFolderGuard, stopped
from cracklab.callbacks.sigterm import StopTogether
from cracklab.errors import CracklabError
from cracklab.loggers.identity import identity
from cracklab.loggers.wandb import WandbSettings, wandb_logger


def callbacks_of_run(
    config: Namespace, keyed: Sequence[Callback], guard: RunFolderGuard, fitting: bool, logged: bool
) -> list[Callback]:
    """Return the callbacks of a run, those of every run first.

    Args:
        config: the resolved configuration.
        keyed: callbacks that have a key of their own in the configuration.
        guard: of the run folder.
        fitting: whether the run trains.
        logged: whether it has a logger.
    """
    trainer = config.trainer
    if trainer.limit_val_batches == 0:
        keyed = [callback for callback in keyed if not isinstance(callback, EarlyStopping)]
    callbacks: list[Callback] = [guard, Divergence()]  # first, since they stop the others from writing
    callbacks += [StopTogether(), ExactResume(), SeedSteps(config.data.seed), Tables(), Resources(), Curves()]
    if config.data.fold is not None:
        callbacks.append(KFold(config.data.fold, config.data.folds))
    if trainer.enable_progress_bar is not False:
        callbacks.append(Progress())
    if logged:
        callbacks.append(Dashboard(config.wandb.checkpoint))
        if fitting:
            callbacks.append(LearningRateMonitor("step"))
    if trainer.enable_checkpointing is False:
        keyed = [callback for callback in keyed if not isinstance(callback, Checkpoints)]
    return [*callbacks, *keyed]


def in_run_folder(trainer: Namespace, folder: Path, wandb: WandbSettings, command: str, config: str) -> dict[str, Any]:
    """Return the arguments of the trainer, with loggers and checkpoints in the run folder.

    Args:
        trainer: the arguments that the configuration gives.
        folder: the run folder.
        wandb: settings of the default logger.
        command: `fit`, `validate` or `test`.
        config: the resolved configuration, YAML.
    """
    logger = False if trainer.fast_dev_run else trainer.logger
    if logger is None:
        default = identity(yaml.safe_load(config), command)
        logger = wandb_logger(wandb, folder, default) if is_first_process() else False
    for one in as_list(logger or None):
        if hasattr(one, "use_run_folder"):
            one.use_run_folder(folder)
    return {
        **trainer,
        "logger": logger,
        "default_root_dir": str(folder),
        "enable_model_summary": False,  # RunStart prints one line instead
        "plugins": [*as_list(trainer.plugins), AtomicCheckpointIO()],
    }


def is_first_process() -> bool:
    """Return whether this is the first process of the run, which alone writes."""
    return not getattr(rank_zero_only, "rank", 0)


def as_list(given: Any) -> list[Any]:
    """Return one thing, several or none as a list.

    Example:
        >>> as_list(None), as_list("a"), as_list(["a", "b"])
        ([], ['a'], ['a', 'b'])
    """
    return given if isinstance(given, list) else [] if given is None else [given]


@contextmanager
def stops_in_one_line(trainer: pl.Trainer) -> Iterator[None]:
    """Let a run that SIGTERM or Ctrl-C stops end with the command that resumes it, instead of a traceback.

    Raises:
        SIGTERMException: after SIGTERM.
        KeyboardInterrupt: after Ctrl-C, upon which Lightning ends the process without a message.
    """
    try:
        yield
    except BaseException as end:
        # an error of a process that prepares samples follows from the signal, if it got it first
        if trainer.received_sigterm and not isinstance(end, CracklabError | OSError):
            raise SIGTERMException(stopped(trainer)) from None
        if isinstance(end, SystemExit) and trainer.interrupted:
            raise KeyboardInterrupt(stopped(trainer)) from None
        raise
