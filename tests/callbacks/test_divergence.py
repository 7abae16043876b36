"""When a step without a finite loss stops training; the real runs are in tests/test_run_faults.py."""

from types import SimpleNamespace

import pytest
import torch

from cracklab.callbacks.divergence import MAX_SKIPPED, Divergence
from cracklab.errors import RunFailure


def trainer(tmp_path, scaler):
    """A trainer on one process; half precision with a scaler needs a GPU."""
    return SimpleNamespace(
        global_step=0,
        current_epoch=0,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.5}])],
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
        precision_plugin=SimpleNamespace(scaler=scaler),
        default_root_dir=str(tmp_path),
    )


def step(callback, trainer, loss):
    callback.on_before_backward(trainer, SimpleNamespace(loss=SimpleNamespace(terms={})), torch.tensor(loss))
    trainer.global_step += 1
    callback.on_train_batch_start(trainer, None, None, 0)


def test_the_first_loss_that_is_not_finite_stops_training(tmp_path):
    callback, one = Divergence(), trainer(tmp_path, None)
    step(callback, one, 0.1)
    with pytest.raises(RunFailure, match=r"the loss is inf at step 2 in epoch 1, with the learning rate 0\.5"):
        step(callback, one, float("inf"))


def test_successive_losses_in_half_precision_may_be_skipped_up_to_a_number(tmp_path):
    callback, one = Divergence(), trainer(tmp_path, "a scaler")
    for _ in range(3):
        for _ in range(MAX_SKIPPED):
            step(callback, one, float("nan"))
        step(callback, one, 0.1)
    for _ in range(MAX_SKIPPED):
        step(callback, one, float("nan"))
    with pytest.raises(RunFailure, match="the loss is nan"):
        step(callback, one, float("nan"))
