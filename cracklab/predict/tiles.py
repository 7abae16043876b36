"""Probabilities of a photo of any size, in tiles."""

from typing import Any

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from numpy.typing import NDArray
from torch import Tensor

from cracklab.data.images import Array
from cracklab.data.transform import EvalTransform
from cracklab.module import CrackModule

MULTIPLE = 32
"""Sides of tiles are multiples of this, which nets that halve five times need, px."""


@torch.inference_mode()
def probabilities(
    module: CrackModule, transform: EvalTransform, photo: Array, tile: int = 512, overlap: float = 0.25, batch: int = 1
) -> NDArray[np.float32]:
    """Probabilities (C, H, W) of a photo (H, W, 3) RGB, at the photo's own size.

    The photo is brought to the scale that the net was trained at, scored in overlapping tiles whose seams are blended
    (MONAI's sliding window, Gaussian weights), and the probabilities are brought back to the photo's size.

    Args:
        module: net and activation, in evaluation mode.
        transform: how photos were prepared in training.
        photo: (H, W, 3) uint8 RGB.
        tile: side of the tiles, px at the net's scale.
        overlap: share of a tile that its neighbour covers too.
        batch: tiles at a time.
    """
    image = transform.photo(photo)[None].to(module.device)
    height, width = image.shape[2:]
    window = [min(tile, -(-side // MULTIPLE) * MULTIPLE) for side in (height, width)]
    padded = _mirrored(image, window)
    scored: Any = sliding_window_inference(
        padded, window, batch, lambda part: module.probabilities(module(part)), overlap=overlap, mode="gaussian"
    )
    scored = scored[..., :height, :width]
    if scored.shape[2:] != photo.shape[:2]:
        scored = torch.nn.functional.interpolate(scored, photo.shape[:2], mode="bilinear", align_corners=False)
    return np.asarray(scored[0].cpu().numpy(), np.float32)


def _mirrored(image: Tensor, window: list[int]) -> Tensor:
    """Pad a photo smaller than a tile by its mirror image, at the bottom and the right; a border of black looks like a crack."""
    down, across = (max(0, least - side) for least, side in zip(window, image.shape[2:], strict=True))
    if not down and not across:
        return image
    rows, columns = (
        np.pad(np.arange(side), (0, more), mode="reflect")
        for side, more in zip(image.shape[2:], (down, across), strict=True)
    )
    return image[:, :, torch.from_numpy(rows)][..., torch.from_numpy(columns)]
