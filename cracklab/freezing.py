"""Freezing: of the encoder, for some epochs or always, and of the statistics of batch normalisation."""

import math

from torch import nn

from cracklab.errors import ConfigError

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""Layers that keep running statistics of their input."""


class Freezing:
    """Keeps parts of a net as they are.

    Args:
        net: the net; its encoder is `net.encoder`.
        encoder_lr_factor: learning rate of the encoder relative to the rest; 0 freezes it always.
        encoder_epochs: number of first epochs in which the encoder is frozen, its normalisation statistics included.
        norm: keep the statistics of all batch normalisation.
        weights: the checkpoint that the net is initialised from.

    Raises:
        ConfigError: for a net without an `encoder`, or `norm` without `weights`.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
        >>> Freezing(net, norm=True, weights="cracklab:cracks").start_epoch(0)
        >>> net[0].training, net[1].training
        (True, False)
    """

    def __init__(
        self,
        net: nn.Module,
        encoder_lr_factor: float = 1.0,
        encoder_epochs: int = 0,
        norm: bool = False,
        weights: str | None = None,
    ) -> None:
        encoder = getattr(net, "encoder", None)
        if (encoder_lr_factor != 1 or encoder_epochs) and not isinstance(encoder, nn.Module):
            raise ConfigError(
                f"encoder_lr_factor {encoder_lr_factor} and freeze_encoder_epochs {encoder_epochs} need a net with "
                f"an `encoder`, which {type(net).__name__} lacks: leave them at 1 and 0"
            )
        if norm and weights is None:
            raise ConfigError(
                "freeze_norm keeps the statistics of model.weights, which is not set: set it, or freeze_norm false"
            )
        self._net, self._encoder, self._norm = net, encoder, norm
        self._encoder_epochs = encoder_epochs if encoder_lr_factor else math.inf
        if encoder is not None and not encoder_lr_factor:
            encoder.requires_grad_(False)

    def start_epoch(self, epoch: int) -> None:
        """Keep the frozen parts in evaluation mode in an epoch, counted from 0."""
        if self._encoder is not None and epoch <= self._encoder_epochs > 0:
            self._encoder.train(epoch == self._encoder_epochs)  # unfrozen
        if self._norm:
            for layer in self._net.modules():
                if isinstance(layer, BATCH_NORMS):
                    layer.eval()

    def drop_gradients(self, epoch: int) -> None:
        """Drop the gradients of a frozen encoder, so that neither momentum nor weight decay changes it."""
        if self._encoder is not None and epoch < self._encoder_epochs:
            for parameter in self._encoder.parameters():
                parameter.grad = None
