"""Scales at which a net scores an image, relative to its size."""

from collections.abc import Sequence
from textwrap import shorten

from cracklab.errors import ConfigError

SMALLEST, LARGEST = 1 / 16, 4.0
"""Smallest and largest of the scales that are fused; an image at a larger one fills the memory."""
MOST = 8
"""Largest number of scales that are fused."""


def check_scales(scales: Sequence[float], given: str | None = None) -> None:
    """Check that there is at least one scale, each in range (not NaN) and none twice.

    Args:
        scales: sizes of an image, relative to it.
        given: as they were written.

    Raises:
        ConfigError: for scales that cannot be used.
    """
    fits = 0 < len(scales) <= MOST and len(set(scales)) == len(scales)
    if not fits or not all(SMALLEST <= scale <= LARGEST for scale in scales):
        text = shorten(str(list(scales)) if given is None else given, 60)
        example = "[1.0, 0.5]" if given is None else "1,0.5"
        raise ConfigError(
            f"scales is {text}: give 1 to {MOST} different numbers from {SMALLEST:g} to {LARGEST:g}, such as {example}"
        )
