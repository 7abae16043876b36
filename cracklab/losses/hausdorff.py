"""Losses that estimate the Hausdorff distance: an error weighs more the farther it is from an outline. Karimi 2020."""

import math
from collections.abc import Mapping

from torch import Tensor

from cracklab.losses.base import register, require
from cracklab.losses.morphology import erode
from cracklab.losses.outline_distance import outline_distance
from cracklab.losses.reduce import ClassLoss, pixel_mean


@register("hausdorff_dt")
class HausdorffDT(ClassLoss):
    """Mean of (p-y)^2 (D_p^alpha + D_y^alpha), D the distance to the outline over the diagonal.

    D = (`distance` + `interior_distance`) / diagonal, of y, and of {p > 0.5} without gradient. The transform of the
    prediction is computed at each step: by OpenCV on a CPU, by an exact separable transform on other devices. Karimi
    2020, eq. 8.

    Args:
        alpha: exponent of the distances; the larger, the more far errors weigh.
        classes: channels that count; None: all.

    Example:
        >>> import torch
        >>> # neither a crack nor a predicted one in 3 x 4 px: both distances are the diagonal, so 0.5^2 (1 + 1)
        >>> maps = {"distance": torch.full((1, 1, 3, 4), 5.0), "interior_distance": torch.zeros(1, 1, 3, 4)}
        >>> HausdorffDT()(torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 3, 4), maps)
        tensor(0.5000)
    """

    maps = ("distance", "interior_distance")

    def __init__(self, alpha: float = 2.0, classes: list[int] | None = None) -> None:
        super().__init__(classes)
        require(alpha > 0, "alpha", alpha, "a number above 0")
        self.alpha = alpha

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the loss of each image and class."""
        predicted = outline_distance(p.detach() > 0.5, None if valid is None else valid > 0).to(p.dtype)
        true = maps["distance"] + maps["interior_distance"]
        diagonal = math.hypot(*p.shape[2:])
        weight = predicted.div_(diagonal).pow_(self.alpha).add_(true.div_(diagonal).pow_(self.alpha))
        return pixel_mean((p - y).square() * weight, valid)


@register("hausdorff_er")
class HausdorffER(ClassLoss):
    """Mean of sum over k < erosions of (k+1)^alpha E_k: an error counts more the more erosions it survives.

    E_0 = (p-y)^2, E_k = minimum of E_(k-1) over the 3 x 3 cross (the published erosion, which averages and subtracts,
    erases errors one pixel wide). Karimi 2020, eq. 10.

    Args:
        alpha: exponent of the number of erosions; the larger, the more thick errors weigh.
        erosions: number of terms; errors thicker than twice this number of px count alike.
        classes: channels that count; None: all.

    Example:
        >>> import torch
        >>> loss = HausdorffER(alpha=2.0, erosions=2)
        >>> loss(torch.zeros(1, 1, 3, 3), torch.ones(1, 1, 3, 3))  # errors 0.5^2 before and after: 1^2 / 4 + 2^2 / 4
        tensor(1.2500)
    """

    def __init__(self, alpha: float = 2.0, erosions: int = 10, classes: list[int] | None = None) -> None:
        super().__init__(classes)
        require(alpha > 0, "alpha", alpha, "a number above 0")
        require(erosions >= 1, "erosions", erosions, "a whole number of at least 1")
        self.alpha, self.erosions = alpha, erosions

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """Return the loss of each image and class."""
        errors = (p - y).square()
        total = pixel_mean(errors, valid)
        for k in range(1, self.erosions):
            errors = erode(errors, valid)
            total = total + (k + 1) ** self.alpha * pixel_mean(errors, valid)
        return total
