"""Scales at which a photo is scored, as asked for or by default of the checkpoint, and the high threshold of its cracks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cracklab.errors import ConfigError, RunError
from cracklab.scales import check_scales
from cracklab.weights import ships

Scales = tuple[float, ...]
SCALES = (1 / 256, 16)
"""Smallest and largest scale at which a net may see photos, relative to their size; a larger one fills the memory."""
OF_CARDS: dict[str, Scales] = {"cracks": (1.0, 0.5, 0.25)}
"""Default of the models that ship, by name. They are for photos of unknown scale, so theirs was chosen on photos: see the card."""
ONCE: Scales = (1.0,)
"""Default of a net that was evaluated at the scale of its training alone."""


def parse_scales(text: str) -> Scales:
    """Return the scales of the option `--scales`, numbers with commas between them.

    Raises:
        ConfigError: for anything else.

    Example:
        >>> parse_scales("1,0.5")
        (1.0, 0.5)
        >>> parse_scales("0,1")
        Traceback (most recent call last):
        cracklab.errors.ConfigError: scales is 0,1: give 1 to 8 different numbers from 0.0625 to 4, such as 1,0.5
    """
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    check_scales(scales, text)
    return scales


def default_scales(checkpoint: str | Path, evaluated: Any) -> Scales:
    """Return the default of a checkpoint: the scales at which its threshold was chosen; of a model that ships, those of its card.

    Args:
        checkpoint: its file.
        evaluated: `model.scales` of its configuration; None if it has none.

    Raises:
        RunError: for scales that cannot be used.

    Example:
        >>> default_scales("best.ckpt", [1, 0.5]), default_scales("best.ckpt", None)
        ((1.0, 0.5), (1.0,))
    """
    if ships(checkpoint):
        return OF_CARDS[Path(checkpoint).stem]
    if evaluated is None:
        return ONCE
    if not isinstance(evaluated, list | tuple) or not all(type(scale) in (int, float) for scale in evaluated):
        raise RunError(f"checkpoint {checkpoint} has model.scales {evaluated!r}, not a list of numbers")
    try:
        check_scales(evaluated)
    except ConfigError as error:
        raise RunError(f"checkpoint {checkpoint}: {error}") from error
    return tuple(float(scale) for scale in evaluated)


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
        return defaults[0] if len(set(defaults)) == 1 else ONCE
    check_scales(scales)
    return tuple(float(scale) for scale in scales)


def choose_high_threshold(given: float | None, num_classes: int) -> float:
    """Return the high threshold asked for; without any 0, which keeps every piece of crack.

    Args:
        given: a probability.
        num_classes: with several, the most probable class is taken, without a threshold.

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
