"""What the nets have in common."""

from itertools import pairwise
from math import prod, sqrt

from torch import Tensor, nn
from torch.nn import functional


def convolutions(*channels: int, batch_norm: bool = False) -> nn.Sequential:
    """3 x 3 convolutions from one number of channels to the next, each with a ReLU, and batch normalisation between.

    Args:
        channels: of the input, and of each convolution.
        batch_norm: normalise before each ReLU; the convolutions lose their bias, which that would cancel.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers.append(nn.Conv2d(before, after, 3, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def padded(image: Tensor, multiple: int) -> Tensor:
    """An image (B, C, H, W) whose height and width are multiples of a number, by edge pixels at the bottom and right."""
    # not -side % multiple, which torch.compile cannot analyse for sizes that change
    down, right = ((multiple - side % multiple) % multiple for side in image.shape[-2:])
    return functional.pad(image, (0, right, 0, down), mode="replicate")


def initialise(net: nn.Module) -> None:
    """Normal weights of variance 2 / fan-in, no bias: signals keep their size through ReLUs. He et al. 2015, eq. 10.

    A pixel of a transposed convolution of stride s sees a share 1 / s^2 of the kernel.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = module.in_channels // module.groups * prod(module.kernel_size)
            if isinstance(module, nn.ConvTranspose2d):
                fan_in //= prod(module.stride)
            nn.init.normal_(module.weight, std=sqrt(2 / fan_in))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
