"""What the doctor's findings come to: numbers of the data, and settings that follow from them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cracklab.check.examine import WIDTH_STEP, Examined, Report
from cracklab.data.datamodule import CrackDataModule
from cracklab.data.statistics import Statistics
from cracklab.losses.entropy import margin_for
from cracklab.losses.topology import iterations_for

SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
"""Bounds of the histogram of crack shares."""
BOUNDARY_SHARE = 0.9
"""Above this share of crack pixels in its band, Boundary IoU is nearly plain IoU."""


def summarise(report: Report, data: CrackDataModule) -> dict[str, Any]:
    """Numbers and recommendations, in the order in which they are shown; plain types, for JSON."""
    sound = [one for one in report.examined if one.sound]
    if not sound:
        return {"images": 0}
    areas = [one.size[0] * one.size[1] for one in sound]
    return {
        "images": len(sound),
        "photos": len({record.group for record in report.records}),
        "sides": {side: len(positions) for side, positions in report.splits.by_side().items()},
        "sizes": {"smallest": _size(sound[int(np.argmin(areas))]), "largest": _size(sound[int(np.argmax(areas))])},
        "encodings": dict(Counter(one.encoding for one in sound if one.encoding)),
        "crack_share": float(np.average([one.share for one in sound], weights=areas)),
        "crack_share_histogram": _histogram([one.share for one in sound]),
        **_after_transform(sound, data),
    }


def _after_transform(sound: Sequence[Examined], data: CrackDataModule) -> dict[str, Any]:
    """What is measured of the masks as the net sees them, and what follows."""
    before, after = (sum(one.components[i] for one in sound) for i in (0, 1))
    width = _percentiles(_total([one.widths for one in sound]))
    depths = _total([one.depths for one in sound])
    hits, union, _ = np.sum([one.shifted for one in sound], axis=0)
    distances = [one.shifted[2] for one in sound if one.shifted[1]]
    return {
        "components": {"before_resize": before, "after_resize": after},
        "width_px": width,
        "label_noise_1px": {
            "iou": float(hits / union) if union else None,
            "hd95_px": float(np.mean(distances)) if distances else None,
        },
        "recommended": _recommended(sound, data, width, depths) if union else {},
    }


def _recommended(
    sound: Sequence[Examined], data: CrackDataModule, width: Mapping[str, float], depths: NDArray[np.int64]
) -> dict[str, Any]:
    """Settings of losses and metrics that fit these cracks."""
    pixels = [_prepared_pixels(one, data) for one in sound]
    share = float(depths.sum() / max(sum(pixels), 1))
    statistics = Statistics(len(sound), share, width["p5"], width["p50"], width["p95"])
    in_band = np.cumsum(depths) / max(depths.sum(), 1)
    narrow = np.flatnonzero(in_band <= BOUNDARY_SHARE)
    boundary = max(1, int(narrow[-1]) if narrow.size else 1)
    side = float(np.median([min(one.size) for one in sound]))
    crop = 32 * round(np.clip(32 * width["p95"], 256, 768) / 32)
    return {
        "margin": margin_for(statistics),
        "boundary_width_px": boundary,
        "share_in_boundary": float(in_band[min(boundary, len(in_band) - 1)]),
        "cl_dice_iterations": iterations_for(statistics),
        "train_crop": crop if side > 1.5 * crop and data.transform.resize is None else None,
    }


def _prepared_pixels(one: Examined, data: CrackDataModule) -> int:
    height, width = data.transform.prepared_size(*one.size)
    return height * width


def _size(one: Examined) -> str:
    return f"{one.size[1]} x {one.size[0]}"


def _histogram(shares: Sequence[float]) -> dict[str, int]:
    """Number of images by crack share; images without crack apart."""
    counts = np.histogram([share for share in shares if share], SHARES)[0].tolist()
    names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(SHARES)]
    return {"0": sum(share == 0 for share in shares), **dict(zip(names, counts, strict=True))}


def _total(counts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Sum of counts of several lengths."""
    total = np.zeros(max(len(one) for one in counts), np.int64)
    for one in counts:
        total[: len(one)] += one
    return total


def _percentiles(counts: NDArray[np.int64]) -> dict[str, float]:
    """Percentiles of widths that are counted in steps."""
    if not counts.sum():
        return {"p5": 0.0, "p50": 0.0, "p95": 0.0}
    reached = np.cumsum(counts) / counts.sum()
    return {f"p{p}": float(np.searchsorted(reached, p / 100)) * WIDTH_STEP for p in (5, 50, 95)}
