"""Building blocks that the nets share."""

from itertools import pairwise
from math import prod, sqrt

from torch import Tensor, nn
from torch.nn import functional


def convolutions(*channels: int, batch_norm: bool = False) -> nn.Sequential:
    """Return 3 x 3 convolutions, each followed by a ReLU.

    Args:
        channels: channels of the input, then of each convolution.
        batch_norm: normalise before each ReLU; the convolutions then have no bias, which that would cancel.

    Example:
        >>> [type(layer).__name__ for layer in convolutions(3, 64, 64)]
        ['Conv2d', 'ReLU', 'Conv2d', 'ReLU']
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers.append(nn.Conv2d(before, after, 3, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def padded(image: Tensor, multiple: int) -> Tensor:
    """Return an image (B, C, H, W) padded to multiples in height and width, with its edge at the bottom and right.

    Example:
        >>> import torch
        >>> padded(torch.zeros(1, 3, 37, 64), multiple=16).shape
        torch.Size([1, 3, 48, 64])
    """
    # not -side % multiple, which torch.compile cannot analyse for variable sizes
    down, right = ((multiple - side % multiple) % multiple for side in image.shape[-2:])
    return functional.pad(image, (0, right, 0, down), mode="replicate")


def initialise(net: nn.Module) -> None:
    """Initialise convolutions with normal weights of variance 2 / fan-in and no bias, for ReLUs. He et al. 2015, eq. 10.

    An output pixel of a transposed convolution of stride s uses 1 / s^2 of the kernel, which its fan-in takes into
    account.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> layer = nn.Conv2d(8, 256, 3)
        >>> initialise(layer)
        >>> layer.bias.any().item(), round(layer.weight.var().item(), 3)  # 2 / (8 * 3 * 3) = 0.028
        (False, 0.028)
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = module.in_channels // module.groups * prod(module.kernel_size)
            if isinstance(module, nn.ConvTranspose2d):
                fan_in //= prod(module.stride)
            nn.init.normal_(module.weight, std=sqrt(2 / fan_in))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
