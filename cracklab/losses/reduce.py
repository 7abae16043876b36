"""Logits to probabilities, and pixel values to a scalar: per image and class, then over classes, then over images."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cracklab.logits import probabilities
from cracklab.losses.base import Loss, require


def one_vs_rest(logits: Tensor) -> Tensor:
    """Return the binary logits r of each class against the rest: sigmoid(r_c) = softmax(z)_c.

    r_c = z_c - logsumexp of the other classes. So log p_c = logsigmoid(r_c) and log(1 - p_c) = logsigmoid(-r_c) stay
    accurate for very confident predictions. If C = 1, they are the logits themselves.

    Example:
        >>> one_vs_rest(torch.tensor([2.0, 0.0, 0.0]).view(1, 3, 1, 1))[0, 0]  # 2 - log(exp(0) + exp(0))
        tensor([[1.3069]])
    """
    if logits.shape[1] == 1:
        return logits
    log_p = logits.log_softmax(1)
    # log(1 - p) cancels only if p > 1/2, hence only in the largest class, where the other classes are summed instead
    largest = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, logits.argmax(1, keepdim=True), True)
    log_rest = torch.log1p(-log_p.masked_fill(largest, -1.0).exp())
    others = logits.masked_fill(largest, -torch.inf).logsumexp(1, keepdim=True) - logits.logsumexp(1, keepdim=True)
    return log_p - torch.where(largest, others, log_rest)


def pixel_mean(values: Tensor, valid: Tensor | None) -> Tensor:
    """Return the mean (B, C) of values (B, C, H, W) over each image's valid pixels, 0 if it has none.

    Example:
        >>> pixel_mean(torch.tensor([[[[1.0, 2.0, 6.0]]]]), valid=torch.tensor([[[[1.0, 1.0, 0.0]]]]))
        tensor([[1.5000]])
    """
    if valid is None:
        return values.flatten(2).mean(-1)
    return (values * valid).flatten(2).sum(-1) / valid.flatten(2).sum(-1).clamp(min=1)


def image_mean(values: Tensor, valid: Tensor | None) -> Tensor:
    """Return the mean of values (B, C) over the classes, then over the images that have a valid pixel.

    Example:
        >>> valid = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
        >>> image_mean(torch.tensor([[1.0, 3.0], [50.0, 60.0]]), valid)  # the second image has no valid pixel
        tensor(2.)
    """
    per_image = values.mean(1)
    if valid is None:
        return per_image.mean()
    counted = valid.flatten(1).amax(1)
    return (per_image * counted).sum() / counted.sum().clamp(min=1)


class ClassLoss(Loss):
    """A loss with one value per image and class, averaged over the classes present in an image, then over images.

    A false positive of an absent class is already a miss of another class. All classes count if there is only one, or
    if an image contains none of those selected.

    Args:
        classes: channels that count; None: all.

    Example:
        >>> class Excess(ClassLoss):
        ...     '''Fraction of an image's pixels that is predicted in excess.'''
        ...     def per_class(self, p, y, maps, valid):
        ...         return pixel_mean(p - y, valid)
        >>> Excess()(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
        tensor(0.5000)
    """

    def __init__(self, classes: list[int] | None = None) -> None:
        super().__init__()
        require(classes is None or len(classes) > 0, "classes", classes, "at least one channel, or none for all")
        self.classes = classes

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the values (images, classes) of probabilities, mask and maps (B, K, H, W), all 0 where `valid` is 0."""
        raise NotImplementedError

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the mean of `per_class` over the classes present, then over images."""
        p = self.select(probabilities(logits))
        if valid is not None:
            p = p * valid
        y = self.select(mask)
        return self.average(self.per_class(p, y, {name: self.select(m) for name, m in maps.items()}, valid), y, valid)

    def select(self, values: Tensor) -> Tensor:
        """Return the channels that count, (B, K, H, W)."""
        if self.classes is None:
            return values
        channels = values.shape[1]
        require(
            all(0 <= c < channels for c in self.classes), "classes", self.classes, f"channels from 0 to {channels - 1}"
        )
        return values[:, self.classes]

    def group(self, values: Tensor) -> Tensor:
        """Return values (B, K, H, W) as (images, classes, pixels), ready for sums over the last axis."""
        return values.flatten(2)

    def average(self, values: Tensor, y: Tensor, valid: Tensor | None) -> Tensor:
        """Return the mean of values (images, classes) over the classes present in `y` (B, K, H, W), then over images.

        With `per_image` off, `values` has one row for the whole batch.
        """
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
        per_image: sum over each image, so that its value does not depend on the others; False: over the whole batch.
        classes: channels that count; None: all.
        pool_classes: sum over the classes before dividing.

    Example:
        >>> batch = torch.zeros(2, 3, 4, 4)
        >>> RegionLoss().group(batch).shape
        torch.Size([2, 3, 16])
        >>> RegionLoss(per_image=False).group(batch).shape  # one sum over 2 x 16 pixels for each class
        torch.Size([1, 3, 32])
        >>> RegionLoss(pool_classes=True).group(batch).shape  # one sum over 3 x 16 values for each image
        torch.Size([2, 1, 48])
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
        """Return values (B, K, H, W) as (images, classes, pixels); an axis that is summed over has length 1."""
        values = values.flatten(2)
        if not self.per_image:
            values = values.transpose(0, 1).flatten(1).unsqueeze(0)
        return values.flatten(1).unsqueeze(1) if self.pool_classes else values
