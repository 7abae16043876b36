"""The scores of a test or a validation as text: five headline figures with their meanings, and a table of all scores."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from cracklab import run_folder
from cracklab.metrics.key import MetricKey
from cracklab.metrics.options import EvaluationOptions
from cracklab.metrics.protocols import as_text

Metrics = Mapping[str, float | None]
"""`stage/name` -> value; None if there was nothing to measure."""
HEADLINE = {
    "iou": ("IoU", "pixels that prediction and truth share, relative to all that either has"),
    "dice": ("Dice (= F1)", "the same overlap as the harmonic mean of precision and recall"),
    "boundary_iou": ("Boundary IoU", "IoU of the bands of {band} inside the outlines: how exact the edges are"),
    "cl_dice": ("clDice", "shares of the centre lines inside the other mask: gaps and false branches lower it"),
    "hd95_px": ("HD95", "95 % of each outline lies within this distance of the other; lower is better"),
}
"""Score -> its name in print and its meaning in one line."""
WIDTH = 120
"""Width of a line if the terminal does not say."""


def headline(metrics: Metrics, options: EvaluationOptions) -> str:
    """Return the headline figures of a test or a validation, one per line with its meaning.

    Args:
        metrics: of the test or the validation.
        options: of the evaluation.

    Example:
        >>> found = {"test/images": 2.0, "test/threshold": 0.5, "test/iou": 0.25, "test/hd95_px": None}
        >>> print(headline(found, EvaluationOptions()))
        2 test images at threshold 0.5; IoU and Dice over all pixels, the others as means over images:
          IoU   0.2500   pixels that prediction and truth share, relative to all that either has
          HD95  -        95 % of each outline lies within this distance of the other; lower is better
    """
    band = "2 % of the diagonal" if options.boundary_width_px is None else f"{options.boundary_width_px} px"
    stage, images = ("test", "test images") if "test/images" in metrics else ("val", "validation images")
    several = any(MetricKey.parse(name, staged=True).label is not None for name in metrics)
    how = ", means over classes" if several else f" at threshold {metrics[f'{stage}/threshold']:.4g}"
    rows = [
        (label, _figure(name, metrics[f"{stage}/{name}"]), meaning.format(band=band))
        for name, (label, meaning) in HEADLINE.items()
        if f"{stage}/{name}" in metrics
    ]
    longest, width = (max(len(row[i]) for row in rows) for i in (0, 1))
    number = metrics[f"{stage}/images"] or 0
    return "\n".join(
        [
            f"{number:.0f} {images}{how}; IoU and Dice over all pixels, the others as means over images:",
            *(f"  {label:{longest}}  {figure:{width}}   {meaning}" for label, figure, meaning in rows),
        ]
    )


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f} px" if name.endswith("_px") else f"{value:.4f}"


def as_printed(
    metrics: Metrics, options: EvaluationOptions, file: Path, verbose: bool, protocols: Sequence[str]
) -> str:
    """Return what `cracklab test` and `validate` print: the headline figures, the table of all scores, and protocols.

    Args:
        metrics: of the test or the validation.
        options: of the evaluation.
        file: of the metrics, in the run folder.
        verbose: whether to add the table.
        protocols: names of protocols to add.
    """
    parts = [headline(metrics, options)]
    if verbose:
        parts.append(f"all scores, as in {file}:\n{score_table(metrics)}")
    if protocols:
        results = json.loads((file.parent / run_folder.PROTOCOLS).read_text(encoding="utf-8"))
        parts += [as_text(results[name]) for name in protocols]
    return "\n\n".join(parts)


def score_table(metrics: Metrics, width: int | None = None) -> str:
    """Return all scores as a table: a row per name, a column per stage, and as many rows side by side as fit.

    Args:
        metrics: of the test or the validation.
        width: of a line; None: that of the terminal.

    Example:
        >>> print(score_table({"test/iou": 0.25, "test/images": 2.0, "native/iou": 0.34567}, 30))
                  test  native
        images       2
        iou     0.2500  0.3457
    """
    width = shutil.get_terminal_size((WIDTH, 24)).columns if width is None else width
    stages = sorted({name.partition("/")[0] for name in metrics}, reverse=True)
    names = sorted({name.partition("/")[2] for name in metrics})
    longest = max(map(len, names))
    blank = " " * longest
    heading = f"{blank}{''.join(f'{stage:>8}' for stage in stages)}"
    rows = [f"{name:{longest}}{''.join(_cell(metrics, f'{stage}/{name}') for stage in stages)}" for name in names]
    blocks = max(1, (width + 4) // (len(heading) + 4))
    height = -(-len(rows) // blocks)
    columns = [[heading, *rows[i : i + height]] for i in range(0, len(rows), height)]
    lines = ["    ".join(column[i] for column in columns if i < len(column)) for i in range(height + 1)]
    return "\n".join(line.rstrip() for line in lines)


def _cell(metrics: Metrics, name: str) -> str:
    if name not in metrics:
        return f"{'':8}"
    value = metrics[name]
    if value is None:
        return f"{'-':>8}"
    return f"{value:8.0f}" if value.is_integer() or abs(value) >= 1000 else f"{value:#8.4g}"
