"""CrackSeg: any pretrained encoder with a decoder of residual blocks."""

from collections.abc import Sequence

import torch
from segmentation_models_pytorch.encoders import get_encoder
from torch import Tensor, nn
from torch.nn import functional

from cracklab.models.layers import convolutions, initialise, padded


class Residual(nn.Module):
    """A residual block, x + f(x), where f is two 3 x 3 convolutions with ReLU, without normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolutions = convolutions(width, width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return x + f(x), with the channels of x."""
        change: Tensor = self.convolutions(x)
        return x + change


class CrackSeg(nn.Module):
    """Any encoder of segmentation-models-pytorch with the decoder of Koenig et al. 2021 ("OED").

    From (B, in_channels, H, W) to logits (B, classes, H, W), any H and W. A level doubles the size of its input by nearest
    neighbours, concatenates the encoder's skip, and applies a 3 x 3 convolution with batch normalisation and ReLU, then
    two residual blocks. The last level, at full size, applies two such convolutions instead, and its skip is two more of
    the image itself. Koenig trains outputs of all levels (deep supervision); this net has one output.

    Args:
        encoder_name: encoder of segmentation-models-pytorch, or `tu-NAME` for one of timm; Koenig's is `efficientnet-b5`.
        encoder_weights: `imagenet`, or a file if the net is built from a configuration; None: random.
        in_channels: channels of the image.
        classes: channels of the logits.
        widths: channels of the five levels, from 1/16 to full size.
    """

    def __init__(
        self,
        encoder_name: str = "resnet34",
        encoder_weights: str | None = None,
        in_channels: int = 3,
        classes: int = 1,
        widths: Sequence[int] = (256, 128, 64, 32, 16),
    ) -> None:
        super().__init__()
        *inner, first = widths
        self.stem = convolutions(in_channels, first, first, batch_norm=True)
        self.encoder = get_encoder(encoder_name, in_channels=in_channels, weights=encoder_weights)
        deepest, *skips = self.encoder.out_channels[:0:-1]
        levels = [
            nn.Sequential(convolutions(below + skip, width, batch_norm=True), Residual(width), Residual(width))
            for below, skip, width in zip((deepest, *inner[:-1]), skips, inner, strict=True)
        ]
        self.decoder = nn.ModuleList([*levels, convolutions(inner[-1] + first, first, first, batch_norm=True)])
        self.head = nn.Conv2d(first, classes, 3, padding=1)
        for part in (self.stem, self.decoder, self.head):
            initialise(part)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, classes, H, W) of an image (B, in_channels, H, W)."""
        height, width = image.shape[-2:]
        image = padded(image, 32)
        _, *features, x = self.encoder(image)
        for level, skip in zip(self.decoder, (*reversed(features), self.stem(image)), strict=True):
            x = level(torch.cat([functional.interpolate(x, scale_factor=2, mode="nearest"), skip], dim=1))
        logits: Tensor = self.head(x)
        return logits[..., :height, :width]
