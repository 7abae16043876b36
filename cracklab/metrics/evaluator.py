"""The one evaluator: a row per image, exactly once, and every number from the rows."""

import math
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from cracklab.errors import ConfigError
from cracklab.logits import predicted_mask
from cracklab.metrics.aggregate import aggregate
from cracklab.metrics.curves import histograms
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.overlap import confusion
from cracklab.metrics.rows import Row, class_suffixes, costly_columns, overlap_rows, thread_pool

MAX_PENDING = 32
"""Images whose costly scores may wait."""
TRIVIAL_SHARE = 0.9
"""Share of the truth that is boundary, above which Boundary IoU says nothing that IoU does not."""


class Evaluator:
    """Collects one row per image from every process and aggregates them in float64.

    `update` per batch, then `rows` once on every process, then `compute`. A row holds `id`, the columns given, and for
    the checkpoint's threshold (no suffix) and each stated one (`@0.5`) the counts `tp`, `fp`, `fn`, `tn` in px and their
    ratios; for the checkpoint's also the costly scores, which README.md here defines one by one. Those are computed in
    threads while the caller goes on.

    Policies. Ratios: truth and prediction both empty 1, one of them empty 0. Distances: both empty 0, one empty the
    image's diagonal. An image without a counted pixel is in no mean. Several classes are predicted by argmax (no
    thresholds), named `iou/CLASS`, and the plain name is the mean over those that the truth or the prediction contains
    (pooled: anywhere, else per image); a class that neither contains is None. If there is none at all, the policy for one
    class holds.

    Args:
        options: scores, thresholds and policies.
        costly: whether to compute the costly scores; may be changed before any `update`.
        curves: whether rows hold histograms (one class), from which thresholds, curves and protocols follow.
        class_names: one name per channel, for several classes; None: their indices.
    """

    def __init__(
        self,
        options: EvaluationOptions = EvaluationOptions(),  # noqa: B008 - frozen
        *,
        costly: bool = True,
        curves: bool = False,
        class_names: Sequence[str] | None = None,
    ) -> None:
        self.options, self.costly, self.curves, self.class_names = options, costly, curves, class_names
        self.threshold = options.first_threshold
        """The checkpoint's threshold; metrics without `@` are at it."""
        self._rows: list[Row] = []
        self._pending: list[tuple[Row, Future[Row]]] = []
        self._warned = False

    def reset(self) -> None:
        """Forget all rows."""
        for _, future in self._pending:
            future.cancel()
        self._rows, self._pending = [], []

    @torch.no_grad()
    def update(
        self,
        ids: Sequence[str],
        probabilities: Tensor,
        mask: Tensor,
        valid: Tensor | None = None,
        size: Tensor | None = None,
        columns: Mapping[str, Sequence[float | str]] | None = None,
    ) -> None:
        """Add a row for each image of a batch.

        Args:
            ids: B unique names; of two rows with one id, gathered from several processes, the first counts.
            probabilities: (B, C, H, W), any floating dtype and device.
            mask: (B, C, H, W), 0 / 1.
            valid: (B, 1, H, W), 0 / 1; pixels with 0 count nowhere. None: every pixel counts.
            size: (B, 2), height and width of what counts, px, top left; None: all of H x W.
            columns: further values, B each: numbers (their mean is reported) or words.

        Raises:
            ConfigError: for shapes or lengths that do not fit together.
        """
        columns = {} if columns is None else columns
        _check(ids, probabilities, mask, valid, size, columns)
        channels = probabilities.shape[1]
        thresholds = (
            list(dict.fromkeys([self.threshold, *self.options.thresholds])) if channels == 1 else [self.threshold]
        )
        sizes = [list(probabilities.shape[2:])] * len(ids) if size is None else size.tolist()
        counted = _counted(probabilities, valid, sizes)
        truth = mask > 0.5
        preds = [predicted_mask(probabilities, threshold) for threshold in thresholds]
        counts = torch.stack([confusion(pred, truth, counted) for pred in preds], 1).cpu().numpy()  # (4, K, B, C)
        cells = [(suffix, 0, c) for suffix, c in self._classes(channels).items()]
        if channels == 1:
            cells += [(f"@{threshold:g}", thresholds.index(threshold), 0) for threshold in self.options.thresholds]
        rows = overlap_rows(counts, cells, self.options.crack_free)
        if self.curves and channels == 1:
            for row, histogram in zip(rows, histograms(probabilities, truth, counted), strict=True):
                row["histogram"] = histogram
        rows = [
            {"id": name} | {key: _plain(values[i]) for key, values in columns.items()} | row
            for i, (name, row) in enumerate(zip(ids, rows, strict=True))
        ]
        self._rows += rows
        if self.costly:
            more = self.options.surface_thresholds if channels == 1 else ()
            masks = [preds[0], truth, *(predicted_mask(probabilities, threshold) for threshold in more)]
            on_cpu = [(mask if counted is None else mask & counted).cpu().numpy() for mask in masks]
            for i, (height, width) in enumerate(sizes):
                if counts[:, 0, i, 0].any():
                    self._submit(rows[i], [mask[i, :, :height, :width] for mask in on_cpu])

    def rows(self) -> list[Row]:
        """Rows of all processes, one per image, sorted by id; every process has to call it."""
        for row, future in self._pending:
            row |= future.result()
        self._pending = []
        gathered = [self._rows]
        if dist.is_available() and dist.is_initialized():
            gathered = [[] for _ in range(dist.get_world_size())]
            dist.all_gather_object(gathered, self._rows)
        unique: dict[str, Row] = {}
        for row in (row for part in gathered for row in part):
            unique.setdefault(row["id"], row)
        return [unique[name] for name in sorted(unique)]

    def compute(self, rows: Sequence[Row]) -> dict[str, float | None]:
        """What rows, all of them or a part, come to; see `aggregate`. Warns once where Boundary IoU says nothing."""
        result = aggregate(rows)
        share = result.get("boundary_share")
        first = not (dist.is_available() and dist.is_initialized() and dist.get_rank() > 0)
        if share is not None and share > TRIVIAL_SHARE and first and not self._warned:
            self._warned = True
            warnings.warn(
                f"{share:.0%} of the truth is within the band of Boundary IoU, which therefore is nearly plain IoU: "
                f"set boundary_width_px (now {self.options.boundary_width_px or '2 % of the diagonal'}) to less than half a crack's width",
                stacklevel=2,
            )
        return result

    def _classes(self, channels: int) -> dict[str, int]:
        return class_suffixes(channels, self.options.background, self.class_names)

    def _submit(self, row: Row, masks: list[NDArray[np.bool_]]) -> None:
        """Have the costly scores of one image computed, from masks (C, h, w): prediction, truth, further predictions."""
        classes, more = (
            self._classes(len(masks[0])),
            dict(zip(self.options.surface_thresholds, masks[2:], strict=False)),
        )
        future = thread_pool().submit(
            costly_columns, self.options, classes, masks[0], masks[1], more, row.get("mm_per_px")
        )
        self._pending.append((row, future))
        if len(self._pending) > MAX_PENDING:  # so that no more masks than these wait in memory
            self._pending[-MAX_PENDING][1].result()


def _counted(probabilities: Tensor, valid: Tensor | None, sizes: list[list[int]]) -> Tensor | None:
    """What counts, (B, 1, H, W) bool, or None where that is everything."""
    height, width = probabilities.shape[2:]
    inside = None if valid is None else valid > 0
    if all(size == [height, width] for size in sizes):
        return inside
    extent = torch.tensor(sizes, device=probabilities.device)[:, :, None, None, None]
    rows = torch.arange(height, device=probabilities.device)[:, None] < extent[:, 0]
    here = rows & (torch.arange(width, device=probabilities.device) < extent[:, 1])
    return here if inside is None else here & inside


def _plain(value: float | str) -> float | str | None:
    """A value that JSON and CSV hold: a number that is not finite becomes None."""
    if isinstance(value, str):
        return value
    return value if math.isfinite(value) else None


def _check(
    ids: Sequence[str],
    probabilities: Tensor,
    mask: Tensor,
    valid: Tensor | None,
    size: Tensor | None,
    columns: Mapping[str, Sequence[float | str]],
) -> None:
    if probabilities.ndim != 4 or probabilities.shape != mask.shape:
        raise ConfigError(
            f"probabilities are {tuple(probabilities.shape)} and mask is {tuple(mask.shape)}: expected (B, C, H, W) for both"
        )
    images, _, height, width = probabilities.shape
    if valid is not None and valid.shape != (images, 1, height, width):
        raise ConfigError(f"valid is {tuple(valid.shape)}: expected {(images, 1, height, width)}")
    if size is not None and size.shape != (images, 2):
        raise ConfigError(f"size is {tuple(size.shape)}: expected {(images, 2)}, height and width of each image")
    for name, values in {"ids": ids, **columns}.items():
        if len(values) != images:
            raise ConfigError(f"{name} has {len(values)} values for {images} images: give one each")
