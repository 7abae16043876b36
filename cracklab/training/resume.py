"""Checks of the states that a resumed run restores from a checkpoint."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import lightning.pytorch as pl
from annotated_types import Ge, Le
from lightning_utilities.core.rank_zero import rank_zero_warn

from cracklab import plain_yaml, run_folder
from cracklab.bounds import PositiveFloat, Seed, UnitInterval
from cracklab.callbacks.resume import ENTRY, is_cut_short
from cracklab.checkpoint import Payload
from cracklab.checkpoint_checks import check_form, check_schedule, check_value
from cracklab.errors import RunError
from cracklab.module import CrackModule
from cracklab.schedules import is_replaced

SAMPLES = (
    *("seed", "batch_size", "repeat", "train_crop", "crack_rate", "augment", "channels"),
    *("crop", "resize", "resize_side", "interpolation", "pad", "padding", "coverage", "mean", "std"),
)
"""Keys of `data` that decide which samples a training sees, and in which order."""


def check_samples(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to resume a run with other samples than those that it began with, since the samples already seen would be unknown.

    Args:
        before: the group `data` of the configuration in the checkpoint; empty for a training in Python.
        now: that of the run.

    Raises:
        RunError: names the first key that differs.

    Example:
        >>> check_samples({"batch_size": 2}, {"batch_size": 4})
        Traceback (most recent call last):
        cracklab.errors.RunError: data.batch_size is 4, but the run began with 2: leave it as in RUN/config.yaml, or start a new run with --model.weights CHECKPOINT
    """
    for key in SAMPLES:
        if key in before and key in now and before[key] != now[key]:
            raise RunError(
                f"data.{key} is {now[key]}, but the run began with {before[key]}: leave it as in RUN/config.yaml, or start a "
                "new run with --model.weights CHECKPOINT"
            )


def check_scales(command: str, payload: Payload, path: str, now: Sequence[float]) -> None:
    """Refuse to resume a run at other scales than those of its best score so far, and warn of a threshold chosen at others.

    Args:
        command: `fit`, `validate` or `test`.
        payload: of the checkpoint; that of a training in Python keeps no scales.
        path: its file, for messages.
        now: `model.scales` of the command.

    Raises:
        RunError: in a resumed run.
    """
    model = payload.read_config(path).get("model")
    if model is None:
        return
    before = model.get("scales", [1.0])  # the only scale before there was such a key
    check_value(before, list[PositiveFloat], path, "model.scales of its configuration")
    if sorted(before) == sorted(now):
        return
    found = f"model.scales is {list(now)}, but"
    same = shlex.quote(
        f"--model.scales={json.dumps(before, separators=(',', ':'))}"
    )  # zsh takes brackets for a pattern
    if command == "fit":
        raise RunError(
            f"{found} the run began with {before}, whose best score does not compare: resume with {same}, or start a new run "
            f"with --model.weights {path}"
        )
    evaluation = model.get("evaluation")
    chosen = not isinstance(evaluation, Mapping) or isinstance(evaluation.get("threshold", "dice"), str)
    if chosen and len(payload.class_names or ()) <= 1:  # the most probable of several classes has no threshold
        rank_zero_warn(
            f"{found} the threshold {payload.threshold:g} of checkpoint {path} was chosen at {before}, and may be too low or too "
            f"high for these scores: {command} with {same}, or train at the scales that you want"
        )


def check_entry(content: Mapping[str, Any], path: str) -> None:
    """Check the entry that cracklab keeps for a resumed run, and that it does not resume between the batches of one step.

    A checkpoint does not keep the gradients of these batches. A run that stopped there is resumed from the first of them;
    any other has validated there, and would do so again.

    Args:
        content: of the checkpoint; those of older versions lack the entry.
        path: its file, for error messages.

    Raises:
        RunError: names what is damaged, or the checkpoint to resume from.

    """
    loops = content["loops"]["fit_loop"]
    entry, batches = content.get(ENTRY, {}), loops["epoch_loop.batch_progress"]["current"]["ready"]
    check_form(entry, {}, path, ENTRY)
    unfinished = entry.get("within_step", 0)
    check_value(unfinished, bool | Annotated[int, Ge(0), Le(batches)], path, f"{ENTRY}.within_step")
    if "validation" in entry:
        kept, name = entry["validation"], f"{ENTRY}.validation"
        check_form(kept, {"scores": {}}, path, name)
        check_form(kept["scores"], dict.fromkeys(kept["scores"], 0.0), path, f"{name}.scores")
        check_value(kept.get("threshold"), UnitInterval, path, f"{name}.threshold")
        check_value(kept.get("complete"), bool, path, f"{name}.complete")
    if unfinished and not is_cut_short(loops):
        last = Path(path).with_name(Path(run_folder.LAST).name)
        other = f"resume with --ckpt_path {last}, or " if last.is_file() and not last.samefile(path) else ""
        raise RunError(
            f"checkpoint {path} was written between the batches of one step, without their gradients: {other}start a new run "
            f"with --model.weights {path}"
        )


def seed_of(content: Mapping[str, Any], path: str) -> Any:
    """Return the seed of the run of a checkpoint; true, for one at random, if the checkpoint does not keep it.

    Raises:
        RunError: if the checkpoint is damaged.
    """
    seed = Payload.from_checkpoint(content, path).read_config(path).get("seed_everything", True)
    check_value(seed, bool | Seed, path, "seed_everything of its configuration")
    return seed


def check_states(command: str, content: Mapping[str, Any], path: str, trainer: pl.Trainer, module: CrackModule) -> None:
    """Check the states that Lightning and PyTorch restore without checking their form, and that samples and scales stay the same.

    Args:
        command: `fit`, `validate` or `test`.
        content: of the checkpoint.
        path: its file, for error messages.
        trainer: of the run.
        module: of the run.

    Raises:
        RunError: names the first state that differs.
    """
    loops = {"fit": trainer.fit_loop, "validate": trainer.validate_loop, "test": trainer.test_loop}
    name = f"{command}_loop"
    check_form(content["loops"].get(name), loops[command].state_dict(), path, f"loops.{name}")
    payload = Payload.from_checkpoint(content, path)
    check_scales(command, payload, path, module.scales)
    if command == "fit":
        check_entry(content, path)
        check_samples(payload.read_config(path).get("data", {}), plain_yaml.load(module.config)["data"])
        if is_replaced(trainer):
            return
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
