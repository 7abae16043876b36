"""torchmetrics classes for any LightningModule: scores of images, averaged over images, and ratios of pixel counts.

    self.scores = MetricCollection([HausdorffDistance95(), ClDice(), IoU()], prefix="val/")
    ...
    self.scores.update(logits.sigmoid(), batch["mask"], ids=batch["id"])
    self.log_dict(self.scores)

On several processes they give the value of a single one. A `DistributedSampler` that pads repeats images: pass `ids` to
`update`, and repeated images are dropped. Without ids they count twice, as in every other torchmetrics class.

Definitions and policies are those of the evaluator, in `cracklab/metrics/README.md`. With several classes (C > 1), the score
of an image is the mean over the classes that its truth or prediction contains.

Every class takes these options, and those of `torchmetrics.Metric`; one that is out of range raises ConfigError.

- `threshold` (0.5): probability above which a pixel is crack; without effect on masks, and for C > 1.
- `crack_free` ("score"): whether images without crack count in means over images; "skip" ignores them.
- `background` (True): whether channel 0 counts in means over several classes.
"""

from typing import Any

from cracklab.metrics.scores import EMPTY, Backend, Empty
from cracklab.metrics.torchmetrics_base import ImageScore, PooledRatio

__all__ = [
    "AverageSurfaceDistance",
    "Betti0Error",
    "BoundaryF1",
    "BoundaryIoU",
    "Bridged",
    "CenterlineIoU",
    "ClDice",
    "Dice",
    "HausdorffDistance",
    "HausdorffDistance95",
    "IoU",
    "PiecesPerCrack",
    "Precision",
    "Recall",
    "SkeletonPrecision",
    "SkeletonRecall",
    "SurfaceDice",
]


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


class ClDice(ImageScore):
    """clDice, mean over images: agreement of the centre lines of each mask with the other mask.

    The harmonic mean of the share of the true centre line in the predicted mask, and of the predicted one in the true mask.
    Source: Shit 2021, eq. 1 and 2.

    Args:
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> target[..., 4, :], pred[..., 4, :6] = True, True  # 6 of 9 px found, nothing false
        >>> ClDice()(pred, target)
        tensor(0.8000)
    """

    score = "cl_dice"

    def __init__(self, **shared: Any) -> None:
        super().__init__({}, **shared)


class CenterlineIoU(ImageScore):
    """Centre-line IoU with a tolerance, mean over images: TP / (TP + FP + FN) of the pixels of the centre lines.

    Source: Benz 2024 (OmniCrack30k).

    Args:
        buffer_px: distance, px, up to which a pixel of one centre line matches the other.
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> target[..., 4, :], pred[..., 5, :6] = True, True  # 6 of 9 px found, 1 row off
        >>> CenterlineIoU(buffer_px=1)(pred, target)
        tensor(0.6667)
    """

    score = "cl_iou"

    def __init__(self, *, buffer_px: float = 4.0, **shared: Any) -> None:
        super().__init__({"buffer_px": buffer_px}, **shared)


class SkeletonPrecision(ImageScore):
    """Share of the predicted centre line that is near the true one, mean over images. Source: Wiedemann 1998.

    Args:
        buffer_px: distance, px, up to which a pixel of one centre line matches the other.
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> pred[..., 4, :], target[..., 4, :6] = True, True
        >>> SkeletonPrecision(buffer_px=0)(pred, target)
        tensor(0.6667)
    """

    score = "skeleton_precision"

    def __init__(self, *, buffer_px: float = 4.0, **shared: Any) -> None:
        super().__init__({"buffer_px": buffer_px}, **shared)


class SkeletonRecall(ImageScore):
    """Share of the true centre line that is near the predicted one, mean over images. Source: Wiedemann 1998.

    Args:
        buffer_px: distance, px, up to which a pixel of one centre line matches the other.
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> target[..., 4, :], pred[..., 4, :3] = True, True
        >>> SkeletonRecall(buffer_px=0)(pred, target)
        tensor(0.3333)
    """

    score = "skeleton_recall"

    def __init__(self, *, buffer_px: float = 4.0, **shared: Any) -> None:
        super().__init__({"buffer_px": buffer_px}, **shared)


class PiecesPerCrack(ImageScore):
    """Number of predicted pieces that meet a crack, mean over the cracks of an image, then over images; 1 is best.

    Args:
        tolerance_px: distance, px, up to which a piece meets a crack's centre line.
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> target[..., 4, :], pred[..., 4, :3], pred[..., 4, 6:] = True, True, True  # one crack in two pieces
        >>> PiecesPerCrack()(pred, target)
        tensor(2.)
    """

    score = "pieces_per_crack"

    def __init__(self, *, tolerance_px: float = 2.0, **shared: Any) -> None:
        super().__init__({"tolerance_px": tolerance_px}, **shared)


class Bridged(ImageScore):
    """Share of the true centre line that the longest piece on each crack covers, mean over images.

    Args:
        tolerance_px: distance, px, up to which a piece covers a pixel of the centre line.
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> target[..., 4, :], pred[..., 4, :2], pred[..., 4, 3:] = True, True, True  # pieces of 2 and 6 of 9 px
        >>> Bridged(tolerance_px=0)(pred, target)
        tensor(0.6667)
    """

    score = "bridged"

    def __init__(self, *, tolerance_px: float = 2.0, **shared: Any) -> None:
        super().__init__({"tolerance_px": tolerance_px}, **shared)


class Betti0Error(ImageScore):
    """Difference in the number of connected components, |predicted - true|, mean over images.

    Args:
        **shared: options of all classes, see the module.

    Example:
        >>> import torch
        >>> pred, target = torch.zeros(2, 1, 1, 9, 9, dtype=torch.bool)
        >>> target[..., 4, :], pred[..., 4, ::3] = True, True  # one crack in three pieces
        >>> Betti0Error()(pred, target)
        tensor(2.)
    """

    score = "betti0_error"

    def __init__(self, **shared: Any) -> None:
        super().__init__({}, **shared)


class IoU(PooledRatio):
    """Intersection over union of pixels, TP / (TP + FP + FN), pooled over all images.

    Args: those of `PooledRatio`.

    Example:
        >>> import torch
        >>> IoU()(torch.tensor([[[[0.9, 0.8, 0.7, 0.1]]]]), torch.tensor([[[[1, 1, 0, 1]]]]))  # TP, FP, FN = 2, 1, 1
        tensor(0.5000)
    """

    ratio = "iou"


class Dice(PooledRatio):
    """Dice, the F1 of pixels, 2 TP / (2 TP + FP + FN), pooled over all images.

    Args: those of `PooledRatio`.

    Example:
        >>> import torch
        >>> Dice()(torch.tensor([[[[0.9, 0.8, 0.7, 0.1]]]]), torch.tensor([[[[1, 1, 0, 1]]]]))  # TP, FP, FN = 2, 1, 1
        tensor(0.6667)
    """

    ratio = "dice"


class Precision(PooledRatio):
    """Share of the predicted pixels that are crack, TP / (TP + FP), pooled over all images.

    Args: those of `PooledRatio`.

    Example:
        >>> import torch
        >>> Precision()(torch.tensor([[[[0.9, 0.8, 0.7, 0.1]]]]), torch.tensor([[[[1, 1, 0, 1]]]]))  # TP, FP = 2, 1
        tensor(0.6667)
    """

    ratio = "precision"


class Recall(PooledRatio):
    """Share of the crack pixels that are predicted, TP / (TP + FN), pooled over all images.

    Args: those of `PooledRatio`.

    Example:
        >>> import torch
        >>> Recall()(torch.tensor([[[[0.9, 0.8, 0.7, 0.1]]]]), torch.tensor([[[[1, 1, 0, 1]]]]))  # TP, FN = 2, 1
        tensor(0.6667)
    """

    ratio = "recall"
