"""A hybrid vision transformer with a convolutional decoder."""

from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from cracklab.errors import ConfigError
from cracklab.models.layers import convolutions, initialise, padded

WIDTHS = (256, 128, 64, 16)
"""Channels of the decoder's blocks, at 1/8, 1/4, 1/2 and full size. Chen et al. 2021."""


class TransUNet(nn.Module):
    """R50-ViT-B/16 under a cascaded upsampler with skips. Chen et al. 2021.

    From (B, in_channels, H, W) to logits (B, classes, H, W), any H and W: position embeddings are resampled. A ResNet-50
    of three stages reduces the image to 1/16, twelve transformer layers see its pixels as tokens; then a convolution to
    512 channels and four blocks of: doubled bilinearly, joined with the ResNet's stage (512, 256, 64 channels, none at
    full size), two 3 x 3 convolutions with batch normalisation and ReLU. Unlike Chen's, the transformer keeps its class
    token, as timm's weights have it; the decoder does not see it.

    Args:
        encoder_name: hybrid of timm that begins with a ResNet-50 of three stages:
            `vit_base_r50_s16_224.orig_in21k`, or `vit_base_r50_s16_384.orig_in21k_ft_in1k`.
        encoder_weights: `imagenet`, which is timm's (ImageNet-21k for the first), or a file where it is built from a
            configuration; None: random.
        in_channels: channels of the image.
        classes: channels of the logits.
        layers: number of transformer layers.

    Raises:
        ConfigError: for an encoder of another build.
    """

    def __init__(
        self,
        encoder_name: str = "vit_base_r50_s16_224.orig_in21k",
        encoder_weights: str | None = None,
        in_channels: int = 3,
        classes: int = 1,
        layers: int = 12,
    ) -> None:
        super().__init__()
        if not encoder_name.startswith("vit_base_r50_s16"):
            raise ConfigError(
                f"encoder_name {encoder_name!r} is no hybrid of a ResNet-50 and a transformer: set model.net.encoder_name "
                "to vit_base_r50_s16_224.orig_in21k, or leave it out where nothing below sets it"
            )
        encoder: Any = timm.create_model(
            encoder_name,
            pretrained=encoder_weights is not None,
            in_chans=in_channels,
            num_classes=0,
            global_pool="",
            depth=layers,
            dynamic_img_size=True,
        )
        self.encoder = encoder
        self.neck = convolutions(encoder.embed_dim, 512, batch_norm=True)
        joined = (512 + 512, WIDTHS[0] + 256, WIDTHS[1] + 64, WIDTHS[2])
        self.decoder = nn.ModuleList(
            convolutions(before, after, after, batch_norm=True) for before, after in zip(joined, WIDTHS, strict=True)
        )
        self.head = nn.Conv2d(WIDTHS[-1], classes, 3, padding=1)
        for part in (self.neck, self.decoder, self.head):
            initialise(part)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, H, W) of an image (B, in_channels, H, W)."""
        height, width = image.shape[-2:]
        x, skips = self._encoded(padded(image, 16))
        x = self.neck(x)
        for block in self.decoder:
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = block(torch.cat([x, skips.pop()], dim=1) if skips else x)
        logits: Tensor = self.head(x)
        return logits[..., :height, :width]

    def _encoded(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The transformer's tokens as a map at 1/16, and the ResNet's maps at 1/2, 1/4 and 1/8."""
        encoder: Any = self.encoder
        embed = encoder.patch_embed
        stem, stages = embed.backbone.stem, embed.backbone.stages
        skips = [stem.norm(stem.conv(image))]
        skips.append(stages[0](stem.pool(skips[-1])))
        skips.append(stages[1](skips[-1]))
        pixels = embed.proj(stages[2](skips[-1]))
        tokens = encoder._pos_embed(pixels.permute(0, 2, 3, 1))  # with the class token first
        tokens = encoder.norm(encoder.blocks(tokens))[:, 1:]
        return tokens.transpose(1, 2).reshape(pixels.shape), skips
