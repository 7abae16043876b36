"""Faults that are planted into masks, with a seed, to see whether an audit finds them."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
KINDS = ("erased", "invented", "shifted", "dilated", "inverted", "swapped")
RADIUS_PX = (40, 70)
"""Smallest and largest radius of the disc in which crack is erased or invented, px."""
CLEARANCE_PX = 20
"""Distance that an invented piece has from the cracks of the mask, px."""
MIN_CRACK_PX = 200
"""Masks of less crack get no fault."""


def plant(kind: str, masks: Sequence[Mask], share: float = 0.1, seed: int = 0) -> tuple[list[Mask], list[int]]:
    """Return the masks with faults of one kind in a share of them, and which these are.

    Args:
        kind: one of `KINDS`. `erased`: no crack within a disc around a pixel of crack; `invented`: a piece of another mask
            where there is no crack; `shifted`: by 4 px in any direction; `dilated`: by 3 px; `inverted`; `swapped`: with
            another mask of the same size.
        masks: (H, W) each.
        share: of the masks that get a fault.
        seed: of the choice.
    """
    random = np.random.default_rng(seed)
    cracked = [i for i, mask in enumerate(masks) if mask.sum() >= MIN_CRACK_PX]
    chosen = sorted(int(i) for i in random.choice(cracked, round(len(masks) * share), replace=False))
    planted = list(masks)
    if kind == "swapped":
        sizes: dict[tuple[int, ...], list[int]] = {}
        for i in chosen:
            sizes.setdefault(masks[i].shape, []).append(i)
        groups = [group for group in sizes.values() if len(group) > 1]
        for group in groups:
            for i, other in zip(group, [*group[1:], group[0]], strict=True):
                planted[i] = masks[other]
        return planted, sorted(i for group in groups for i in group)
    for i in chosen:
        planted[i] = FAULTS[kind](masks[i], masks, random)
    return planted, chosen


def plant_mixed(masks: Sequence[Mask], share: float = 0.1, seed: int = 0) -> tuple[list[Mask], dict[int, str]]:
    """Return the masks with faults of all kinds, about as many of each, in a share of them, and index -> kind of fault."""
    planted, kinds = list(masks), {}
    left = list(range(len(masks)))
    for number, kind in enumerate(KINDS):
        wanted = round(len(masks) * share * (number + 1) / len(KINDS)) - round(len(masks) * share * number / len(KINDS))
        changed, chosen = plant(kind, [masks[i] for i in left], wanted / len(left), seed + number)
        for i in chosen:
            planted[left[i]] = changed[i]
            kinds[left[i]] = kind
        left = [i for i in left if i not in kinds]
    return planted, kinds


def _erase(mask: Mask, masks: Sequence[Mask], random: np.random.Generator) -> Mask:
    return mask & ~_disc_around_crack(mask, random)


def _invent(mask: Mask, masks: Sequence[Mask], random: np.random.Generator) -> Mask:
    clear = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    for _ in range(500):
        other = masks[random.integers(len(masks))]
        if other.sum() < MIN_CRACK_PX:
            continue
        rows, columns = np.nonzero(other & _disc_around_crack(other, random))
        rows += int(random.integers(-rows.min(), mask.shape[0] - rows.max())) if np.ptp(rows) < mask.shape[0] else 0
        columns += (
            int(random.integers(-columns.min(), mask.shape[1] - columns.max()))
            if np.ptp(columns) < mask.shape[1]
            else 0
        )
        inside = rows.max() < mask.shape[0] and columns.max() < mask.shape[1]
        if inside and len(rows) >= MIN_CRACK_PX and clear[rows, columns].min() > CLEARANCE_PX:
            result = mask.copy()
            result[rows, columns] = True
            return result
    raise RuntimeError("no piece of another mask fits")


def _disc_around_crack(mask: Mask, random: np.random.Generator) -> Mask:
    rows, columns = np.nonzero(mask)
    at = random.integers(len(rows))
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    return np.asarray(np.hypot(y - rows[at], x - columns[at]) <= random.uniform(*RADIUS_PX))


def _shift(mask: Mask, masks: Sequence[Mask], random: np.random.Generator) -> Mask:
    angle = random.uniform(0, 2 * np.pi)
    move = np.array([[1, 0, round(4 * np.cos(angle))], [0, 1, round(4 * np.sin(angle))]], np.float32)
    return np.asarray(cv2.warpAffine(mask.astype(np.uint8), move, mask.shape[::-1]) > 0)


def _dilate(mask: Mask, masks: Sequence[Mask], random: np.random.Generator) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))) > 0)


def _invert(mask: Mask, masks: Sequence[Mask], random: np.random.Generator) -> Mask:
    return ~mask


FAULTS: dict[str, Callable[[Mask, Sequence[Mask], np.random.Generator], Mask]] = {
    "erased": _erase, "invented": _invent, "shifted": _shift, "dilated": _dilate, "inverted": _invert
}  # fmt: skip
