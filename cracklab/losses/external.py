"""Losses of other libraries."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from cracklab.errors import ConfigError
from cracklab.losses.base import Loss


class External(Loss):
    """A `module(logits, target) -> scalar` of another library as a `Loss`.

    Args:
        module: the loss; it applies sigmoid or softmax itself.
        target: the form of the mask that it takes: `one_hot`, (B, C, H, W) in the logits' dtype, or `index`,
            (B, H, W) int64.

    Example:
        >>> import torch
        >>> External(nn.BCEWithLogitsLoss())(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # log 2
        tensor(0.6931)
    """

    def __init__(self, module: nn.Module, target: Literal["one_hot", "index"] = "one_hot") -> None:
        super().__init__()
        self.module, self.target = module, target

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the module's value.

        Raises:
            ConfigError: if a pixel has to be ignored, or the value is not a scalar tensor.
        """
        name = type(self.module).__name__
        if valid is not None and bool((valid == 0).any()):
            raise ConfigError(
                f"{name} cannot ignore pixels (ignore label or padding) and would learn from them: use a registered "
                "loss, or data without such pixels"
            )
        if self.target == "index":
            mask = mask[:, 0].long() if mask.shape[1] == 1 else mask.argmax(1)
        value = self.module(logits, mask)
        if not isinstance(value, Tensor) or value.ndim != 0:
            given = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            raise ConfigError(f"{name} returned {given}: expected a scalar tensor; set its reduction to 'mean'")
        return value
