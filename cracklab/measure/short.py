"""Short cracks: the number that a minimum length leaves out, and a proposed minimum length that leaves out specks."""

from collections.abc import Collection

import numpy as np

from cracklab.measure.measurement import Measurement

SHARE = 0.05
"""Greatest share of the total length in cracks that are proposed to be left out."""
MANY = 1 / 3
"""Least share of the number of cracks in them; fewer are not worth a line."""


def describe_ignored(measurements: Collection[Measurement]) -> str:
    """Return a line on the cracks that were left out, empty if there are none.

    Example:
        >>> print(describe_ignored([Measurement((), 20, 30, min_length_px=50.0, ignored=3, ignored_length_px=60.0)]))
        3 cracks shorter than the minimum length are left out, 60 px in total (100.0 % of the length)
    """
    number = sum(one.ignored for one in measurements)
    if not number:
        return ""
    unit = next(iter(measurements)).unit[0]
    ignored = sum(one.ignored_length_px * one.unit[1] for one in measurements)
    kept = sum(crack.length_px * one.unit[1] for one in measurements for crack in one.cracks)
    share = ignored / (ignored + kept) if ignored else 0.0
    return (
        f"{number} crack{'s' * (number != 1)} shorter than the minimum length {'are' if number != 1 else 'is'} left out, "
        f"{ignored:.0f} {unit} in total ({share:.1%} of the length)".replace("%", " %")
    )


def propose_min_length(measurements: Collection[Measurement]) -> str:
    """Return a line that proposes a minimum length, empty if a length was given or short cracks are few.

    The proposal is the largest length of 1, 2 or 5 times a power of ten such that shorter cracks have at most 5 % of the length; they are
    at least a third of all cracks.

    Example:
        >>> from cracklab.measure import measure_mask
        >>> mask = np.zeros((200, 300), bool)
        >>> mask[10, 10:290] = True
        >>> mask[40:180:40, 10:13] = True  # four specks of 3 px
        >>> print(propose_min_length([measure_mask(mask, mm_per_px=0.5)]))
        4 of 5 cracks are shorter than 100 mm, 6 mm in total (4.1 % of the length): --min_length_mm 100 leaves them out
    """
    if not measurements or any(one.min_length_px for one in measurements):
        return ""
    unit = next(iter(measurements)).unit[0]
    lengths = np.array([crack.length_px * one.unit[1] for one in measurements for crack in one.cracks])
    if not len(lengths) or not lengths.min() > 0:
        return ""
    powers = range(int(np.floor(np.log10(lengths.min()))), int(np.ceil(np.log10(lengths.max()))) + 1)
    for limit in sorted((step * 10.0**power for power in powers for step in (1, 2, 5)), reverse=True):
        short = lengths[lengths < limit]
        if short.sum() <= SHARE * lengths.sum():
            break
    if len(short) < MANY * len(lengths):
        return ""
    share = short.sum() / lengths.sum()
    return (
        f"{len(short)} of {len(lengths)} cracks are shorter than {limit:g} {unit}, {short.sum():.0f} {unit} in total "
        f"({share:.1%} of the length): --min_length_{unit} {limit:g} leaves them out".replace("%", " %", 1)
    )
