"""Thin torchmetrics classes, for use outside of cracklab.

They add up what every process gives them. A DistributedSampler that pads gives some images twice: the evaluator drops
those, these cannot.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from cracklab.errors import ConfigError
from cracklab.metrics.image_scores import image_score
from cracklab.metrics.masks import check, per_image
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.overlap import BINARY, confusion
from cracklab.metrics.scores import SCORES
from cracklab.registry import nearest


class PerImage(Metric):
    """Mean over images and classes of any score of one image: `PerImage("hd95_px")`, `PerImage("cl_dice", buffer_px=2)`.

    Args:
        name: a score of `cracklab.metrics.scores.SCORES`, which also says which way is better.
        **options: of `cracklab.metrics.options.EvaluationOptions`.

    Raises:
        ConfigError: for an unknown name.
    """

    is_differentiable = False
    full_state_update = False
    total: Tensor
    images: Tensor

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__()
        if name not in SCORES:
            raise ConfigError(f"no score is called {name!r}{nearest(name, list(SCORES))}")
        self.name, self.options = name, EvaluationOptions(**options)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, pred: Tensor, target: Tensor, valid: Tensor | None = None) -> None:
        """Add images: masks (B, C, H, W) bool, valid (B, 1, H, W) 0 / 1."""
        values = per_image(lambda p, t: image_score(self.name, p, t, self.options), pred, target, valid)
        there = values.isfinite()
        self.total += values[there].sum().to(self.total)
        self.images += there.sum().to(self.images)

    def compute(self) -> Tensor:
        """The mean; NaN if there was nothing to measure in any image."""
        return self.total / self.images


class Pooled(Metric):
    """A ratio of the counts of all images, mean over the classes that are there: `Pooled("iou")`.

    Args:
        name: `iou`, `dice`, `precision`, `recall`, `accuracy`, `mean_iou` or `mean_accuracy`.
        classes: number of channels.

    Raises:
        ConfigError: for an unknown name.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    counts: Tensor

    def __init__(self, name: str, classes: int = 1) -> None:
        super().__init__()
        if name not in BINARY:
            raise ConfigError(f"no ratio is called {name!r}{nearest(name, list(BINARY))}")
        self.name = name
        self.add_state("counts", torch.zeros(4, classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, pred: Tensor, target: Tensor, valid: Tensor | None = None) -> None:
        """Add images: masks (B, C, H, W) bool, valid (B, 1, H, W) 0 / 1."""
        check(pred, target, valid)
        self.counts += confusion(pred, target, None if valid is None else valid > 0).sum(1).to(self.counts.device)

    def compute(self) -> Tensor:
        """The ratio; a class that neither truth nor prediction contains anywhere is in no mean."""
        counts = self.counts.cpu().numpy()
        there = counts[:3].any(0) if counts[:3].any() else slice(None)
        return torch.tensor(BINARY[self.name](*counts)[there].mean())
