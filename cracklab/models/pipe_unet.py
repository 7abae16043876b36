"""PipeUNet: the U-Net of the paper on pipes."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cracklab.models.layers import convolutions, initialise, padded


class PipeUNet(nn.Module):
    """U-Net of three levels for grey images, 1,735,361 parameters. Deopujari et al. 2025, "Parameters".

    From (B, in_channels, H, W) to logits (B, classes, H, W), any H and W. A block is two 3 x 3 convolutions with ReLU. Their
    channels are 64 64, 64 64 and 128 128 down, 256 128 in the bridge, and 128 64, 64 64 and 64 64 up. Each block up follows
    a 3 x 3 transposed convolution of stride 2, which keeps the number of channels, and the skip. A 3 x 3 convolution
    ends the net. The transposed convolutions have a ReLU, as "all convolutional layers except the output". The paper does
    not state the initialisation; this net uses He's. The paper's sigmoid is part of the loss here.

    Args:
        in_channels: channels of the image.
        classes: channels of the logits.

    Example:
        >>> sum(parameter.numel() for parameter in PipeUNet().parameters())
        1735361
    """

    def __init__(self, in_channels: int = 1, classes: int = 1) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            [convolutions(in_channels, 64, 64), convolutions(64, 64, 64), convolutions(64, 128, 128)]
        )
        self.bridge = convolutions(128, 256, 128)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1) for width in (128, 64, 64)
        )
        self.decoder = nn.ModuleList([convolutions(256, 128, 64), convolutions(128, 64, 64), convolutions(128, 64, 64)])
        self.head = nn.Conv2d(64, classes, 3, padding=1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, classes, H, W) of an image (B, in_channels, H, W)."""
        height, width = image.shape[-2:]
        x = padded(image, 8)
        skips = []
        for block in self.encoder:
            skips.append(block(x))
            x = functional.max_pool2d(skips[-1], 2)
        x = self.bridge(x)
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([functional.relu(up(x)), skips.pop()], dim=1))
        logits: Tensor = self.head(x)
        return logits[..., :height, :width]
