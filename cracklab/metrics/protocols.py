"""Named protocols: the computations behind published numbers, all from the same rows.

A protocol that picks its threshold on the images that it reports on has a `warning`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from cracklab.errors import ConfigError
from cracklab.metrics import published
from cracklab.metrics.published import Rows, Values
from cracklab.registry import nearest


@dataclass(frozen=True)
class Protocol:
    """A published way to compute metrics from rows.

    Example:
        >>> Protocol(lambda rows: {"images": float(len(rows))}, "The number of images.").compute([{}, {}])
        {'images': 2.0}
    """

    compute: Callable[[Rows], Values]
    description: str
    """Definition of the values, and our decisions where the source is silent."""
    source: str = ""
    warning: str = ""
    several_classes: bool = False
    """Whether it is defined for several classes as well."""
    native: bool = False
    """Whether it is computed from the rows at the size of the files."""


def find_protocol(name: str) -> Protocol:
    """Return a protocol by name.

    Raises:
        ConfigError: for an unknown name; the message suggests the nearest one.

    Example:
        >>> find_protocol("chen2023").source
        'Chen 2023, Tables I to IV'
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"no protocol is called {name!r}{nearest(name, list(PROTOCOLS))}")
    return PROTOCOLS[name]


def run_protocol(name: str, rows: Rows) -> dict[str, Any]:
    """Return the values of one protocol, with its description.

    Args:
        name: key of `PROTOCOLS`.
        rows: of `Evaluator.rows`, of one class, with histograms (`Evaluator(curves=True)`); those at the size of the files
            for a protocol that is `native`.

    Returns:
        `protocol`, `what`, `source`, `warning` (words) and `values`, by name a finite number or None.

    Raises:
        ConfigError: for an unknown name, or rows without the columns that the protocol needs.

    Example:
        >>> run_protocol("per_image", [{"id": "a", "iou": 0.25}, {"id": "b", "iou": 0.75}])["values"]
        {'iou': 0.5}
    """
    protocol = find_protocol(name)
    if not protocol.several_classes and any("n_correct" in row for row in rows):
        raise ConfigError(f"the protocol {name!r} is defined for one class, and the data has several: leave it out")
    labels = {"protocol": name, "what": protocol.description, "source": protocol.source, "warning": protocol.warning}
    return {**labels, "values": protocol.compute(rows)}


def run_protocols(rows: Rows, native_rows: Rows | None = None) -> dict[str, dict[str, Any]]:
    """Return the results of all protocols by name; see `run_protocol`.

    A protocol that cannot be computed from the rows has only its name and the reason, `left_out`.

    Args:
        rows: at the size that the net sees.
        native_rows: at the size of the files; None if there are none.

    Example:
        >>> run_protocols([{"id": "a", "iou": 0.25}])["best_on_test"]["left_out"]
        'the rows hold no histograms: evaluate one class with Evaluator(curves=True)'
    """
    found: dict[str, dict[str, Any]] = {}
    for name, protocol in PROTOCOLS.items():
        chosen = native_rows if protocol.native else rows
        try:
            if chosen is None:
                raise ConfigError("only a test with a CrackDataModule knows the size of the files")
            found[name] = run_protocol(name, chosen)
        except ConfigError as error:
            found[name] = {"protocol": name, "left_out": str(error)}
    return found


def as_text(result: Mapping[str, Any]) -> str:
    """Return the result of a protocol as text: name, definition, source, warning and values, or the reason for none.

    Example:
        >>> print(as_text(run_protocol("per_image", [{"id": "a", "iou": 0.25}])))
        protocol per_image
        Means over images at the checkpoint's threshold; for images without crack, see cracklab/metrics/README.md.
          iou  0.2500
    """
    heading = f"protocol {result['protocol']}"
    if "left_out" in result:
        return f"{heading}: left out, {result['left_out']}"
    words = [result["what"], f"Source: {result['source']}" if result["source"] else ""]
    words += [f"WARNING: {result['warning']}" if result["warning"] else ""]
    values: Mapping[str, float | None] = result["values"]
    width = max(map(len, values))
    numbers = [f"  {name:{width}}  {'-' if v is None else f'{v:.4f}'}" for name, v in values.items()]
    return "\n".join([heading, *(fill(text, 120) for text in words if text), *numbers])


PROTOCOLS: Mapping[str, Protocol] = {
    "deepcrack_pooled": Protocol(
        published.deepcrack_pooled,
        "Counts of all images added up, threshold 0.5: global accuracy, class average accuracy and mean IoU with the "
        "background, precision, recall and F1 of crack.",
        "Liu 2019 (DeepCrack), sec. 4; the paper does not print its threshold",
    ),
    "per_image": Protocol(
        published.per_image,
        "Means over images at the checkpoint's threshold; for images without crack, see cracklab/metrics/README.md.",
        several_classes=True,
    ),
    "native": Protocol(
        published.native,
        "Probabilities resized to the size of their files (bilinear, as `cracklab predict`), scored there against the "
        "mask files at the checkpoint's threshold, so that runs at different data.resize can be compared. Lengths, and tolerances given "
        "in px, are in px of the file. With data.crop only the centre of a file is scored: seen_share is the share of its "
        "pixels, and runs with different crops cannot be compared. All scores are native/NAME in test_metrics.json.",
        several_classes=True,
        native=True,
    ),
    "krasniqi2026": Protocol(
        published.krasniqi2026,
        "IoU and Dice at threshold 0.1, means over images (its Dice is below 2 IoU / (1 + IoU), so they are not pooled). "
        "HD95 in px: the paper prints no threshold, so at 0.1 and at the checkpoint's.",
        "Krasniqi and Shehu 2026, Table 2",
    ),
    "ozcan2024": Protocol(
        published.ozcan2024,
        "Precision, recall, F1 and IoU at threshold 0.5, means over images; Dice of the probabilities, (2 sum p y + 1) / "
        "(sum p + sum y + 1). Our reading: it prints an F1 (0.6001) and a Dice (0.5609) that differ, so they cannot be of "
        "the same masks, and beside a mean IoU of 0.3824 the mean F1 of the same masks is at most 0.5533.",
        "Oezcan and Schmiedecke 2024, Table 1",
    ),
    "gul2023": Protocol(
        published.gul2023,
        "IoU and Dice of each class pooled over the set (of one class at threshold 0.5), mean over all classes with the "
        "background; Boundary IoU as a mean over images (of crack alone if there is one class), at the checkpoint's threshold "
        "and with the configured band; 2 % of the diagonal is the paper's.",
        "Guel 2023, sec. 2.1.6 and 4.3",
        several_classes=True,
    ),
    "chen2023": Protocol(
        published.chen2023,
        "IoU, F1, recall and precision of crack, counts of all images added up, threshold 0.5 (the paper prints none; its "
        "F1 is 2 IoU / (1 + IoU), which means over images are not). On 96 x 96 px for DeepCrack.",
        "Chen 2023, Tables I to IV",
    ),
    "deopujari2025": Protocol(
        published.deopujari2025,
        "Mean over crack and background of the pooled IoU, and of the pooled recall (mean pixel accuracy), threshold 0.5; "
        "and the plain accuracy, which is what its values look like.",
        "Deopujari 2025, sec. 3 and Table 1",
        several_classes=True,
    ),
    "scsegamba": Protocol(
        published.scsegamba,
        "Probabilities divided by the largest of their image, thresholds 0.00 to 0.99. ODS and mean IoU (with the "
        "background): the best over thresholds of the mean over images; OIS: the mean of each image's best F1; precision, "
        "recall and F1 pooled at threshold 0.00.",
        "Liu 2025 (SCSegamba), its evaluation code",
        "Thresholds are picked on the test images (an image's own for OIS), each image is rescaled by its own maximum, labels "
        "are resized, and precision, recall and F1 are not at the threshold of ODS: the values are ceilings, not to be "
        "compared with results at a threshold fixed before.",
    ),
    "omnicrack": Protocol(
        published.omnicrack,
        "Centre-line IoU with a tolerance of 4 px, counts added up per source data set, mean over sources. Centre lines "
        "are thinned from the masks at the checkpoint's threshold; needs the tolerance buffer_px at its default.",
        "Benz and Rodehorst 2024 (OmniCrack30k), its evaluation code",
    ),
    "best_on_test": Protocol(
        published.best_on_test,
        "ODS: the best pooled F1 of one threshold; OIS: the mean of each image's best F1; average precision of all pixels.",
        "Arbelaez 2011, sec. 3.1",
        "ODS and OIS pick thresholds on the test images: they are ceilings.",
    ),
}
"""Protocols by name."""
