"""Exact resume: training continues with the first batch that the checkpoint has not seen."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, GradientAccumulationScheduler, StochasticWeightAveraging
from lightning.pytorch.loops.loop import _Loop

from cracklab.metrics.result import EvaluationResult

ENTRY = "cracklab_resume"
"""Entry of a checkpoint for a resumed run: `validation`, the last one of the epoch, and `within_step`, the number of batches of
a step that has not ended; a checkpoint does not keep their gradients."""

AT_EPOCH_START = (GradientAccumulationScheduler, StochasticWeightAveraging)
"""Callbacks of Lightning that set their state at the start of an epoch, and do not keep it in a checkpoint."""


class ExactResume(pl.Callback):
    """Points the training sampler at the first batch that the checkpoint has not seen.

    Lightning restores its counters but restarts the data at batch 0, and with prefetching workers at epoch 0. This
    callback therefore sets the position before the loader is made: the next epoch if the last batch was done, else the
    first batch after the last step. An epoch that a stop or the limit of steps has cut short therefore continues. Within an
    epoch, it restores the result of the epoch's last validation too, which tables and early stopping read at the end of the
    epoch. A run that early stopping has ended stays ended. Statistics of batch normalisation see the batches of an
    unfinished step twice; everything else is as without the stop.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Begin the next epoch after one that was done, and stop if early stopping had ended the run at this checkpoint.

        With `max_steps`, Lightning would end the finished epoch once more, with no batches, and skip the samples of the next.
        """
        loop = trainer.fit_loop
        if loop.restarted_on_epoch_end:
            loop.epoch_progress.increment_completed()
            _Loop.restarting.fset(loop, False)  # type: ignore[attr-defined]  # the setter of FitLoop ignores it
            loop.reset_restart_stage()
            loop.epoch_loop.reset_restart_stage()
        for callback in trainer.callbacks if loop.restarted_mid_epoch else ():  # type: ignore[attr-defined]  # set by Lightning's callback connector
            if isinstance(callback, AT_EPOCH_START):  # Lightning does not tell them that the epoch continues
                callback.on_train_epoch_start(trainer, pl_module)
        result: EvaluationResult | None = getattr(pl_module, "result", None)
        if loop.restarting and result is not None:
            restored = {name: torch.tensor(value, dtype=torch.float64) for name, value in result.scores.items()}
            trainer.callback_metrics.update(restored)
        for stopping in trainer.early_stopping_callbacks:
            check_new_values(stopping, pl_module)
            if has_stopped(stopping.state_dict()):
                trainer.should_stop = trainer.should_stop or bool(trainer.ckpt_path)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Keep the scores of the epoch's last validation, and the place in the step."""
        result: EvaluationResult | None = getattr(pl_module, "result", None)
        loop = trainer.fit_loop.epoch_loop
        batches = loop.batch_progress.current.ready % trainer.accumulate_grad_batches
        entry: dict[str, Any] = {"within_step": batches if loop._should_accumulate() else 0}
        if result is not None:
            scores = {name: float(value) for name, value in result.scores.items()}
            entry["validation"] = {"scores": scores, "threshold": result.threshold, "complete": result.complete}
        checkpoint[ENTRY] = entry

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Read the position from the state of Lightning's loops."""
        resume = getattr(getattr(trainer, "datamodule", None), "resume", None)
        if trainer.state.fn != "fit" or resume is None:
            return
        loops = checkpoint["loops"]["fit_loop"]
        epochs, batches = loops["epoch_progress"], loops["epoch_loop.batch_progress"]
        epochs_begun = epochs["current"]["ready"]
        if not epochs_begun:  # the checkpoint of a search for a learning rate or a batch size, before the first epoch
            return
        if batches["is_last_batch"]:
            resume(epoch=epochs_begun, batches=0)
            return
        entry = checkpoint.get(ENTRY, {})
        if is_cut_short(loops):  # Lightning reads the counters after this
            for counts in epochs.values():
                counts["processed"] = counts["completed"] = counts["ready"] - 1
            for name in ("total", "current"):
                batches[name] = dict.fromkeys(batches[name], batches[name]["ready"] - entry.get("within_step", 0))
        resume(epoch=epochs_begun - 1, batches=batches["current"]["ready"])
        if kept := entry.get("validation"):
            scores = {str(name): float(value) for name, value in kept["scores"].items()}
            threshold, complete = float(kept["threshold"]), bool(kept["complete"])
            pl_module.result = EvaluationResult("val", epochs_begun - 1, [], scores, threshold, complete)


def is_cut_short(loops: Mapping[str, Any]) -> bool:
    """Return whether the epoch of a checkpoint has ended before its last batch, by a stop or the limit of steps.

    Args:
        loops: state of Lightning's fit loop.
    """
    epoch = loops["epoch_progress"]["current"]
    ended: bool = epoch["processed"] == epoch["ready"]
    return ended and not loops["epoch_loop.batch_progress"]["is_last_batch"]


def has_stopped(state: Mapping[str, Any]) -> bool:
    """Return whether early stopping has ended a run.

    Args:
        state: of Lightning's callback; a state without its numbers has not.

    Example:
        >>> [has_stopped({"stopped_epoch": 0, "wait_count": waited, "patience": 3}) for waited in (2, 3, "x")]
        [False, True, False]
    """
    stopped, waited, patience = (state.get(name) for name in ("stopped_epoch", "wait_count", "patience"))
    if type(stopped) is not int or type(waited) is not int or type(patience) is not int:
        return False
    return stopped > 0 or waited >= max(1, patience)


def check_new_values(stopping: EarlyStopping, pl_module: Any) -> None:
    """Let early stopping count new values only.

    Lightning keeps the metrics of earlier epochs, and loses them in a resumed run. A score of a validation is therefore not
    checked in an epoch without one, and a mean over the training batches at the end of the epoch alone.

    Args:
        stopping: callback of the run.
        pl_module: a CrackModule; its `result` is that of a validation of this epoch.
    """
    if stopping.monitor.startswith("train/"):
        stopping._check_on_train_epoch_end = True
    if not stopping.monitor.startswith("val/"):
        return
    skip = stopping._should_skip_check

    def skip_without_score(trainer: pl.Trainer) -> bool:
        return skip(trainer) or pl_module.result is None or stopping.monitor not in pl_module.result.scores

    stopping._should_skip_check = skip_without_score  # type: ignore[method-assign]  # it has no hook
