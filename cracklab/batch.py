"""What is in a sample and in a batch: names, shapes, units.

Shapes: B images, C_in image channels (3 or 1), C classes (1 for crack or not), H x W pixels.
"""

from typing import TypedDict

from torch import Tensor


class Sample(TypedDict):
    """One image as a worker hands it out, after every operation that moves pixels."""

    id: str
    image: Tensor
    """(C_in, H, W) uint8, RGB or grey."""
    mask: Tensor
    """(1, H, W) uint8, class index; 0 / 1 for cracks."""
    valid: Tensor
    """(1, H, W) bool; False where a pixel counts nowhere (ignore label, padding)."""
    maps: dict[str, Tensor]
    """Target maps that the loss named, each (C, H, W) float32, px."""
    size: tuple[int, int]
    """(height, width) in px before the batch was padded; what is evaluated."""


class Batch(TypedDict):
    """A batch as the module sees it, on its device."""

    id: list[str]
    image: Tensor
    """(B, C_in, H, W) float32, normalised."""
    mask: Tensor
    """(B, C, H, W) float32, 0 / 1."""
    valid: Tensor | None
    """(B, 1, H, W) float32, 0 / 1; None where every pixel counts."""
    maps: dict[str, Tensor]
    """Target maps, each (B, C, H, W) float32."""
    size: Tensor
    """(B, 2) int64, height and width to evaluate, top left."""
