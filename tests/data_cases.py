"""Small drawn photos of cracks, and a function that writes them."""

from pathlib import Path

import cv2
import numpy as np


def pair(seed: int, height: int = 40, width: int = 56) -> tuple[np.ndarray, np.ndarray]:
    """Draw a noisy photo (H, W, 3) with one line, and its mask (H, W), 0 / 1."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    points = np.stack([rng.integers(4, width - 4, 3), rng.integers(4, height - 4, 3)], axis=1)
    cv2.polylines(mask, [points.astype(np.int32)], False, 1, int(rng.integers(1, 4)))
    image = rng.integers(100, 220, (height, width, 3), dtype=np.uint8)
    image[mask == 1] //= 2
    return image, mask


def write(folder: Path, stem: str, image: np.ndarray, mask: np.ndarray | None, images="images", masks="masks") -> None:
    """Write `images/STEM.png` and `masks/STEM.png`, 0 / 255."""
    for name, content in ((images, image[..., ::-1]), (masks, None if mask is None else mask * 255)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        if content is not None:
            cv2.imwrite(str(folder / name / f"{stem}.png"), content)
