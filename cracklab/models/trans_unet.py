"""TransUNet: a hybrid vision transformer with a convolutional decoder."""

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
    """R50-ViT-B/16 with a cascaded upsampler and skips. Chen et al. 2021.

    From (B, in_channels, H, W) to logits (B, classes, H, W), any H and W: position embeddings are resampled. A ResNet-50
    of three stages reduces the image to 1/16, and twelve transformer layers take its pixels as tokens. A convolution to
    512 channels follows, then four blocks. A block doubles the size bilinearly, concatenates the ResNet's stage (512, 256,
    64 channels, none at full size), and applies two 3 x 3 convolutions with batch normalisation and ReLU. Unlike Chen's,
    the transformer keeps its class token, as timm's weights expect; the decoder does not use it.

    Args:
        encoder_name: hybrid of timm with a ResNet-50 of three stages: `vit_base_r50_s16_224.orig_in21k`, or
            `vit_base_r50_s16_384.orig_in21k_ft_in1k`.
        encoder_weights: `imagenet` for timm's weights (ImageNet-21k for the first), or a file if the net is built from a
            configuration; None: random.
        in_channels: channels of the image.
        classes: channels of the logits.
        layers: number of transformer layers.

    Raises:
        ConfigError: for an encoder that is not such a hybrid.
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
                f"encoder_name {encoder_name!r} is not a hybrid of a ResNet-50 and a transformer: set "
                "model.net.encoder_name to vit_base_r50_s16_224.orig_in21k (another --config may have set it)"
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
        """Return logits (B, classes, H, W) of an image (B, in_channels, H, W)."""
        height, width = image.shape[-2:]
        x, skips = self._encoded(padded(image, 16))
        x = self.neck(x)
        for block in self.decoder:
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = block(torch.cat([x, skips.pop()], dim=1) if skips else x)
        logits: Tensor = self.head(x)
        return logits[..., :height, :width]

    def _encoded(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the transformer's tokens as a map at 1/16, and the ResNet's maps at 1/2, 1/4 and 1/8."""
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
