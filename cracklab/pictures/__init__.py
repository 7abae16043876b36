"""Pictures of photos, masks and errors, shared by callbacks, prediction, measurement, reports and notebooks.

Curves and histograms are in `cracklab.pictures.plots`, since matplotlib takes a second to import.
"""

from cracklab.pictures.colours import FALSE_ALARM, HIT, MISSED, NEAR_MISS
from cracklab.pictures.compose import (
    Image,
    as_rgb,
    error_kinds,
    error_overlay,
    heatmap,
    legend,
    mask_image,
    overlay,
    side_by_side,
    stack_rows,
)

__all__ = [
    "FALSE_ALARM",
    "HIT",
    "MISSED",
    "NEAR_MISS",
    "Image",
    "as_rgb",
    "error_kinds",
    "error_overlay",
    "heatmap",
    "legend",
    "mask_image",
    "overlay",
    "side_by_side",
    "stack_rows",
]
