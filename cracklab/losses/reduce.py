"""From logits to probabilities, and from pixels to a scalar: per image and class, then classes, then images."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cracklab.logits import probabilities
from cracklab.losses.base import Loss, require


def one_vs_rest(logits: Tensor) -> Tensor:
    """Binary logits r of each class against the rest: sigmoid(r_c) = softmax(z)_c.

    r_c = z_c - logsumexp of the other classes, so that log p_c = logsigmoid(r_c) and log(1 - p_c) = logsigmoid(-r_c)
    are exact however sure the net is. Where C = 1 they are the logits themselves.
    """
    if logits.shape[1] == 1:
        return logits
    log_p = logits.log_softmax(1)
    # log(1 - p) cancels only where p > 1/2, in the largest class: there the others are summed anew
    largest = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, logits.argmax(1, keepdim=True), True)
    log_rest = torch.log1p(-log_p.masked_fill(largest, -1.0).exp())
    others = logits.masked_fill(largest, -torch.inf).logsumexp(1, keepdim=True) - logits.logsumexp(1, keepdim=True)
    return log_p - torch.where(largest, others, log_rest)


def pixel_mean(values: Tensor, valid: Tensor | None) -> Tensor:
    """(B, C, H, W) values to (B, C): the mean over an image's valid pixels, 0 where it has none."""
    if valid is None:
        return values.flatten(2).mean(-1)
    return (values * valid).flatten(2).sum(-1) / valid.flatten(2).sum(-1).clamp(min=1)


def image_mean(values: Tensor, valid: Tensor | None) -> Tensor:
    """(B, C) values to a scalar: the mean over classes, then over the images that have a valid pixel."""
    per_image = values.mean(1)
    if valid is None:
        return per_image.mean()
    counted = valid.flatten(1).amax(1)
    return (per_image * counted).sum() / counted.sum().clamp(min=1)


class ClassLoss(Loss):
    """A loss with one value per image and class; its value is the mean over the classes present, then over images.

    What is false where a class is absent is a miss of another class. Where there is one class, or none of those
    selected is present, all count.

    Args:
        classes: channels that count; None is all of them.
    """

    def __init__(self, classes: list[int] | None = None) -> None:
        super().__init__()
        require(classes is None or len(classes) > 0, "classes", classes, "at least one channel, or none for all")
        self.classes = classes

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """(images, classes) values of (B, K, H, W) probabilities, mask and maps, all 0 where `valid` is 0."""
        raise NotImplementedError

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The mean of `per_class` over the classes present, then over images."""
        p = self.select(probabilities(logits))
        if valid is not None:
            p = p * valid
        y = self.select(mask)
        return self.average(self.per_class(p, y, {name: self.select(m) for name, m in maps.items()}, valid), y, valid)

    def select(self, values: Tensor) -> Tensor:
        """The channels that count."""
        if self.classes is None:
            return values
        channels = values.shape[1]
        require(
            all(0 <= c < channels for c in self.classes), "classes", self.classes, f"channels from 0 to {channels - 1}"
        )
        return values[:, self.classes]

    def group(self, values: Tensor) -> Tensor:
        """(B, K, H, W) to (images, classes, pixels): the last axis is what is summed together."""
        return values.flatten(2)

    def average(self, values: Tensor, y: Tensor, valid: Tensor | None) -> Tensor:
        """(images, classes) values to a scalar; one image stands for all where they are summed together."""
        if values.shape[1] > 1:
            present = y.flatten(2).amax(-1) > 0
            if len(values) < len(present):
                present = present.any(0, keepdim=True)
            present = present | ~present.any(1, keepdim=True)
            values = (values * present).sum(1, keepdim=True) / present.sum(1, keepdim=True)
        return image_mean(values, valid if len(values) == len(y) else None)


class RegionLoss(ClassLoss):
    """A loss on sums over the pixels of one image and class.

    Args:
        eps: added to numerator and denominator, in pixels.
        per_image: sums over each image, so that no image's value depends on the others; False: over the whole batch.
        classes: channels that count; None is all of them.
        pool_classes: sums over the classes before dividing.
    """

    def __init__(
        self,
        eps: float = 1.0,
        per_image: bool = True,
        classes: list[int] | None = None,
        pool_classes: bool = False,
    ) -> None:
        super().__init__(classes)
        require(eps > 0, "eps", eps, "a number above 0, so that an empty image has a value")
        self.eps, self.per_image, self.pool_classes = eps, per_image, pool_classes

    def group(self, values: Tensor) -> Tensor:
        """(B, K, H, W) to (images, classes, pixels), where a pooled axis has length 1."""
        values = values.flatten(2)
        if not self.per_image:
            values = values.transpose(0, 1).flatten(1).unsqueeze(0)
        return values.flatten(1).unsqueeze(1) if self.pool_classes else values
