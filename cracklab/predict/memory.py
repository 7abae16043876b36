"""Memory that a net needs for a tile."""

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives its base class no types
    """A context that counts the bytes of all tensors that are made inside of it and still in use.

    Attributes:
        peak: largest number of bytes at one time.

    Example:
        >>> import torch
        >>> with PeakMemory() as memory:
        ...     small = torch.zeros(10) + torch.zeros(10)  # three at one time, of 40 bytes each
        ...     large = torch.zeros(30)
        >>> memory.peak
        160
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.peak = self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count the storage of its results."""
        results = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(results):
            if not isinstance(tensor, Tensor):
                continue
            try:
                storage = tensor.untyped_storage()
            except NotImplementedError:  # sparse, and formats of libraries: rare within a net, and small
                continue
            if (key := storage._cdata) not in self._known:
                self._known.add(key)
                self._now += storage.nbytes()
                self.peak = max(self.peak, self._now)
                weakref.finalize(storage, self._freed, key, storage.nbytes())
        return results

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size
