"""Agreement of two masks within a band along their boundaries."""

import numpy as np
from torch import Tensor

from cracklab.geometry.masks import Mask
from cracklab.metrics.pairs import inner_boundary, per_image
from cracklab.metrics.scores import check_width, diagonal

BOX = np.ones((3, 3), np.uint8)


def boundary_iou(pred: Tensor, target: Tensor, *, width_px: int | None = None, valid: Tensor | None = None) -> Tensor:
    r"""Boundary IoU per image and class: the IoU of the parts of both masks within `width_px` of their boundary.

    |P_d n T_d| / |P_d u T_d|, where M_d are the pixels of M that d erosions by the 3 x 3 square remove; beyond the
    image nothing is mask, so that a mask has a boundary along the image's border too. Cracks narrower than 2 d are
    boundary through and through, and Boundary IoU is plain IoU for them: at the reference's 2 % of the diagonal
    (14 px at 512 x 512) that holds for nearly every crack. `boundary_share` tells.

    Both bands empty: 1. One empty: 0.

    Args:
        pred: (B, C, H, W) bool.
        target: (B, C, H, W) bool.
        width_px: d, px; None: max(1, round(2 % of the image's diagonal)), the reference's rule.
        valid: (B, 1, H, W), 0 / 1; pixels with 0 belong to neither mask. None: every pixel counts.

    Returns:
        (B, C) float64 on the CPU.

    Raises:
        ConfigError: for tensors that are not bool or differ in shape, or a width below 1 px.

    Source: Cheng et al. 2021, eq. 2.
    """
    check_width(width_px)
    return per_image(lambda p, t: image_boundary_iou(p, t, width_px)[0], pred, target, valid)


def image_boundary_iou(pred: Mask, target: Mask, width_px: int | None = None) -> tuple[float, float]:
    """Boundary IoU of one class of one image, and the share of the truth that is boundary (0 without truth)."""
    width = max(1, round(0.02 * diagonal(pred.shape))) if width_px is None else width_px
    band_p, band_t = inner_boundary(pred, BOX, width), inner_boundary(target, BOX, width)
    union = int(np.count_nonzero(band_p | band_t))
    iou = int(np.count_nonzero(band_p & band_t)) / union if union else 1.0
    return iou, int(np.count_nonzero(band_t)) / max(int(np.count_nonzero(target)), 1)
