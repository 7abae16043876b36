"""Entropy losses: each pixel is scored by itself."""

from collections.abc import Mapping

from torch import Tensor

from cracklab.losses.auto import Auto, AutoNumber, Statistics
from cracklab.losses.base import Loss, register, require
from cracklab.losses.pixelwise import cross_entropy, focal_entropy, focal_margin_entropy
from cracklab.losses.reduce import image_mean, one_vs_rest, pixel_mean


class EntropyLoss(Loss):
    """A loss of single pixels: the mean over an image's pixels (and classes), then over images.

    Example:
        >>> import torch
        >>> class Brier(EntropyLoss):
        ...     '''Mean of (p - y)^2.'''
        ...     def per_pixel(self, logits, mask):
        ...         return (logits.sigmoid() - mask).square()
        >>> Brier()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # (0.5 - 1)^2
        tensor(0.2500)
    """

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the value of each pixel, (B, 1 or C, H, W)."""
        raise NotImplementedError

    def compute(self, logits: Tensor, mask: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the mean over pixels and classes, then over images."""
        return image_mean(pixel_mean(self.per_pixel(logits, mask), valid), valid)


@register("bce")
class BCE(EntropyLoss):
    """Cross entropy: -[y log p + (1-y) log(1-p)]; C > 1: -sum_c y_c log p_c. All five papers.

    Args:
        pos_weight: weight of the crack term (C > 1: of every class but the background, channel 0); None: 1.

    Example:
        >>> import torch
        >>> BCE()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # -log 0.5
        tensor(0.6931)
    """

    def __init__(self, pos_weight: float | None = None) -> None:
        super().__init__()
        require(pos_weight is None or pos_weight > 0, "pos_weight", pos_weight, "a number above 0, or none")
        self.pos_weight = pos_weight

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the cross entropy, see `cross_entropy`."""
        return cross_entropy(logits, mask, self.pos_weight)


@register("focal")
class Focal(EntropyLoss):
    """Cross entropy times (1 - p_t)^gamma, so that confident pixels count less. Lin 2017; Gül 2023, Chen 2023, Deopujari 2025.

    Args:
        gamma: focal exponent.
        alpha: weight of the crack against 1 - alpha (C > 1: of every class but the background, channel 0); None: both
            weigh 1.

    Example:
        >>> import torch
        >>> Focal(gamma=2.0)(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # -0.5^2 log 0.5
        tensor(0.1733)
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None) -> None:
        super().__init__()
        require(gamma >= 0, "gamma", gamma, "a number of at least 0")
        require(alpha is None or 0 <= alpha <= 1, "alpha", alpha, "a number from 0 to 1, or none")
        self.gamma, self.alpha = gamma, alpha

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the focal entropy, see `focal_entropy`."""
        return focal_entropy(logits, mask, self.gamma, self.alpha)


@register("asymmetric_focal")
class AsymmetricFocal(EntropyLoss):
    """-y log p - p^gamma (1-y) log(1-p): only confident background counts less. Chen 2023, eq. 2.

    C > 1: each class against the rest, mean over classes.

    Args:
        gamma: focal exponent off the crack.

    Example:
        >>> import torch
        >>> loss, logits = AsymmetricFocal(gamma=2.0), torch.zeros(1, 1, 2, 2)
        >>> loss(logits, torch.ones(1, 1, 2, 2))  # -log 0.5
        tensor(0.6931)
        >>> loss(logits, torch.zeros(1, 1, 2, 2))  # -0.5^2 log 0.5
        tensor(0.1733)
    """

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        require(gamma >= 0, "gamma", gamma, "a number of at least 0")
        self.gamma = gamma

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the focal entropy, see `focal_margin_entropy`."""
        return focal_margin_entropy(one_vs_rest(logits), mask, self.gamma, asymmetric=True)


def margin_for(statistics: Statistics) -> float:
    """Return the margin for the fraction of crack pixels: 1.5 up to 3 %, 0.5 from 5 %, linear in between.

    Chen 2023 gives only three points: above 1.5 below 3 %, below 0.5 above 7 %, and 0.5 as its best at 5.05 %.

    Example:
        >>> from types import SimpleNamespace
        >>> margin_for(SimpleNamespace(crack_share=0.02)), margin_for(SimpleNamespace(crack_share=0.07))
        (1.5, 0.5)
    """
    return min(1.5, max(0.5, 1.5 - (statistics.crack_share - 0.03) / 0.02))


def margin_number(margin: float | Auto) -> AutoNumber:
    """Return a margin that is a number or `auto`, for which `margin_for` is the rule.

    Example:
        >>> margin_number(0.5)()
        0.5
    """
    return AutoNumber("margin", margin, 0, margin_for)


@register("large_margin")
class LargeMargin(EntropyLoss):
    """-y log q - (1-y) log(1-p), q = sigmoid(z - margin): crack logits have to exceed the margin.

    C > 1: each class against the rest, q_c the softmax after z_c - margin, mean over classes. Li 2019; Chen 2023, eq. 3.

    Args:
        margin: distance from the decision boundary that crack logits have to reach; `auto`: from the fraction of crack
            pixels, see `margin_for`.

    Example:
        >>> import torch
        >>> LargeMargin(margin=1.0)(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # -log sigmoid(1 - 1)
        tensor(0.6931)
    """

    def __init__(self, margin: float | Auto = 1.0) -> None:
        super().__init__()
        self.margin = margin_number(margin)

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the entropy with a margin, see `focal_margin_entropy`."""
        return focal_margin_entropy(one_vs_rest(logits), mask, margin=self.margin(), asymmetric=True)


@register("focal_margin")
class FocalMargin(EntropyLoss):
    """Cross entropy with a focal factor and a margin. Chen 2023, eq. 11 (asymmetric) and 12 (symmetric).

    asymmetric: -y log q - p^gamma (1-y) log(1-p), q = sigmoid(z - margin); symmetric:
    -(1-p)^gamma y log sigmoid(z - margin) - p^gamma (1-y) log sigmoid(-z - margin). C > 1: each class against the
    rest, mean over classes.

    Args:
        gamma: focal exponent.
        margin: distance from the decision boundary that a logit has to reach; `auto`: from the fraction of crack
            pixels, see `margin_for`.
        asymmetric: focal factor only off the crack, margin only on it.

    Example:
        >>> import torch
        >>> loss = FocalMargin(gamma=2.0, margin=1.0)
        >>> loss(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # -log sigmoid(1 - 1)
        tensor(0.6931)
        >>> loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))  # -0.5^2 log 0.5
        tensor(0.1733)
    """

    def __init__(self, gamma: float = 2.0, margin: float | Auto = 0.5, asymmetric: bool = True) -> None:
        super().__init__()
        require(gamma >= 0, "gamma", gamma, "a number of at least 0")
        self.gamma, self.margin, self.asymmetric = gamma, margin_number(margin), asymmetric

    def per_pixel(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the focal entropy with a margin, see `focal_margin_entropy`."""
        return focal_margin_entropy(one_vs_rest(logits), mask, self.gamma, self.margin(), self.asymmetric)
