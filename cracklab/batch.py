"""The contents of a sample and of a batch: names, shapes, units.

Shapes: B images, C_in image channels (3 or 1), C classes (1 for crack or not), H x W pixels.
"""

from typing import TypedDict

from torch import Tensor

GRID = 32
"""Heights and widths of what a net sees are padded to multiples of this, px, so that it may halve them five times."""


class Sample(TypedDict):
    """One image as a worker returns it, after every operation that moves pixels."""

    id: str
    image: Tensor
    """(C_in, H, W) uint8, RGB or grey."""
    mask: Tensor
    """(1, H, W) uint8, class index; 0 / 1 for cracks."""
    valid: Tensor
    """(1, H, W) bool; False for pixels that are ignored everywhere (ignore label, padding)."""
    maps: dict[str, Tensor]
    """The target maps that the loss reads, each (C, H, W) float32, px."""
    size: tuple[int, int]
    """(height, width) in px before the batch was padded; only this area is evaluated."""


class Batch(TypedDict):
    """A batch as the module gets it, on its device."""

    id: list[str]
    image: Tensor
    """(B, C_in, H, W) float32, normalised."""
    mask: Tensor
    """(B, C, H, W) float32, 0 / 1."""
    valid: Tensor | None
    """(B, 1, H, W) float32, 0 / 1; None if every pixel is valid."""
    maps: dict[str, Tensor]
    """Target maps, each (B, C, H, W) float32."""
    size: Tensor
    """(B, 2) int64, height and width of the area to evaluate, which starts at the top left."""
