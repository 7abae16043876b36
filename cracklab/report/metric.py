"""The metric that a report compares: its name, which way is better, and where the files of a run hold it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cracklab import run_folder
from cracklab.errors import ConfigError
from cracklab.metrics.key import MetricKey
from cracklab.metrics.overlap import BINARY, COUNTS
from cracklab.metrics.protocols import PROTOCOLS
from cracklab.metrics.scores import SCORES
from cracklab.registry import nearest
from cracklab.report.statistics import Better, Quantity

NAMES = {
    "iou": "IoU", "dice": "Dice", "f1": "F1", "mean_iou": "mean IoU", "hd95_px": "HD95", "hd95_mm": "HD95", "hd100_px": "Hausdorff distance",
    "asd_px": "ASD", "boundary_iou": "Boundary IoU", "boundary_f1": "boundary F1", "surface_dice": "surface Dice", "cl_dice": "clDice",
    "cl_iou": "centre-line IoU",
}  # fmt: skip
"""Names of scores in sentences; all others are written as in their keys, with spaces."""
NO_SCORES = (
    "images",
    "threshold",
    "crack_share",
    "boundary_share",
    "width_px",
    "empty_truth",
    "empty_pred",
    "hd95_px_empty",
    "seen_share",
    "scale",
    "mm_per_px",
    "ods_threshold",
    "ois_threshold",
)
"""Names in test_metrics.json and protocols.json for which neither higher nor lower is better."""
OTHER_SCORES: dict[str, Better] = {
    "loss": "lower",
    "average_precision": "higher",
    "false_positive_px": "lower",
    "hd95_mm": "lower",
    "hd100_mm": "lower",
    "asd_mm": "lower",
}
"""Names in test_metrics.json beside `SCORES` for which higher or lower is better -> the better direction."""
COUNTS_OF_PIECES = ("pieces_per_crack", "betti0_error")
"""Scores that improve if the far half of a broken crack is erased: a report shows them, and ranks nothing by them."""


@dataclass(frozen=True)
class PerImage:
    """How a metric follows from per_image.csv: from the sums of some columns over images."""

    columns: tuple[str, ...]
    value: Callable[..., Any]
    """The metric, a function of the sum of each column and of the number of images."""


@dataclass(frozen=True)
class Metric:
    """One metric of test_metrics.json (`test/iou`, `native/iou`), or of a protocol in protocols.json (`krasniqi2026/iou@0.1`)."""

    key: str
    quantity: Quantity
    protocol: str
    """How the value is computed, in words."""
    curve: str | None
    """The same metric in metrics.csv; None for protocols."""
    per_image: PerImage | None
    """None if the value is not a function of sums over images, and for protocols but `native`."""
    rows: str = run_folder.PER_IMAGE
    """The file of the run with the rows of the images."""

    @property
    def label(self) -> str:
        """The name, the key and which way is better."""
        return f"{self.quantity.name} ({self.key}, {self.quantity.better} is better)"

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest value: 0 and 1 of ratios, 0 and infinity of distances; of all others they are not known."""
        score = SCORES.get(MetricKey.parse(self.key, staged=True).name)
        if score is None or score.empty == "truth":
            return -math.inf, math.inf
        return 0.0, 1.0 if score.empty == "ratio" else math.inf

    def text(self, value: float | None) -> str:
        """Return a value as text in its own scale, `-` if there is none."""
        return "-" if value is None or value != value else f"{value:.{2 if self.quantity.unit in ('px', 'mm') else 4}f}"


def parse_metric(key: str) -> Metric:
    """Return the metric that a key names.

    Args:
        key: `test/NAME` or `PROTOCOL/NAME`, by the grammar of `cracklab.metrics.key`.

    Raises:
        ConfigError: for a key without a stage, an unknown protocol or score, a quantity for which neither higher nor
            lower is better, or a score that counts pieces.

    Example:
        >>> parse_metric("test/hd95_px@0.1").label
        'HD95 (test/hd95_px@0.1, lower is better)'
    """
    parts = MetricKey.parse(key, staged=True)
    stage, column = parts.stage, replace(parts, stage=None)
    if not stage or not str(column) or stage in ("val", "train"):
        raise ConfigError(f"--metric {key!r}: give a key of test_metrics.json, such as test/iou, or PROTOCOL/NAME")
    if stage != "test" and stage not in PROTOCOLS:
        raise ConfigError(f"--metric {key!r}: no protocol is called {stage!r}{nearest(stage, ['test', *PROTOCOLS])}")
    if parts.name in NO_SCORES:
        raise ConfigError(f"--metric {key!r} describes the images: give a score for which higher or lower is better")
    if parts.name in COUNTS_OF_PIECES:
        raise ConfigError(
            f"--metric {key!r} counts pieces, so it improves if the far half of a broken crack is erased: rank by "
            f"{parts.named('bridged')}, which a gap lowers"
        )
    quantity = _quantity(column, _direction(parts))
    if stage != "test":
        protocol = PROTOCOLS[stage]
        warning = f" Warning: {protocol.warning}" if protocol.warning else ""
        words = f"protocol {stage}: {protocol.description}{warning}".rstrip(".")
        if protocol.native:
            return Metric(key, quantity, words, None, _per_image(column), run_folder.PER_IMAGE_NATIVE)
        return Metric(key, quantity, words, None, None)
    return Metric(key, quantity, _description(column), str(replace(parts, stage="val")), _per_image(column))


def _direction(key: MetricKey) -> Better:
    """Return the better direction of a score.

    Raises:
        ConfigError: for a score of which the direction is unknown, or that is better the closer it is to 1.
    """
    if key.stage != "test" and not PROTOCOLS[str(key.stage)].native:  # other protocols have names of their own
        return "lower" if key.name.endswith(("_px", "_mm")) else "higher"
    if key.name in OTHER_SCORES:
        return OTHER_SCORES[key.name]
    if key.name not in SCORES:
        known = [str(key.named(name)) for name in (*SCORES, *OTHER_SCORES)]
        raise ConfigError(
            f"--metric {str(key)!r}: no score is called {key.name!r} (one of your own needs --import with the file that registers "
            f"it, such as --import my_parts.py){nearest(str(key), known)}"
        )
    better = SCORES[key.name].better
    if better == "one":
        raise ConfigError(
            f"--metric {str(key)!r} is better the closer it is to 1: give a score for which higher or lower is better"
        )
    return better


def _quantity(key: MetricKey, better: Better) -> Quantity:
    """Return the name in words and the unit of a column."""
    unit = key.name[-2:] if key.name.endswith(("_px", "_mm")) else "points" if better == "higher" else ""
    name = NAMES.get(key.name, key.name.replace("_", " "))
    band = "" if key.band is None else f" ({_widths(key.band)})"
    of_class = f" of {key.label}" if key.label else ""
    return Quantity(name + band + of_class, better, unit, 100.0 if unit == "points" else 1.0)


def _widths(band: str) -> str:
    """Return the widths of cracks in a band, in words.

    Example:
        >>> _widths("w1_2"), _widths("w11")
        ('1-2 px', 'over 10 px')
    """
    least, _, most = band.removeprefix("w").partition("_")
    return f"{least}-{most} px" if most else f"over {int(least) - 1} px"


def _description(key: MetricKey) -> str:
    """Return how the value is computed, in words."""
    if key.variant == "average_precision":
        return "pooled over all pixels and thresholds"
    pooled = not key.image and (key.name in BINARY or key.band is not None)
    over = "pooled over all pixels of a run's test images" if pooled else "mean over a run's test images"
    return f"{over}, at threshold {key.threshold}" if key.threshold else f"{over}, at the checkpoint's threshold"


def _per_image(key: MetricKey) -> PerImage | None:
    """Return how the value follows from per_image.csv; None if it is not a function of sums over images."""
    if key.variant in BINARY:
        ratio = BINARY[key.name]
        return PerImage(
            tuple(str(key.named(count)) for count in COUNTS),
            lambda tp, fp, fn, tn, number: ratio(tp, fp, fn, tn),
        )
    if key.band is not None or key.name == "average_precision":
        return None
    return PerImage((str(replace(key, image=False)),), lambda total, number: total / number)
