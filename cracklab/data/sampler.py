"""The order of samples, as a function of (seed, epoch) alone."""

from collections.abc import Iterator, Sized

import numpy as np
from torch.utils.data import DistributedSampler


class EpochSampler(DistributedSampler[tuple[int, int]]):
    """Hands out (epoch, index), so that a worker knows which sample it makes without any state of its own.

    The order is a permutation drawn from (seed, epoch); process r of R takes every R-th of it, from r on, so that step
    t sees the same set of samples on any number of processes. The last few are filled up from the beginning, so that
    all processes have the same number. Being a `DistributedSampler`, Lightning leaves it in place.

    Args:
        data: how many samples there are is its length.
        seed: the run's seed.
        shuffle: permute; else the order of `data`.
        num_replicas: number of processes.
        rank: this process.
    """

    def __init__(self, data: Sized, seed: int = 0, shuffle: bool = True, num_replicas: int = 1, rank: int = 0) -> None:
        super().__init__(data, num_replicas=num_replicas, rank=rank, shuffle=shuffle, seed=seed)  # type: ignore[arg-type]
        self.size = len(data)
        self.start = 0
        """How many of this process's samples a resumed run has seen in this epoch already."""

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch from its first sample; the same epoch again changes nothing."""
        if epoch != self.epoch:
            self.start = 0
        super().set_epoch(epoch)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        if self.shuffle:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(self.size)
        else:
            order = np.arange(self.size)
        order = np.resize(order, self.total_size)
        for index in order[self.rank :: self.num_replicas][self.start :].tolist():
            yield self.epoch, index
