"""Pictures of predictions, shared by callbacks, prediction, reports and notebooks.

Curves and histograms are in `cracklab.pictures.plots`, since matplotlib takes a second to import.
"""

from cracklab.pictures.compose import (
    FALSE,
    HIT,
    MISSED,
    NEAR,
    Image,
    Mask,
    as_map,
    as_picture,
    as_rgb,
    errors,
    kinds,
    legend,
    overlay,
    side_by_side,
    stacked,
)

__all__ = [
    "FALSE",
    "HIT",
    "MISSED",
    "NEAR",
    "Image",
    "Mask",
    "as_map",
    "as_picture",
    "as_rgb",
    "errors",
    "kinds",
    "legend",
    "overlay",
    "side_by_side",
    "stacked",
]
