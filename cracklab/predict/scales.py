"""Scales at which a photo is scored: those that were asked for, or the default of the checkpoint."""

from collections.abc import Sequence
from pathlib import Path

from cracklab.errors import ConfigError
from cracklab.weights import ships

Scales = tuple[float, ...]
SMALLEST, LARGEST = 1 / 16, 4.0
"""Smallest and largest scale; a photo at a larger one fills the memory."""
TRAINED: Scales = (1.0,)
"""Default of a checkpoint of a run: the scale of its training."""
SHIPPED: dict[str, Scales] = {"cracks": (1.0, 0.5, 0.25)}
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
    _check(scales, text)
    return scales


def choose_scales(scales: Sequence[float] | None, checkpoints: Sequence[str | Path]) -> Scales:
    """Return the scales asked for; without any, those of a model that ships, or 1 for other checkpoints.

    Args:
        scales: relative to the scale at which the nets saw their training images.
        checkpoints: their files; several have one default only if they agree in it, else 1.

    Raises:
        ConfigError: for scales that cannot be used.

    Example:
        >>> choose_scales(None, ["best.ckpt"]), choose_scales([2, 1], ["best.ckpt"])
        ((1.0,), (2.0, 1.0))
    """
    if scales is None:
        defaults = {SHIPPED.get(Path(path).stem, TRAINED) if ships(path) else TRAINED for path in checkpoints}
        return defaults.pop() if len(defaults) == 1 else TRAINED
    _check(scales, ",".join(map(str, scales)))
    return tuple(float(scale) for scale in scales)


def _check(scales: Sequence[float], given: str) -> None:
    """Check that there is at least one scale, each in range (not NaN) and none twice."""
    if not scales or len(set(scales)) < len(scales) or not all(SMALLEST <= scale <= LARGEST for scale in scales):
        raise ConfigError(
            f"scales is {given}: give different numbers from {SMALLEST:g} to {LARGEST:g}, such as 1 or 1,0.5"
        )
