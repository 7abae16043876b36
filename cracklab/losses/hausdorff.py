"""Losses that estimate the Hausdorff distance: errors weigh by how far they lie from an outline. Karimi 2020."""

import math
from collections.abc import Mapping

from torch import Tensor

from cracklab.losses.base import register, require
from cracklab.losses.morphology import erode
from cracklab.losses.reduce import ClassLoss, pixel_mean
from cracklab.losses.transform import outline_distance


@register("hausdorff_dt")
class HausdorffDT(ClassLoss):
    """Mean of (p-y)^2 (D_p^alpha + D_y^alpha), D the distance to the outline over the diagonal.

    D = (`distance` + `interior_distance`) / diagonal, of y, and of {p > 0.5} without gradient. The latter is
    transformed at each step: by OpenCV on a CPU, by an exact separable transform on other devices. Karimi 2020, eq. 8.

    Args:
        alpha: how much farther errors count more.
        classes: channels that count; None is all of them.
    """

    maps = ("distance", "interior_distance")

    def __init__(self, alpha: float = 2.0, classes: list[int] | None = None) -> None:
        super().__init__(classes)
        require(alpha > 0, "alpha", alpha, "a number above 0")
        self.alpha = alpha

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The mean of each image and class."""
        predicted = outline_distance(p.detach() > 0.5, None if valid is None else valid > 0).to(p.dtype)
        true = maps["distance"] + maps["interior_distance"]
        diagonal = math.hypot(*p.shape[2:])
        weight = predicted.div_(diagonal).pow_(self.alpha).add_(true.div_(diagonal).pow_(self.alpha))
        return pixel_mean((p - y).square() * weight, valid)


@register("hausdorff_er")
class HausdorffER(ClassLoss):
    """Mean of sum over k < erosions of (k+1)^alpha E_k: errors that outlive more erosions count more.

    E_0 = (p-y)^2, E_k = minimum of E_(k-1) over the 3 x 3 cross (the published erosion, which averages and subtracts,
    erases errors one pixel wide). Karimi 2020, eq. 10.

    Args:
        alpha: how much thicker errors count more.
        erosions: number of terms; errors thicker than twice as many px count alike.
        classes: channels that count; None is all of them.
    """

    def __init__(self, alpha: float = 2.0, erosions: int = 10, classes: list[int] | None = None) -> None:
        super().__init__(classes)
        require(alpha > 0, "alpha", alpha, "a number above 0")
        require(erosions >= 1, "erosions", erosions, "a whole number of at least 1")
        self.alpha, self.erosions = alpha, erosions

    def per_class(self, p: Tensor, y: Tensor, maps: Mapping[str, Tensor], valid: Tensor | None) -> Tensor:
        """The mean of each image and class."""
        errors = (p - y).square()
        total = pixel_mean(errors, valid)
        for k in range(1, self.erosions):
            errors = erode(errors, valid)
            total = total + (k + 1) ** self.alpha * pixel_mean(errors, valid)
        return total
