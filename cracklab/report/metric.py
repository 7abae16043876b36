"""What a metric key means: its name, which way is better, and where it stands in the files of a run."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cracklab.errors import ConfigError
from cracklab.metrics.overlap import BINARY
from cracklab.metrics.protocols import PROTOCOLS
from cracklab.metrics.scores import SCORES
from cracklab.registry import nearest
from cracklab.report.statistics import Quantity

NAMES = {
    "iou": "IoU", "dice": "Dice", "f1": "F1", "mean_iou": "mean IoU", "hd95_px": "HD95", "hd95_mm": "HD95", "hd100_px": "Hausdorff distance",
    "asd_px": "ASD", "boundary_iou": "Boundary IoU", "boundary_f1": "boundary F1", "surface_dice": "surface Dice", "cl_dice": "clDice",
    "cl_iou": "centre-line IoU",
}  # fmt: skip
"""How a score is written in a sentence, where its key will not do."""
NO_SCORES = ("images", "threshold", "crack_share", "boundary_share", "width_px", "empty_truth", "empty_pred")
"""Keys of test_metrics.json that are neither good nor bad."""
BAND = re.compile(r"_w\d+(_\d+)?$")


@dataclass(frozen=True)
class PerImage:
    """How per_image.csv makes a value: columns of each image, and from their sums over images the value."""

    columns: tuple[str, ...]
    value: Callable[..., Any]
    """Of the columns' sums and the number of images."""


@dataclass(frozen=True)
class Metric:
    """One metric of test_metrics.json (`test/iou`), or of a protocol in protocols.json (`krasniqi2026/iou@0.1`)."""

    key: str
    quantity: Quantity
    protocol: str
    """How the number is made, in words."""
    curve: str | None
    """The same metric in metrics.csv; protocols have none."""
    per_image: PerImage | None
    """None where the value is no function of sums over images, and for protocols."""

    @property
    def label(self) -> str:
        """Name, key and which way is better."""
        way = {"higher": "higher is better", "lower": "lower is better", "one": "1 is best"}[self.quantity.better]
        return f"{self.quantity.name} ({self.key}, {way})"

    def text(self, value: float | None) -> str:
        """A value in its own scale."""
        return "-" if value is None or value != value else f"{value:.{2 if self.quantity.unit in ('px', 'mm') else 4}f}"


def parse_metric(key: str) -> Metric:
    """What a key means.

    Args:
        key: `test/NAME`, also with `_image`, `@THRESHOLD`, `_wBAND` or `/CLASS`, or `PROTOCOL/NAME`.

    Raises:
        ConfigError: for a key without a stage, and for one that is neither good nor bad.
    """
    stage, slash, rest = key.partition("/")
    if not slash or not rest or stage in ("val", "train"):
        raise ConfigError(f"--metric {key!r}: give a key of test_metrics.json, test/iou, or PROTOCOL/NAME")
    if stage != "test" and stage not in PROTOCOLS:
        raise ConfigError(f"--metric {key!r}: no protocol is called {stage!r}{nearest(stage, ['test', *PROTOCOLS])}")
    name, _, where = rest.partition("@")
    threshold, _, label = where.partition("/") if where else ("", "", name.partition("/")[2])
    name = name.partition("/")[0]
    base = BAND.sub("", name.removesuffix("_image"))
    if base in NO_SCORES:
        raise ConfigError(f"--metric {key!r} is a fact, not a score: name one of which more or less is better")
    lower = base == "loss" or base.endswith(("_px", "_mm", "_error"))
    better = SCORES[base].better if base in SCORES else "lower" if lower else "higher"
    unit = base[-2:] if base.endswith(("_px", "_mm")) else "points" if better == "higher" else ""
    shown = NAMES.get(base, base.replace("_", " ")) + name.removeprefix(base).replace("_", " ").replace(" image", "")
    of_class = f" of {label}" if label else ""
    quantity = Quantity(shown + of_class, better, unit, 100.0 if unit == "points" else 1.0)
    if stage != "test":
        made = PROTOCOLS[stage]
        warning = f" Warning: {made.warning}" if made.warning else ""
        return Metric(key, quantity, f"protocol {stage}: {made.what}{warning}".rstrip("."), None, None)
    at = f"at threshold {threshold}" if threshold else "at the checkpoint's threshold"
    what = f"{_how(name, base)}, {at}" if name != "average_precision" else "pooled over all pixels and thresholds"
    return Metric(key, quantity, what, f"val/{rest}", _per_image(name, base, rest))


def _how(name: str, base: str) -> str:
    if name.endswith("_image"):
        return "mean over a run's test images"
    if base in BINARY or name != base:
        return "pooled over all pixels of a run's test images"
    return "mean over a run's test images"


def _per_image(name: str, base: str, rest: str) -> PerImage | None:
    suffix = rest.removeprefix(name)
    if name == base and base in BINARY:
        ratio = BINARY[base]
        return PerImage(
            tuple(f"{count}{suffix}" for count in ("tp", "fp", "fn", "tn")),
            lambda tp, fp, fn, tn, number: ratio(tp, fp, fn, tn),
        )
    if name not in (base, f"{base}_image") or name == "average_precision":
        return None
    return PerImage((base + suffix,), lambda total, number: total / number)
