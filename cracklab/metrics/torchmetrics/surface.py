"""Distances between the boundaries of two masks, and agreement near them: scores of images."""

from typing import Any

from cracklab.metrics.scores import EMPTY, Backend, Empty
from cracklab.metrics.torchmetrics.base import ImageScore


class HausdorffDistance95(ImageScore):
    """95th percentile of the Hausdorff distance, px, mean over images; see `cracklab.metrics.hausdorff95`.

    Args:
        empty: distance, px, if exactly one mask is empty; `diagonal` is the image's.
        backend: `monai` calls MONAI.
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> pred[..., 2, :], target[..., 5, :] = True, True  # two lines, 3 rows apart
        >>> HausdorffDistance95()(pred, target)
        tensor(3.)
    """

    score = "hd95_px"

    def __init__(self, *, empty: Empty = EMPTY, backend: Backend = "cracklab", **shared: Any) -> None:
        super().__init__({"empty": empty, "backend": backend}, **shared)


class HausdorffDistance(ImageScore):
    """Hausdorff distance, px, mean over images: the largest distance of an edge pixel to the other mask's edge.

    Args:
        empty: distance, px, if exactly one mask is empty; `diagonal` is the image's.
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> target[..., 0, :] = pred[..., 0, :] = pred[..., 8, 0] = True  # a false pixel, 8 rows off
        >>> HausdorffDistance()(pred, target)
        tensor(8.)
    """

    score = "hd100_px"

    def __init__(self, *, empty: Empty = EMPTY, **shared: Any) -> None:
        super().__init__({"empty": empty}, **shared)


class AverageSurfaceDistance(ImageScore):
    """Average symmetric surface distance, px, mean over images: over the edge pixels of both masks.

    Args:
        empty: distance, px, if exactly one mask is empty; `diagonal` is the image's.
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> pred[..., 2, :], target[..., 5, :] = True, True
        >>> AverageSurfaceDistance()(pred, target)
        tensor(3.)
    """

    score = "asd_px"

    def __init__(self, *, empty: Empty = EMPTY, **shared: Any) -> None:
        super().__init__({"empty": empty}, **shared)


class SurfaceDice(ImageScore):
    """Surface Dice (normalised surface distance), mean over images: the share of all edge pixels within the tolerance.

    Source: Nikolov 2018, eq. 2, counted in pixels.

    Args:
        tolerance_px: distance, px, up to which an edge pixel matches the other mask's edge.
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> pred[..., 2, :], target[..., 5, :] = True, True  # two lines, 3 rows apart
        >>> SurfaceDice(tolerance_px=3)(pred, target)
        tensor(1.)
    """

    score = "surface_dice"

    def __init__(self, *, tolerance_px: float = 2.0, **shared: Any) -> None:
        super().__init__({"tolerance_px": tolerance_px}, **shared)


class BoundaryF1(ImageScore):
    """Boundary F1, mean over images: 2 P R / (P + R) of the shares of edge pixels within the tolerance.

    P is the share of the predicted edge pixels, R that of the true ones. Source: Csurka 2013.

    Args:
        tolerance_px: distance, px, up to which an edge pixel matches the other mask's edge.
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> target[..., 0, :] = pred[..., 0, :] = pred[..., 8, :] = True  # P = 1 / 2, R = 1
        >>> BoundaryF1()(pred, target)
        tensor(0.6667)
    """

    score = "boundary_f1"

    def __init__(self, *, tolerance_px: float = 2.0, **shared: Any) -> None:
        super().__init__({"tolerance_px": tolerance_px}, **shared)


class BoundaryIoU(ImageScore):
    """Boundary IoU, mean over images; see `cracklab.metrics.boundary_iou`.

    Args:
        width_px: width of the band along the boundaries, px; None: max(1, round(2 % of the image's diagonal)).
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> pred[..., :2, :], target[..., 1:3, :] = True, True  # one of three rows in common
        >>> BoundaryIoU(width_px=1)(pred, target)
        tensor(0.3333)
    """

    score = "boundary_iou"

    def __init__(self, *, width_px: int | None = None, **shared: Any) -> None:
        super().__init__({"boundary_width_px": width_px}, **shared)
