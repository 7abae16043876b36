"""Scales at which a photo is scored, as asked for or by default of the checkpoint, and the high threshold of its cracks."""

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
OF_CARDS: dict[str, Scales] = {"cracks": (1.0, 0.5, 0.25)}
"""Default of the models that ship, by name. They are for photos of unknown scale, so theirs was chosen on photos: see the card."""


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


def default_scales(checkpoint: str | Path, weights: str | None, scale: tuple[float, float]) -> Scales:
    r"""Return the default of a checkpoint: for a model that ships, and for a net that went on from it, those of its card; else 1.

    Args:
        checkpoint: its file.
        weights: what its training started from, `model.weights`.
        scale: at which its net saw the training images; at another than (1, 1) the card does not count.

    Example:
        >>> default_scales("best.ckpt", "cracklab:cracks", (1.0, 1.0)), default_scales("best.ckpt", None, (1.0, 1.0))
        ((1.0, 0.5, 0.25), (1.0,))
        >>> default_scales("best.ckpt", "cracks", (1.0, 1.0)), default_scales("best.ckpt", "\\0", (1.0, 1.0))
        ((1.0, 0.5, 0.25), (1.0,))
    """
    name = ""
    if ships(checkpoint):
        name = Path(checkpoint).stem
    elif weights is not None:  # its name with or without the prefix, or its file
        path = Path(os.path.abspath(weights))  # without a look at the disk: a stranger's checkpoint may name any path
        name = path.stem if path.parent == WEIGHTS else weights.removeprefix(SHIPPED)
    return OF_CARDS.get(name, TRAINED) if scale == (1, 1) else TRAINED


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


def choose_high_threshold(given: float | None, num_classes: int) -> float:
    """Return the high threshold asked for; without any 0, which keeps every piece of crack.

    Args:
        given: a probability.
        num_classes: of several classes, the most probable one is taken, and there is no threshold.

    Raises:
        ConfigError: for anything but a probability, or with several classes.

    Example:
        >>> choose_high_threshold(None, num_classes=1), choose_high_threshold(0.85, num_classes=1)
        (0.0, 0.85)
        >>> choose_high_threshold(85, num_classes=1)
        Traceback (most recent call last):
        cracklab.errors.ConfigError: high_threshold is 85: give a probability from 0 (keep every piece of crack) to below 1
    """
    if given is None:
        return 0.0
    if isinstance(given, str) or not 0 <= given < 1:
        raise ConfigError(
            f"high_threshold is {given!r}: give a probability from 0 (keep every piece of crack) to below 1"
        )
    if given and num_classes > 1:
        raise ConfigError(f"high_threshold is {given:g}, but the net has {num_classes} classes: leave it out")
    return float(given)
