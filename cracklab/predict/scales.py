"""Scales at which a photo is scored and the high threshold of its cracks: as asked for, or the default of the checkpoint."""

import os
from collections.abc import Sequence
from pathlib import Path

from cracklab.errors import ConfigError
from cracklab.weights import SHIPPED, WEIGHTS, ships

Scales = tuple[float, ...]
SCALES = (1 / 256, 16)
"""Smallest and largest scale at which a net may see photos, relative to their size; a larger one fills the memory."""
SMALLEST, LARGEST = 1 / 16, 4.0
"""Smallest and largest of the scales that are fused, relative to it; a photo at a larger one fills the memory."""
TRAINED: Scales = (1.0,)
"""Default of a checkpoint of a run: the scale of its training."""
HIGH_THRESHOLD = 0.0
"""Default of a checkpoint of a run: every piece of crack is kept."""
OF_CARDS: dict[str, tuple[Scales, float]] = {"cracks": ((1.0, 0.5, 0.25), HIGH_THRESHOLD)}
"""Scales and high threshold of the models that ship, by name. They are for any photo, so theirs were chosen on photos: see the card."""


def parse_scales(text: str) -> Scales:
    """Return the scales of the option `--scales`, numbers with commas between them.

    Raises:
        ConfigError: for anything else.

    Example:
        >>> parse_scales("1,0.5")
        (1.0, 0.5)
        >>> parse_scales("0,1")
        Traceback (most recent call last):
        cracklab.errors.ConfigError: scales is 0,1: give different numbers from 0.0625 to 4, such as 1 or 1,0.5
    """
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    check_scales(scales, text)
    return scales


def defaults_of(checkpoint: str | Path, weights: str | None, scale: tuple[float, float]) -> tuple[Scales, float]:
    r"""Return the scales and the high threshold of a checkpoint.

    They are those of the card for a model that ships and for a net that went on from it; else 1 and 0.

    Args:
        checkpoint: its file.
        weights: what its training started from, `model.weights`.
        scale: at which its net saw the training images; at another than (1, 1) the card does not count.

    Example:
        >>> defaults_of("best.ckpt", "cracklab:cracks", (1.0, 1.0)), defaults_of("best.ckpt", None, (1.0, 1.0))
        (((1.0, 0.5, 0.25), 0.0), ((1.0,), 0.0))
        >>> defaults_of("best.ckpt", "cracks", (1.0, 1.0)), defaults_of("best.ckpt", "\\0", (1.0, 1.0))
        (((1.0, 0.5, 0.25), 0.0), ((1.0,), 0.0))
    """
    name = ""
    if ships(checkpoint):
        name = Path(checkpoint).stem
    elif weights is not None:  # its name with or without the prefix, or its file
        path = Path(os.path.abspath(weights))  # without a look at the disk: a stranger's checkpoint may name any path
        name = path.stem if path.parent == WEIGHTS else weights.removeprefix(SHIPPED)
    of_run = TRAINED, HIGH_THRESHOLD
    return OF_CARDS.get(name, of_run) if scale == (1, 1) else of_run


def choose_scales(scales: Sequence[float] | None, defaults: Sequence[Scales]) -> Scales:
    """Return the scales asked for; without any, the default of the checkpoints, or 1 if they differ in it.

    Args:
        scales: relative to the scale at which the nets saw their training images.
        defaults: of the checkpoints.

    Raises:
        ConfigError: for scales that cannot be used.

    Example:
        >>> choose_scales(None, [(1.0, 0.5)]), choose_scales([2, 1], [(1.0,)])
        ((1.0, 0.5), (2.0, 1.0))
    """
    if scales is None:
        return defaults[0] if len(set(defaults)) == 1 else TRAINED
    check_scales(scales)
    return tuple(float(scale) for scale in scales)


def check_scales(scales: Sequence[float], given: str | None = None) -> None:
    """Check that there is at least one scale, each in range (not NaN) and none twice.

    Args:
        scales: relative to the scale at which the nets saw their training images.
        given: as they were written.

    Raises:
        ConfigError: for scales that cannot be used.
    """
    if not scales or len(set(scales)) < len(scales) or not all(SMALLEST <= scale <= LARGEST for scale in scales):
        text = ",".join(map(str, scales)) if given is None else given
        raise ConfigError(
            f"scales is {text}: give different numbers from {SMALLEST:g} to {LARGEST:g}, such as 1 or 1,0.5"
        )


def choose_high_threshold(given: float | None, defaults: Sequence[float], num_classes: int) -> float:
    """Return the high threshold asked for; without any, the default of the checkpoints, or 0 if they differ in it.

    Args:
        given: a probability.
        defaults: of the checkpoints.
        num_classes: of several classes, the most probable one is taken, and there is no threshold.

    Raises:
        ConfigError: for anything but a probability, or with several classes.

    Example:
        >>> choose_high_threshold(None, [0.85], num_classes=1), choose_high_threshold(0, [0.85], num_classes=1)
        (0.85, 0.0)
        >>> choose_high_threshold(85, [0.0], num_classes=1)
        Traceback (most recent call last):
        cracklab.errors.ConfigError: high_threshold is 85: give a probability from 0 (keep every piece of crack) to below 1
    """
    if given is None:
        return defaults[0] if num_classes == 1 and len(set(defaults)) == 1 else HIGH_THRESHOLD
    if isinstance(given, str) or not 0 <= given < 1:
        raise ConfigError(
            f"high_threshold is {given!r}: give a probability from 0 (keep every piece of crack) to below 1"
        )
    if given and num_classes > 1:
        raise ConfigError(f"high_threshold is {given:g}, but the net has {num_classes} classes: leave it out")
    return float(given)
