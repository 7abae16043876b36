"""The seed of every step, derived and never stored."""

from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from cracklab.batch import Batch


def step_seed(seed: int, epoch: int, batch: int, rank: int) -> int:
    """Return a 63-bit seed for one batch on one process, mixed by NumPy's SeedSequence."""
    state = np.random.SeedSequence([seed, epoch, batch, rank]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


class SeedSteps(pl.Callback):
    """Seeds the random numbers of every step, such as dropout, from (seed, epoch, batch, rank).

    A resumed run therefore draws the same numbers as an uninterrupted one, without generator state in the checkpoint.

    Args:
        seed: the run's seed.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Seed the default generators of all devices."""
        torch.manual_seed(step_seed(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank))


def determinism(trainer: pl.Trainer) -> dict[str, Any]:
    """Return the determinism tier of a run, and the reason.

    `bitwise`: the same command gives the same weights on the same kind of machine. `statistical`: it gives the same
    samples and initial weights, but the order of sums on the device varies.
    """
    on_cpu = trainer.strategy.root_device.type == "cpu"
    deterministic = torch.are_deterministic_algorithms_enabled()
    tier = "bitwise" if on_cpu or deterministic else "statistical"
    reason = "CPU" if on_cpu else f"trainer.deterministic: {str(deterministic).lower()}"
    return {"tier": tier, "reason": reason}
