"""Sizes of an image, relative to it, at which a net scores it."""

from collections.abc import Sequence

from cracklab.errors import ConfigError

SMALLEST, LARGEST = 1 / 16, 4.0
"""Smallest and largest of the scales that are fused; an image at a larger one fills the memory."""


def check_scales(scales: Sequence[float], given: str | None = None) -> None:
    """Check that there is at least one scale, each in range (not NaN) and none twice.

    Args:
        scales: sizes of an image, relative to it.
        given: as they were written.

    Raises:
        ConfigError: for scales that cannot be used.
    """
    if not scales or len(set(scales)) < len(scales) or not all(SMALLEST <= scale <= LARGEST for scale in scales):
        text = ",".join(map(str, scales)) if given is None else given
        raise ConfigError(
            f"scales is {text}: give different numbers from {SMALLEST:g} to {LARGEST:g}, such as 1 or 1,0.5"
        )
