"""Optimizers over the parameters of net and loss; a pretrained encoder may have its own learning rate."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer


def build_optimizer(
    factory: Callable[[Any], Optimizer],
    parameters: Iterable[nn.Parameter],
    encoder: nn.Module | None,
    encoder_lr_factor: float,
    lr: float | None = None,
) -> Optimizer:
    """Build an optimizer over one parameter group, or over two if the encoder has its own learning rate.

    Args:
        factory: from parameters or parameter groups to an optimizer.
        parameters: those of net and loss.
        encoder: of the net; None: it has none.
        encoder_lr_factor: learning rate of the encoder relative to the rest; 0: the encoder is frozen.
        lr: learning rate in place of that of the factory.

    Example:
        >>> from torch.optim import SGD
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 1, 1))
        >>> optimizer = build_optimizer(lambda groups: SGD(groups, lr=0.5), net.parameters(), net[0], encoder_lr_factor=0.1)
        >>> [group["lr"] for group in optimizer.param_groups]  # the rest, the encoder
        [0.5, 0.05]
    """
    if encoder is None or encoder_lr_factor in (0, 1):
        optimizer = factory([parameter for parameter in parameters if parameter.requires_grad])
    else:
        apart = {id(parameter) for parameter in encoder.parameters()}
        rest = [parameter for parameter in parameters if id(parameter) not in apart]
        optimizer = factory([{"params": rest}, {"params": list(encoder.parameters())}])
    if lr is not None:
        for group in optimizer.param_groups:
            group["lr"] = lr
    for group in optimizer.param_groups[1:]:
        group["lr"] *= encoder_lr_factor
    return optimizer
