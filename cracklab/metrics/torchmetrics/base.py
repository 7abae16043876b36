"""The bases of the torchmetrics classes: numbers of each image, gathered from all processes, repeated images dropped."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from cracklab.errors import ConfigError
from cracklab.logits import predicted_mask
from cracklab.metrics.aggregate import aggregate
from cracklab.metrics.options import CrackFree, EvaluationOptions
from cracklab.metrics.overlap import confusion
from cracklab.metrics.pairs import check_masks, counted_pixels, sizes_of
from cracklab.metrics.rows import class_suffixes, costly_columns, mean, overlap_rows, thread_pool
from cracklab.metrics.scores import SCORES, SCORES_OF

Ids = Sequence[str | int] | Tensor
"""One id per image."""
Values = NDArray[np.float64]
"""(N, K), K numbers for each image."""


class GatheredMetric(Metric):
    """Keeps K numbers for each image and gathers them from all processes before it computes a value.

    The state is one flat int64 tensor of records: length of the record, 128-bit hash of the image's id (0 without id),
    and K float64 numbers as bits. This form has three reasons. torchmetrics concatenates flat states of different
    lengths, that of a process without images too. Integers keep their bits under `module.to(torch.bfloat16)`. And
    repeated images can be found after the gathering.

    Args:
        content: identifies the numbers: metrics with equal content share their state in a `MetricCollection`, and all others
            must not, even if their first batches give equal numbers.
        threshold: probability above which a pixel is crack.
        **kwargs: of `torchmetrics.Metric`.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, content: str, threshold: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        # MetricCollection takes states of one name and equal values for the same state
        self._state = f"records_{blake2b(content.encode(), digest_size=4).hexdigest()}"
        self.add_state(self._state, [], dist_reduce_fx="cat")

    @property
    def dtype(self) -> torch.dtype:
        """Type of the state; torchmetrics reads it to make the empty state of a process without images."""
        return torch.int64

    def update(
        self,
        pred: Tensor,
        target: Tensor,
        valid: Tensor | None = None,
        ids: Ids | None = None,
        sizes: Tensor | None = None,
    ) -> None:
        """Add a batch of images.

        Args:
            pred: (B, C, H, W), masks (bool, or integers 0 / 1) or floating-point probabilities. Probabilities become masks
                by p > `threshold` for C = 1, and by the most probable class for C > 1.
            target: (B, C, H, W), 0 / 1 of any type.
            valid: (B, 1, H, W), 0 / 1; pixels with 0 are ignored. None: every pixel counts.
            ids: one per image. Of images with the same id, on any process, only the first counts, so that images
                which a `DistributedSampler` repeats are dropped. None: every image counts, repeated ones twice.
            sizes: (B, 2), height and width of each image, px; the padding below and to the right of it is ignored, and the
                diagonal is that of the image. None: H, W.

        Raises:
            ConfigError: for shapes that do not match, probabilities outside of 0 to 1 (logits), masks other than 0 / 1.
        """
        pred, target = _predictions(pred, self.threshold), _mask("target", target)
        check_masks(pred, target, valid)
        extents = sizes_of(pred, sizes)
        values = self._measure(pred, target, counted_pixels(pred, valid, extents), extents)
        length = torch.full((len(values), 1), 3 + values.shape[1])
        bits = torch.from_numpy(values).view(torch.int64)
        records = torch.cat([length, _hashes(ids, len(values)), bits], 1).flatten()
        getattr(self, self._state).append(records.to(self.device))

    def compute(self) -> Tensor:
        """Return the value over all images as a scalar; NaN if there was nothing to measure."""
        value = self._aggregate(self._values())
        return torch.tensor(torch.nan if value is None else value, device=self.device)

    @abstractmethod
    def _measure(self, pred: Tensor, target: Tensor, valid: Tensor | None, sizes: list[list[int]]) -> Values:
        """Return the numbers of each image, (B, K).

        Args:
            pred: (B, C, H, W) bool.
            target: (B, C, H, W) bool.
            valid: (B, 1, H, W) bool, False in the padding too; None: every pixel counts.
            sizes: height and width of each image.
        """

    @abstractmethod
    def _aggregate(self, values: Values) -> float | None:
        """Return the metric of images from their numbers; None if there is nothing to measure."""

    def _values(self) -> Values:
        """Return the numbers of each image that counts, (N, K)."""
        state = getattr(self, self._state)
        flat = (dim_zero_cat(state) if len(state) else torch.zeros(0, dtype=torch.int64)).cpu()
        if not len(flat):
            return np.zeros((0, 0))
        length = int(flat[0])
        records = flat[: len(flat) // length * length].reshape(-1, length).numpy()
        if len(flat) % length or (records[:, 0] != length).any():
            raise ConfigError(f"{type(self).__name__} got images of different numbers of classes: give all the same C")
        named = records[:, 1:3].any(1)
        first = np.unique(records[named, 1:3], axis=0, return_index=True)[1]
        counted = np.concatenate([records[~named], records[named][np.sort(first)]])
        return np.ascontiguousarray(counted[:, 3:]).view(np.float64)


class ImageScore(GatheredMetric):
    """Base of the scores of single images: the mean over the images that have a value.

    Args:
        own: options that this score reads, beside those of all classes.
        threshold: see `cracklab.metrics.torchmetrics`.
        crack_free: see `cracklab.metrics.torchmetrics`.
        background: see `cracklab.metrics.torchmetrics`.
        **kwargs: of `torchmetrics.Metric`.
    """

    score: ClassVar[str]
    """Name in `cracklab.metrics.scores.SCORES`; a subclass sets it."""

    def __init_subclass__(cls) -> None:
        cls.higher_is_better = {"higher": True, "lower": False, "one": None}[SCORES[cls.score].better]

    def __init__(
        self,
        own: Mapping[str, Any],
        *,
        threshold: float = 0.5,
        crack_free: CrackFree = "score",
        background: bool = True,
        **kwargs: Any,
    ) -> None:
        groups = [group for group, names in SCORES_OF.items() if self.score in names]
        options = EvaluationOptions(
            threshold=float(threshold), crack_free=crack_free, background=background, groups=groups, **own
        )
        super().__init__(f"{self.score} {options}", threshold, **kwargs)
        self.options = options

    def _measure(self, pred: Tensor, target: Tensor, valid: Tensor | None, sizes: list[list[int]]) -> Values:
        if valid is not None:
            pred, target = pred & valid, target & valid
        counted = [True] * len(pred) if valid is None else valid.flatten(1).any(1).tolist()
        classes = class_suffixes(pred.shape[1], self.options.background)
        preds, targets = pred.cpu().numpy(), target.cpu().numpy()

        def measure(i: int) -> float:
            if not counted[i]:
                return np.nan
            height, width = sizes[i]
            masks = preds[i, :, :height, :width], targets[i, :, :height, :width]
            value = costly_columns(self.options, classes, *masks, {})[self.score]
            return np.nan if value is None else float(value)

        return np.array(list(thread_pool().map(measure, range(len(pred)))))[:, None]

    def _aggregate(self, values: Values) -> float | None:
        return mean([None if np.isnan(value) else value for value in values.flatten().tolist()])


class PooledRatio(GatheredMetric):
    """Base of the ratios of pixel counts, pooled: the counts of all images are added up before the ratio is taken.

    With several classes: the mean over the classes that the truth or the prediction of any image contains.

    Args:
        per_image: take the ratio of each image instead, and return the mean over images.
        threshold: see `cracklab.metrics.torchmetrics`.
        crack_free: see `cracklab.metrics.torchmetrics`; without effect on pooled values.
        background: see `cracklab.metrics.torchmetrics`.
        **kwargs: of `torchmetrics.Metric`.
    """

    ratio: ClassVar[str]
    """Name in `cracklab.metrics.overlap.RATIOS`; a subclass sets it."""
    higher_is_better = True

    def __init__(
        self,
        *,
        per_image: bool = False,
        threshold: float = 0.5,
        crack_free: CrackFree = "score",
        background: bool = True,
        **kwargs: Any,
    ) -> None:
        options = EvaluationOptions(threshold=float(threshold), crack_free=crack_free, background=background)
        super().__init__(f"counts {options.threshold}", threshold, **kwargs)
        self.options, self.per_image = options, per_image

    def _measure(self, pred: Tensor, target: Tensor, valid: Tensor | None, sizes: list[list[int]]) -> Values:
        counts = confusion(pred, target, valid)  # (4, B, C)
        return counts.permute(1, 0, 2).flatten(1).cpu().numpy().astype(np.float64)

    def _aggregate(self, values: Values) -> float | None:
        if not len(values):
            return None
        counts = values.astype(np.int64).reshape(len(values), 4, 1, -1).transpose(1, 2, 0, 3)  # (4, 1, N, C)
        classes = class_suffixes(counts.shape[-1], self.options.background)
        rows = overlap_rows(counts, [(suffix, 0, c) for suffix, c in classes.items()], self.options.crack_free)
        return aggregate(rows)[f"{self.ratio}_image" if self.per_image else self.ratio]


def _predictions(pred: Tensor, threshold: float) -> Tensor:
    if not pred.is_floating_point():
        return _mask("pred", pred)
    if pred.ndim != 4:
        raise ConfigError(f"pred is {tuple(pred.shape)}: expected (B, C, H, W)")
    if not ((pred >= 0) & (pred <= 1)).all():  # NaN too
        raise ConfigError(
            f"pred has values from {pred.min().item():g} to {pred.max().item():g}: expected probabilities, such as "
            "cracklab.logits.probabilities(logits), or a bool mask"
        )
    return predicted_mask(pred, threshold)


def _mask(name: str, values: Tensor) -> Tensor:
    if values.dtype == torch.bool:
        return values
    if ((values != 0) & (values != 1)).any():
        raise ConfigError(f"{name} has values other than 0 and 1: give one 0 / 1 channel per class, (B, C, H, W)")
    return values > 0


def _hashes(ids: Ids | None, images: int) -> Tensor:
    """Return a 128-bit hash of each id, (B, 2) int64; 0 without ids."""
    if ids is not None and len(ids) != images:
        raise ConfigError(f"ids has {len(ids)} values for {images} images: give one each")
    if ids is None or not images:  # frombuffer takes no empty buffer
        return torch.zeros(images, 2, dtype=torch.int64)
    names = ids.tolist() if isinstance(ids, Tensor) else list(ids)
    digests = b"".join(blake2b(str(name).encode(), digest_size=16).digest() for name in names)
    return torch.frombuffer(bytearray(digests), dtype=torch.int64).reshape(images, 2)
