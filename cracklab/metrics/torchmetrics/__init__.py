"""torchmetrics classes for any LightningModule: scores of images, averaged over images, and ratios of pixel counts.

    self.scores = MetricCollection([HausdorffDistance95(), ClDice(), IoU()], prefix="val/")
    ...
    self.scores.update(logits.sigmoid(), batch["mask"], ids=batch["id"])
    self.log_dict(self.scores)

On several processes they give the value of a single one. A `DistributedSampler` that pads repeats images: pass `ids` to
`update`, and repeated images are dropped. Without ids they count twice, as in every other torchmetrics class. Batches of
images of different sizes are padded: pass `sizes`, and each score is that of the image without its padding.

Definitions and policies are those of the evaluator, in `cracklab/metrics/README.md`. With several classes (C > 1), the score
of an image is the mean over the classes that its truth or prediction contains.

Every class takes these options, and those of `torchmetrics.Metric`; one that is out of range raises ConfigError.

- `threshold` (0.5): probability above which a pixel is crack; without effect on masks, and for C > 1.
- `crack_free` ("score"): whether images without crack count in means over images; "skip" ignores them.
- `background` (True): whether channel 0 counts in means over several classes.
"""

from cracklab.metrics.torchmetrics.centerline import (
    Betti0Error,
    Bridged,
    CenterlineIoU,
    ClDice,
    PiecesPerCrack,
    SkeletonPrecision,
    SkeletonRecall,
)
from cracklab.metrics.torchmetrics.ratios import Dice, IoU, Precision, Recall
from cracklab.metrics.torchmetrics.surface import (
    AverageSurfaceDistance,
    BoundaryF1,
    BoundaryIoU,
    HausdorffDistance,
    HausdorffDistance95,
    SurfaceDice,
)

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
