"""The evaluator: one row per image, and all metrics from the rows."""

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
from cracklab.metrics.pairs import counted_pixels, sizes_of
from cracklab.metrics.rows import Row, class_suffixes, costly_columns, overlap_rows, thread_pool

MAX_PENDING = 32
"""Images whose costly scores may be waiting for a thread."""
MAX_PENDING_PX = 1 << 26
"""The same in pixels, for large images: each takes a byte in every mask of its image."""
TRIVIAL_SHARE = 0.9
"""Share of the truth that is boundary, above which Boundary IoU is nearly plain IoU."""


class Evaluator:
    """Collects one row per image on all processes, and aggregates the rows in float64.

    Call `update` for each batch, then `rows` once on every process, then `compute`. A row holds `id`, the given columns, and
    the counts `tp`, `fp`, `fn`, `tn` in px with their ratios, at the checkpoint's threshold (no suffix) and at each stated one
    (`@0.5`). At the checkpoint's threshold it also holds the costly scores, which `README.md` in this folder defines. Threads
    compute these while the caller continues.

    Policies for empty masks are in `cracklab.metrics.scores`. An image without a counted pixel is excluded from all means.
    Several classes are predicted by argmax, without thresholds, and named `iou/CLASS`. The plain name is the mean over the classes that truth
    or prediction contain, in the image or, for pooled values, anywhere. A class that neither contains is None. If that holds
    for all classes, the policy for one class applies.

    Args:
        options: scores, thresholds and policies.
        costly: whether to compute the costly scores; may be changed before any `update`.
        curves: whether rows hold histograms (of a single class), which curves, protocols and the choice of a threshold need.
        class_names: one name per channel, for several classes; None: their indices.

    Example:
        >>> evaluator = Evaluator(EvaluationOptions(thresholds=[]), costly=False)
        >>> evaluator.update(["a"], torch.tensor([[[[0.9, 0.8, 0.7, 0.1]]]]), torch.tensor([[[[1.0, 1.0, 0.0, 1.0]]]]))
        >>> evaluator.compute(evaluator.rows())["iou"]  # TP, FP, FN = 2, 1, 1
        0.5
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
        """The checkpoint's threshold: that of all metrics without `@`."""
        self._rows: list[Row] = []
        self._pending: list[tuple[Row, Future[Row]]] = []
        self._warned = False

    def reset(self) -> None:
        """Drop all rows."""
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
            ids: B names; of rows with the same id, on any process, only the first counts.
            probabilities: (B, C, H, W), any floating dtype and device.
            mask: (B, C, H, W), 0 / 1.
            valid: (B, 1, H, W), 0 / 1; pixels with 0 are ignored. None: every pixel counts.
            size: (B, 2), height and width of the image, px; the padding below and to the right of it is ignored. None: H, W.
            columns: further columns of the rows, B values each: numbers, of which the mean is reported, or words.

        Raises:
            ConfigError: for shapes or lengths that do not match.
        """
        columns = {} if columns is None else columns
        _check(ids, probabilities, mask, valid, columns)
        channels = probabilities.shape[1]
        thresholds = (
            list(dict.fromkeys([self.threshold, *self.options.thresholds])) if channels == 1 else [self.threshold]
        )
        sizes = sizes_of(probabilities, size)
        counted = counted_pixels(probabilities, valid, sizes)
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
            # an image without a counted pixel has no costly scores
            more = self.options.surface_thresholds if channels == 1 else ()
            masks = [preds[0], truth, *(predicted_mask(probabilities, threshold) for threshold in more)]
            on_cpu = [(mask if counted is None else mask & counted).cpu().numpy() for mask in masks]
            for i, (height, width) in enumerate(sizes):
                if counts[:, 0, i, 0].any():
                    self._submit(rows[i], [mask[i, :, :height, :width] for mask in on_cpu])

    def rows(self) -> list[Row]:
        """Return the rows of all processes, one per image, sorted by id; all processes must call it."""
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
        """Return the metrics of all rows or some; see `aggregate`. Warn once if Boundary IoU is nearly plain IoU."""
        result = aggregate(rows)
        share = result.get("boundary_share")
        first = not (dist.is_available() and dist.is_initialized() and dist.get_rank() > 0)
        if share is not None and share > TRIVIAL_SHARE and first and not self._warned:
            self._warned = True
            warnings.warn(_nearly_iou(share, self.options.boundary_width_px), stacklevel=2)
        return result

    def _classes(self, channels: int) -> dict[str, int]:
        return class_suffixes(channels, self.options.background, self.class_names)

    def _submit(self, row: Row, masks: list[NDArray[np.bool_]]) -> None:
        """Start to compute the costly scores of one image.

        Args:
            row: of the image; gets the scores.
            masks: (C, h, w): prediction, truth, and predictions at the further thresholds for HD95.
        """
        pred, truth, *others = masks
        classes = self._classes(len(pred))
        more = dict(zip(self.options.surface_thresholds, others, strict=False))  # several classes have none
        future = thread_pool().submit(costly_columns, self.options, classes, pred, truth, more, row.get("mm_per_px"))
        self._pending.append((row, future))
        waiting = max(1, min(MAX_PENDING, MAX_PENDING_PX // truth.size))
        if len(self._pending) > waiting:  # bounds the masks in memory
            self._pending[-waiting][1].result()


def _nearly_iou(share: float, width_px: int | None) -> str:
    """Return the reason why Boundary IoU is nearly IoU, and the remedy."""
    if width_px == 1:
        band, remedy = "1 px, the narrowest there is", "masks as thin as these are all edge, so read IoU alone"
    else:
        band = "2 % of the diagonal" if width_px is None else f"{width_px} px"
        remedy = (
            "for a score of the edges, lower model.evaluation.boundary_width_px (`cracklab check` recommends a width)"
        )
    return f"Boundary IoU is nearly IoU here, since {100 * share:.0f} % of the pixels of the true masks lie in its band of {band}: {remedy}"


def _plain(value: float | str) -> float | str | None:
    """Return a value that JSON and CSV can hold: None for a number that is not finite."""
    if isinstance(value, str):
        return value
    return value if math.isfinite(value) else None


def _check(
    ids: Sequence[str],
    probabilities: Tensor,
    mask: Tensor,
    valid: Tensor | None,
    columns: Mapping[str, Sequence[float | str]],
) -> None:
    if probabilities.ndim != 4 or probabilities.shape != mask.shape:
        raise ConfigError(
            f"probabilities are {tuple(probabilities.shape)} and mask is {tuple(mask.shape)}: expected (B, C, H, W) for both"
        )
    images, _, height, width = probabilities.shape
    if valid is not None and valid.shape != (images, 1, height, width):
        raise ConfigError(f"valid is {tuple(valid.shape)}: expected {(images, 1, height, width)}")
    for name, values in {"ids": ids, **columns}.items():
        if len(values) != images:
            raise ConfigError(f"{name} has {len(values)} values for {images} images: give one each")
