"""How thin masks come through a resize or a warp: `python tests/benchmarks/bench_masks.py [DeepCrack]`.

For each way, the number of connected components and the length of the centre lines after, over before (for the length,
over what the scale makes of it). 1 is best; nearest-neighbour sampling breaks lines, a low threshold joins neighbours.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from skimage.morphology import skeletonize

from cracklab.data.images import read_mask
from cracklab.data.resizing import resize_mask

Way = Callable[[np.ndarray, float], np.ndarray]
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)


def thin_cracks(number: int = 40, side: int = 384) -> list[np.ndarray]:
    """Wandering lines, one pixel wide, a few to a picture."""
    masks = []
    for seed in range(number):
        rng = np.random.default_rng(seed)
        mask = np.zeros((side, side), np.uint8)
        for _ in range(rng.integers(1, 5)):
            heading = rng.uniform(0, 2 * np.pi)
            turns = heading + np.cumsum(rng.normal(0, 0.25, 30))
            steps = 9 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
            points = rng.uniform(0.2 * side, 0.8 * side, 2) + np.cumsum(steps, axis=0)
            cv2.polylines(mask, [points.astype(np.int32)], False, 1, 1)
        masks.append(mask)
    return masks


def deepcrack(folder: Path) -> list[np.ndarray]:
    """Every fourth mask, 384 x 384 from the middle."""
    paths = sorted(folder.glob("*_lab/*.png"))[::4]
    return [read_mask(str(path))[:, 80:464] for path in paths]


def components(mask: np.ndarray) -> int:
    """Connected regions, touching corners included."""
    return cv2.connectedComponents(mask, connectivity=8)[0] - 1


def length(mask: np.ndarray) -> int:
    """Pixels of the centre lines."""
    return int(skeletonize(mask > 0).sum())


def warp(mask: np.ndarray, angle: float, scale: float, flags: int) -> np.ndarray:
    """The share of a mask after a turn about the middle, 0 to 1, on a canvas that holds all of it."""
    size = int(np.ceil(1.5 * scale * max(mask.shape)))
    matrix = cv2.getRotationMatrix2D((mask.shape[1] / 2, mask.shape[0] / 2), angle, scale)
    matrix[:, 2] += size / 2 - np.array(mask.shape[::-1]) / 2
    return cv2.warpAffine(mask.astype(np.float32), matrix, (size, size), flags=flags)


def row(masks: list[np.ndarray], scale: float, way: Way) -> tuple[float, float, float, float]:
    """Components and length, over before; the mean change of components, as a factor; and area, over before."""
    before = [(components(m), length(m), m.sum()) for m in masks]
    after = [(components(m), length(m), m.sum()) for m in (way(mask, i) for i, mask in enumerate(masks))]
    b, a = np.array(before, float), np.array(after, float)
    factor = np.exp(np.abs(np.log(np.maximum(a[:, 0], 0.5) / np.maximum(b[:, 0], 0.5))).mean())
    return (
        a[:, 0].sum() / b[:, 0].sum(),
        a[:, 1].sum() / b[:, 1].sum() / scale,
        factor,
        a[:, 2].sum() / b[:, 2].sum() / scale**2,
    )


def main() -> None:
    """Print the tables."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/DeepCrack")
    sets = {"1 px lines": thin_cracks()} | ({"DeepCrack": deepcrack(folder)} if folder.is_dir() else {})
    for name, masks in sets.items():
        for scale in (0.25, 1 / 3, 0.5, 0.75):
            side = round(384 * scale)
            ways: dict[str, Way] = {
                "nearest": lambda m, i, s=side: cv2.resize(m, (s, s), interpolation=cv2.INTER_NEAREST)
            }
            ways["default"] = lambda m, i, s=side: resize_mask(m, s, s)
            ways |= {f"area {t:.2f}": lambda m, i, s=side, t=t: resize_mask(m, s, s, coverage=t) for t in THRESHOLDS}
            show(f"{name}, resize by {scale:.2f}", masks, scale, ways)
        for scale in (0.7, 1.0, 1.4):
            turn = np.random.default_rng(0).uniform(0, 360, len(masks))
            ways = {"nearest": lambda m, i, s=scale, a=turn: warp(m, a[i], s, cv2.INTER_NEAREST).astype(np.uint8)}
            ways |= {
                f"linear {t:.2f}": lambda m, i, s=scale, a=turn, t=t: (warp(m, a[i], s, cv2.INTER_LINEAR) >= t).astype(
                    np.uint8
                )
                for t in THRESHOLDS
            }
            show(f"{name}, turn at scale {scale:.1f}", masks, scale, ways)


def show(title: str, masks: list[np.ndarray], scale: float, ways: dict[str, Way]) -> None:
    """Print one table."""
    print(f"\n{title}\n{'':14}components  length  change  area")
    for name, way in ways.items():
        many, long, factor, area = row(masks, scale, way)
        print(f"{name:14}{many:10.2f}{long:8.2f}{factor:8.2f}{area:6.2f}")


if __name__ == "__main__":
    main()
