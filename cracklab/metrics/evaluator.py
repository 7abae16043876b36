"""The one evaluator: a row per image, exactly once, and every number from the rows."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from cracklab.errors import ConfigError
from cracklab.metrics.aggregate import COUNTS, Row, aggregate, mean
from cracklab.metrics.boundary import check_width, image_boundary_iou
from cracklab.metrics.overlap import RATIOS, confusion, predicted
from cracklab.metrics.surface import check_empty, image_hausdorff95

SHARE = 0.9
"""Share of the truth that is boundary, above which Boundary IoU says nothing that IoU does not."""


class Evaluator:
    """Collects one row per image from every process and aggregates them in float64.

    `update` per batch, then `rows` once on every process, then `compute`. A row holds `id`, the columns given,
    `crack_share`, and for the checkpoint's threshold (no suffix) and each stated one (`@0.5`) the counts `tp`, `fp`,
    `fn`, `tn` in px and the ratios `iou`, `dice`, `precision`, `recall`; for the checkpoint's also `hd95_px`,
    `hd95_px_empty` (1 where the policy for an empty mask decided), `boundary_iou` and `boundary_share`.

    Policies. Ratios: truth and prediction both empty 1, one of them empty 0. HD95: both empty 0, one empty the image's
    diagonal. Boundary IoU: both empty 1. An image without a counted pixel has None everywhere, and is in no mean.
    Several classes are predicted by argmax (no thresholds), named `iou/CLASS`, and the plain name is the mean over those
    that the truth or the prediction contains (pooled: anywhere, else per image); a class that neither contains is None.
    If there is none at all, the policy for one class holds.

    Args:
        thresholds: further thresholds than the checkpoint's.
        boundary_width_px: width of the band of Boundary IoU, px; None: 2 % of the image's diagonal.
        empty: distance in px where exactly one mask is empty; `diagonal` is the image's.
        background: several classes: whether channel 0 is one of them.
        surface: whether to measure distances and boundaries, which cost most.
        class_names: one name per channel, for several classes; None: their indices.

    Raises:
        ConfigError: for a value out of its range.
    """

    def __init__(
        self,
        *,
        thresholds: Sequence[float] = (0.5,),
        boundary_width_px: int | None = None,
        empty: Literal["diagonal"] | float = "diagonal",
        background: bool = True,
        surface: bool = True,
        class_names: Sequence[str] | None = None,
    ) -> None:
        for threshold in thresholds:
            if not 0 <= threshold <= 1:
                raise ConfigError(f"a threshold is {threshold}: expected probabilities, 0 to 1")
        check_width(boundary_width_px)
        check_empty(empty)
        self.thresholds = tuple(thresholds)
        self.threshold = 0.5
        """The checkpoint's threshold; metrics without `@` are at it."""
        self.boundary_width_px = boundary_width_px
        self.empty = empty
        self.background = background
        self.surface = surface
        self.class_names = class_names
        self._rows: list[Row] = []
        self._warned = False

    def reset(self) -> None:
        """Forget all rows."""
        self._rows = []

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
        thresholds = list(dict.fromkeys([self.threshold, *self.thresholds])) if channels == 1 else [self.threshold]
        sizes = [list(probabilities.shape[2:])] * len(ids) if size is None else size.tolist()
        counted = _counted(probabilities, valid, sizes)
        truth = mask > 0.5
        preds = [predicted(probabilities, threshold) for threshold in thresholds]
        counts = torch.stack([confusion(pred, truth, counted) for pred in preds], 1).cpu().numpy()  # (4, K, B, C)
        rows = self._overlaps(counts, thresholds)
        if self.surface:
            masks = [(m if counted is None else m & counted).cpu().numpy() for m in (preds[0], truth)]
            for i, (height, width) in enumerate(sizes):
                if counts[:, 0, i, 0].any():
                    rows[i] |= self._surfaces(*(m[i, :, :height, :width] for m in masks))
        for i, (name, row) in enumerate(zip(ids, rows, strict=True)):
            self._rows.append({"id": name} | {key: _plain(values[i]) for key, values in columns.items()} | row)

    def rows(self) -> list[Row]:
        """Rows of all processes, one per image, sorted by id; every process has to call it."""
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
        if share is not None and share > SHARE and first and not self._warned:
            self._warned = True
            warnings.warn(
                f"{share:.0%} of the truth is within the band of Boundary IoU, which therefore is nearly plain IoU: "
                f"set boundary_width_px (now {self.boundary_width_px or '2 % of the diagonal'}) to less than half a crack's width",
                stacklevel=2,
            )
        return result

    def _classes(self, channels: int) -> dict[str, int]:
        """Suffix to channel: no suffix for one class, `/NAME` for several."""
        if channels == 1:
            return {"": 0}
        names = self.class_names or [str(c) for c in range(channels)]
        if len(names) != channels:
            raise ConfigError(f"{len(names)} class names for {channels} channels: name each channel once")
        return {f"/{name}": c for c, name in enumerate(names) if c > 0 or self.background}

    def _overlaps(self, counts: NDArray[np.int64], thresholds: list[float]) -> list[Row]:
        """Counts and ratios of each image of a batch, from counts (4, K thresholds, B, C)."""
        channels = counts.shape[-1]
        cells = [(suffix, 0, c) for suffix, c in self._classes(channels).items()]
        if channels == 1:
            cells += [(f"@{threshold:g}", thresholds.index(threshold), 0) for threshold in self.thresholds]
        ratios = {name: ratio(*counts[:3]) for name, ratio in RATIOS.items()}
        rows: list[Row] = []
        for i, total in enumerate(counts[:, 0, :, 0].sum(0).tolist()):
            row: Row = {}
            if channels == 1:
                row["crack_share"] = int(counts[::2, 0, i, 0].sum()) / total if total else None  # TP + FN
            for suffix, k, c in cells:
                there = total > 0 and (channels == 1 or counts[:3, k, i, c].any())
                row |= {name + suffix: values[k, i, c].item() if there else None for name, values in ratios.items()}
                row |= dict(zip((name + suffix for name in COUNTS), counts[:, k, i, c].tolist(), strict=True))
            if channels > 1:
                row |= _means(row, RATIOS, empty=1.0 if total else None)
            rows.append(row)
        return rows

    def _surfaces(self, pred: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Row:
        """Distances and boundaries of one image, from masks (C, H, W) of what counts."""
        classes = self._classes(len(pred))
        row: Row = {"hd95_px_empty": 0}
        for suffix, c in classes.items():
            some = bool(pred[c].any()), bool(truth[c].any())
            row["hd95_px_empty"] |= some[0] != some[1]
            there = any(some) or len(pred) == 1
            overlap, share = image_boundary_iou(pred[c], truth[c], self.boundary_width_px)
            row["hd95_px" + suffix] = image_hausdorff95(pred[c], truth[c], self.empty) if there else None
            row["boundary_iou" + suffix] = overlap if there else None
            row["boundary_share" + suffix] = share if some[1] else None
        if len(pred) > 1:
            row |= _means(row, ["hd95_px"], empty=0.0) | _means(row, ["boundary_iou"], empty=1.0)
            row |= _means(row, ["boundary_share"], empty=None)
        return row | {"hd95_px_empty": int(row["hd95_px_empty"])}


def _means(row: Row, names: Iterable[str], empty: float | None) -> Row:
    """The mean of each name over the classes that the image has; `empty` if it has none."""
    found = {name: [value for key, value in row.items() if key.startswith(name + "/")] for name in names}
    return {name: mean(values, empty) for name, values in found.items()}


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
