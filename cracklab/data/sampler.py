"""The order of samples as a function of (seed, epoch) alone."""

from collections.abc import Iterator, Sized

import numpy as np
from torch.utils.data import DistributedSampler


class EpochSampler(DistributedSampler[tuple[int, int]]):
    """Yields (epoch, index), so that a worker knows which sample to make without any state of its own.

    The order is a permutation drawn from (seed, epoch). Process r of R takes every R-th index, starting with number r, so
    each step sees the same set of samples for any number of processes. The first indices are repeated at the end, so that
    all processes get the same number. Lightning does not replace the sampler, because it is a `DistributedSampler`.

    Args:
        data: the data set; only its length is used.
        seed: the run's seed.
        shuffle: whether to permute; otherwise the order is that of `data`.
        num_replicas: number of processes.
        rank: number of this process.

    Example:
        >>> sampler = EpochSampler(range(5), shuffle=False, num_replicas=2, rank=0)
        >>> sampler.set_epoch(3)
        >>> list(sampler)  # process 1 gets 1, 3, and 0 again
        [(3, 0), (3, 2), (3, 4)]
    """

    def __init__(self, data: Sized, seed: int = 0, shuffle: bool = True, num_replicas: int = 1, rank: int = 0) -> None:
        # torch reads the length of the data alone
        super().__init__(data, num_replicas=num_replicas, rank=rank, shuffle=shuffle, seed=seed)  # type: ignore[arg-type]  # a Dataset is asked for
        self.size = len(data)
        self.start = 0
        """Number of this process's samples to skip in this epoch, because a resumed run has already seen them."""

    def set_epoch(self, epoch: int) -> None:
        """Start another epoch at its first sample; setting the current epoch again changes nothing."""
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
