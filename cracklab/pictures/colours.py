"""The colours of all pictures and plots: the palette of Okabe and Ito (2008), RGB, and the meaning of each colour.

Change the colours here; no other file states any.
"""

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (110, 110, 110)
BLUE, SKY_BLUE, GREEN = (0, 114, 178), (86, 180, 233), (0, 158, 115)
VERMILION, ORANGE, YELLOW, PURPLE = (213, 94, 0), (230, 159, 0), (240, 228, 66), (204, 121, 167)

HIT, NEAR_MISS, MISSED, FALSE_ALARM = BLUE, SKY_BLUE, VERMILION, YELLOW
"""Of all quadruples of the palette, the one that people with any kind of colour blindness tell apart best. Correct pixels
are blue, wrong ones warm."""

CRACK = VERMILION
"""A crack mask over its photo."""
TRUTH, PREDICTION = GREEN, VERMILION
"""True and predicted masks, where both are drawn over a photo."""
GAP = PURPLE
"""A bridged gap of a crack."""
CLASSES = (VERMILION, GREEN, SKY_BLUE, ORANGE, PURPLE, BLUE, YELLOW)
"""Masks of several classes, without the background."""
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK, GREY)
"""Lines and bars of a plot, in this order."""


def as_hex(colour: Colour) -> str:
    """Return a colour as matplotlib and HTML write it.

    Example:
        >>> as_hex(BLUE)
        '#0072B2'
    """
    return "#{:02X}{:02X}{:02X}".format(*colour)
