"""The summary of a check: figures of the data, and recommended settings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cracklab.check.examine import CheckReport, ExaminedPair
from cracklab.data import plan
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.planned import Length, planned
from cracklab.data.statistics import Statistics
from cracklab.losses.entropy import margin_for
from cracklab.losses.topology import iterations_for

SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
"""Bin edges of the histogram of crack shares."""
BOUNDARY_SHARE = 0.9
"""Above this share of the crack pixels in its band, Boundary IoU is almost plain IoU."""


def summarise(report: CheckReport) -> dict[str, Any]:
    """Return figures and recommended settings, in the order of display, in plain types."""
    sound = report.sound
    if not sound:
        return {"images": 0}
    areas = [pair.size[0] * pair.size[1] for pair in sound]
    return {
        "images": len(sound),
        "photos": report.photos,
        "sides": {side: len(positions) for side, positions in report.splits.by_side().items()},
        "sizes": {"smallest": _size(sound[int(np.argmin(areas))]), "largest": _size(sound[int(np.argmax(areas))])},
        "encodings": dict(Counter(pair.encoding for pair in sound if pair.encoding)),
        "crack_share": sum(pair.crack_px for pair in sound) / max(sum(pair.valid_px for pair in sound), 1),
        "crack_share_histogram": _histogram([pair.crack_px / max(pair.valid_px, 1) for pair in sound]),
        **_after_transform(sound),
    }


def _after_transform(sound: Sequence[ExaminedPair]) -> dict[str, Any]:
    """Return the figures of the masks at the size that the net sees, and recommended settings."""
    before, after = (sum(pair.components[i] for pair in sound) for i in (0, 1))
    width = _width_percentiles(sound)
    depths = _total([pair.depths for pair in sound])
    intersection, union, _ = np.sum([pair.label_noise for pair in sound], axis=0)
    distances = [pair.label_noise[2] for pair in sound if pair.label_noise[1]]
    return {
        "components": {"before_resize": before, "after_resize": after},
        "width_px": width,
        "label_noise_1px": {
            "iou": float(intersection / union) if union else None,
            "hd95_px": float(np.mean(distances)) if distances else None,
        },
        "recommended": _recommended(sound, width, depths) if depths.any() else {},
    }


def plan_of(report: CheckReport, data: CrackDataModule, trainer: Length) -> plan.Plan:
    """Return the plan of a fit on all sound pairs.

    Args:
        report: of the data.
        data: its settings.
        trainer: the settings of the trainer that decide the length; gets the number of epochs.
    """
    records = [pair.record for pair in report.sound]
    positions, images = data.split_plan.planned_images(records, report.splits)
    measured = [report.sound[i] for i in plan.sample(positions)]
    sizes = [data.transform.padded_size(*data.transform.prepared_size(*pair.size)) for pair in measured]
    chosen = data.choose(sizes, _width_percentiles(measured)["p95"], images)
    return planned(data, records, report.splits, sizes, chosen, trainer)


def _recommended(
    sound: Sequence[ExaminedPair], width: Mapping[str, float], depths: NDArray[np.int64]
) -> dict[str, Any]:
    """Return settings of losses and metrics that fit these cracks."""
    share = float(depths.sum() / sum(pair.prepared_px for pair in sound))
    statistics = Statistics(len(sound), share, width["p5"], width["p50"], width["p95"])
    in_band = np.cumsum(depths) / depths.sum()
    boundary = max(1, int(np.flatnonzero(in_band <= BOUNDARY_SHARE)[-1]))
    return {
        "margin": margin_for(statistics),
        "boundary_width_px": boundary,
        "share_in_boundary": float(in_band[boundary]),
        "cl_dice_iterations": iterations_for(statistics),
    }


def _size(pair: ExaminedPair) -> str:
    return f"{pair.size[1]} x {pair.size[0]}"


def _histogram(shares: Sequence[float]) -> dict[str, int]:
    """Return the number of images by crack share; `0` counts images without crack."""
    counts = np.histogram([share for share in shares if share], SHARES)[0].tolist()
    names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(SHARES)]
    return {"0": sum(share == 0 for share in shares), **dict(zip(names, counts, strict=True))}


def _total(histograms: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the sum of histograms of different lengths."""
    total = np.zeros(max(map(len, histograms)), np.int64)
    for histogram in histograms:
        total[: len(histogram)] += histogram
    return total


def _width_percentiles(pairs: Sequence[ExaminedPair]) -> dict[str, float]:
    """Return percentiles of the crack width, px, interpolated as `np.percentile` does; 0 without cracks."""
    values, counts = (np.concatenate([pair.widths[part] for pair in pairs]) for part in (0, 1))
    order = np.argsort(values, kind="stable")
    values, reached = values[order].astype(float), np.cumsum(counts[order])
    found = {}
    for p in (5, 50, 95):
        rank = p / 100 * (reached[-1] - 1) if len(reached) else 0
        low, high = np.searchsorted(reached, [np.floor(rank), np.ceil(rank)], side="right")
        found[f"p{p}"] = float(values[low] + (values[high] - values[low]) * (rank % 1)) if len(reached) else 0.0
    return found
