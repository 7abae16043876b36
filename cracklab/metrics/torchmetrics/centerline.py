"""Agreement of the centre lines of two masks, and pieces of cracks: scores of images."""

from typing import Any

from cracklab.metrics.torchmetrics.base import ImageScore


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
