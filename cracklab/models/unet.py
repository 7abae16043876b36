"""UNet: the plain U-Net."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from cracklab.models.layers import convolutions, initialise, padded


class UNet(nn.Module):
    """U-Net with two 3 x 3 convolutions and ReLUs per level, max-pooling down, 2 x 2 transposed convolutions up.

    From (B, in_channels, H, W) to logits (B, classes, H, W), any H and W. Ronneberger, Fischer, Brox 2015, with padded
    convolutions. The default is the net of Krasniqi and Shehu 2026, section 4.2: four levels of 64, 128, 256 and 512
    channels. The paper names no deeper level, no normalisation and no initialisation, for which this net uses
    Ronneberger's. With `dropout` 0.3 it is the net of Ozcan 2024, with dropout in encoder and decoder.

    Args:
        in_channels: channels of the image.
        classes: channels of the logits.
        widths: channels of each level; 64, 128, 256, 512, 1024 is the net of 2015.
        dropout: fraction of the activations dropped at the end of each level.
        batch_norm: batch normalisation after each convolution.

    Example:
        >>> UNet(widths=(4, 8))(torch.zeros(1, 3, 37, 50)).shape
        torch.Size([1, 1, 37, 50])
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 1,
        widths: Sequence[int] = (64, 128, 256, 512),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()

        def level(channels: int, width: int) -> nn.Sequential:
            block = convolutions(channels, width, width, batch_norm=batch_norm)
            return block.append(nn.Dropout(dropout)) if dropout else block

        self.encoder = nn.ModuleList(map(level, (in_channels, *widths[:-1]), widths))
        rising = widths[::-1]
        self.up = nn.ModuleList(map(lambda lower, width: nn.ConvTranspose2d(lower, width, 2, 2), rising, rising[1:]))
        self.decoder = nn.ModuleList(level(2 * width, width) for width in rising[1:])
        self.head = nn.Conv2d(widths[0], classes, 1)
        self.multiple = 2 ** (len(widths) - 1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, classes, H, W) of an image (B, in_channels, H, W)."""
        height, width = image.shape[-2:]
        x = padded(image, self.multiple)
        skips: list[Tensor] = []
        for level in self.encoder:
            x = level(functional.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        for up, level in zip(self.up, self.decoder, strict=True):
            x = level(torch.cat([skips.pop(), up(x)], dim=1))
        logits: Tensor = self.head(x)
        return logits[..., :height, :width]
