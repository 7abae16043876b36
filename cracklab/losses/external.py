"""A loss of another library, by its class path."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from cracklab.errors import ConfigError
from cracklab.losses.base import Loss


class External(Loss):
    """Any `module(logits, target) -> scalar` on the contract of Loss.

    Args:
        module: the other library's loss; it applies sigmoid or softmax itself, as its own options say.
        target: `one_hot`, (B, C, H, W) in the logits' dtype, or `index`, (B, H, W) int64.
    """

    def __init__(self, module: nn.Module, target: Literal["one_hot", "index"] = "one_hot") -> None:
        super().__init__()
        self.module, self.target = module, target

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The module's value.

        Raises:
            ConfigError: where a pixel does not count, or the value is not a scalar.
        """
        if valid is not None and bool((valid == 0).any()):
            raise ConfigError(
                f"{type(self.module).__name__} cannot leave out the pixels that do not count (ignore label or padding),"
                " and would learn from them: use a registered loss, or data without them"
            )
        if self.target == "index":
            mask = mask[:, 0].long() if mask.shape[1] == 1 else mask.argmax(1)
        value = self.module(logits, mask)
        if not isinstance(value, Tensor) or value.ndim != 0:
            given = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            name = type(self.module).__name__
            raise ConfigError(f"{name} gave {given}: expected a scalar tensor; set its reduction to 'mean'")
        return value
