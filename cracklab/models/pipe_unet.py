"""The U-Net of the pipe paper."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cracklab.models.layers import convolutions, initialise, padded


class PipeUNet(nn.Module):
    """U-Net of three levels for grey images, 1,735,361 parameters. Deopujari et al. 2025, "Parameters".

    From (B, in_channels, H, W) to logits (B, classes, H, W), any H and W. Two 3 x 3 convolutions with ReLU a block:
    64 64, 64 64, 128 128 down to a bridge 256 128, then 128 64, 64 64, 64 64, each after a 3 x 3 transposed convolution
    of stride 2, which keeps the number of channels, and the skip; a 3 x 3 convolution at the end. The transposed
    convolutions have a ReLU, as "all convolutional layers except the output". The paper is silent on the initialisation,
    which is He's here. Its sigmoid is left to the loss.

    Args:
        in_channels: channels of the image.
        classes: channels of the logits.
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
        """Logits (B, classes, H, W) of an image (B, in_channels, H, W)."""
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
