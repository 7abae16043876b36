"""Checks of the states that a resumed run restores from a checkpoint."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl

from cracklab.checkpoint_checks import check_form, check_schedule
from cracklab.errors import RunError
from cracklab.module import CrackModule


def check_states(command: str, content: Mapping[str, Any], path: str, trainer: pl.Trainer, module: CrackModule) -> None:
    """Check the states that Lightning and PyTorch restore without a look at their form.

    Args:
        command: `fit`, `validate` or `test`.
        content: what the checkpoint holds.
        path: its file, for error messages.
        trainer: of the run.
        module: of the run.

    Raises:
        RunError: names the first state that differs.
    """
    loops = {"fit": trainer.fit_loop, "validate": trainer.validate_loop, "test": trainer.test_loop}
    name = f"{command}_loop"
    check_form(content["loops"].get(name), loops[command].state_dict(), path, f"loops.{name}")
    if command == "fit":
        schedule = module.schedule(module.build_optimizer(), 1000)  # any number of steps: only the form counts
        for number, state in enumerate(content["lr_schedulers"]):
            check_schedule(state, schedule.state_dict(), path, f"lr_schedulers.{number}")


@contextmanager
def resume_errors(trainer: pl.Trainer) -> Iterator[None]:
    """Turn an error while a checkpoint is being restored into one message; other errors pass.

    Raises:
        RunError: names the checkpoint and the remedy.
    """
    try:
        yield
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if not trainer._checkpoint_connector._loaded_checkpoint:  # emptied when all of it is restored
            raise
        raise unfit(error, f"checkpoint {trainer.ckpt_path}") from error


def unfit(error: Exception, subject: str) -> RunError:
    """Return the error of a checkpoint that the configuration cannot resume."""
    said = " ".join(str(error).split())[:300]
    return RunError(
        f"{subject} cannot be resumed with this configuration ({type(error).__name__}: {said}): use RUN/config.yaml of its own run"
    )
