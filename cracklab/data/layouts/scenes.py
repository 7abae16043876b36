"""Published data sets of other things than cracks, for comparison on several classes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from cracklab.data.images import IGNORE, Array, read_classes, read_mask, resize_image
from cracklab.data.layouts.base import (
    Layout,
    class_names_for,
    files_in,
    keyed,
    pair,
    register,
    require_folders,
    shown_twice,
)
from cracklab.data.samples import SIDES, Problem, Record, Side

CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")

CITYSCAPES: Mapping[str, int] = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
"""Classes in the order of their train ids, with their label ids."""


@register("camvid")
class CamVid(Layout):
    """CamVid, 11 classes, 11 = void: `train_img/` with `train_lab/`, or `train/` with `trainannot/`; val and test alike.

    Brostow et al. 2009, in the split of SegNet. Frames of one drive stand on several sides of it: to hold out whole
    drives, set `data.group: '(.+?)_'` and `data.split: holdout`.
    """

    num_classes = len(CAMVID)
    class_names = CAMVID

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Pairs of the published split."""
        images, masks = ("_img", "_lab") if (root / "train_img").is_dir() else ("", "annot")
        records, problems = [], []
        for side in SIDES:
            require_folders(root, (side + images, side + masks), "camvid")
            photos, doubles = keyed(root / (side + images))
            labels, more = keyed(root / (side + masks))
            found, unpaired = pair(photos, labels, side)
            records += found
            problems += doubles + more + unpaired
        return records, problems

    def read_mask(self, record: Record) -> Array:
        """Class indices, void ignored."""
        return read_classes(record.mask, self.num_classes, ignore=len(CAMVID))


@register("cityscapes")
class Cityscapes(Layout):
    """Cityscapes, 19 classes, 255 = ignore: `leftImg8bit/SIDE/CITY/` with `gtFine/SIDE/CITY/`. Cordts et al. 2016.

    Reads `*_gtFine_labelTrainIds.png` where they have been made, else translates `*_gtFine_labelIds.png`. The published
    test side has no labels and is left out.

    Args:
        val_is: the published validation side serves as such; or as the test side, with validation taken from the
            training photos; or as `both`, which `data.known_overlap: report` has to accept.
    """

    num_classes = len(CITYSCAPES)
    class_names = tuple(CITYSCAPES)

    def __init__(self, val_is: Literal["val", "test", "both"] = "val") -> None:
        self.val_is = val_is

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Pairs of train and val."""
        records, problems = [], []
        sides: tuple[tuple[str, Side], ...] = (("train", "train"), ("val", "test" if self.val_is == "test" else "val"))
        for name, side in sides:
            photos, labels = f"leftImg8bit/{name}", f"gtFine/{name}"
            require_folders(root, (photos, labels), "cityscapes")
            images, doubles = keyed(root / photos, "_leftImg8bit", (".png",))
            masks, more = keyed(root / labels, "_gtFine_labelTrainIds", (".png",))
            if not masks:
                masks, more = keyed(root / labels, "_gtFine_labelIds", (".png",))
            found, unpaired = pair(images, masks, side)
            records += shown_twice(found) if side == "val" and self.val_is == "both" else found
            problems += doubles + more + unpaired
        return records, problems

    def read_mask(self, record: Record) -> Array:
        """Train ids."""
        if record.mask.endswith("TrainIds.png"):
            return read_classes(record.mask, self.num_classes)
        train_ids = np.full(256, IGNORE, np.uint8)
        train_ids[list(CITYSCAPES.values())] = np.arange(self.num_classes)
        return train_ids[read_classes(record.mask, 256)]


@register("ade20k")
class ADE20K(Layout):
    """ADE20K's scene parsing challenge of 2016: `images/training/a.jpg` + `annotations/training/a.png`, `validation` alike.

    Zhou et al. 2017. 150 classes, numbered from 0 in the order of `objectInfo150.txt`; 0 in a mask is none of them and
    counts nowhere.

    Args:
        val_is: as in `cityscapes`; the challenge's test side has no labels.
    """

    num_classes = 150
    class_names = class_names_for(150, None)

    def __init__(self, val_is: Literal["val", "test", "both"] = "val") -> None:
        self.val_is = val_is

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Pairs of training and validation."""
        records, problems = [], []
        sides: tuple[tuple[str, Side], ...] = (
            ("training", "train"),
            ("validation", "test" if self.val_is == "test" else "val"),
        )
        for name, side in sides:
            photos, labels = f"images/{name}", f"annotations/{name}"
            require_folders(root, (photos, labels), "ade20k")
            images, doubles = keyed(root / photos)
            masks, more = keyed(root / labels, endings=(".png",))
            found, unpaired = pair(images, masks, side)
            records += shown_twice(found) if side == "val" and self.val_is == "both" else found
            problems += doubles + more + unpaired
        return records, problems

    def read_mask(self, record: Record) -> Array:
        """Class indices from 0."""
        numbers = read_classes(record.mask, self.num_classes + 1)
        return np.where(numbers == IGNORE, IGNORE, numbers - 1).astype(np.uint8)  # 0 - 1 is 255, which counts nowhere


@register("celebamask_hq")
class CelebAMaskHQ(Layout):
    """CelebAMask-HQ: `CelebA-HQ-img/0.jpg` with `CelebAMask-HQ-mask-anno/0/00000_skin.png` ..., one mask a part.

    Lee et al. 2020. The parts are merged into one class, the face; photos are brought to the size of the masks.

    Args:
        parts: which parts; None: all, as Guel 2023 has it.
    """

    class_names = ("face",)

    def __init__(self, parts: Sequence[str] | None = None) -> None:
        self.parts = None if parts is None else tuple(parts)

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Photos with at least one part; a record's `mask` lists its files."""
        require_folders(root, ("CelebA-HQ-img", "CelebAMask-HQ-mask-anno"), "celebamask_hq")
        images, problems = keyed(root / "CelebA-HQ-img")
        found: dict[str, list[str]] = defaultdict(list)
        for path in files_in(root / "CelebAMask-HQ-mask-anno", (".png",)):
            number, _, part = path.stem.partition("_")
            if self.parts is None or part in self.parts:
                found[str(int(number))].append(str(path))
        masks = {number: Path("\n".join(paths)) for number, paths in found.items()}
        records, unpaired = pair(images, masks)
        return records, problems + unpaired

    def files(self, record: Record) -> tuple[str, ...]:
        """The photo and the masks of its parts."""
        return record.image, *record.mask.split("\n")

    def matched(self, image: Array, mask: Array, record: Record) -> tuple[Array, Array]:
        """The photo at the size of its masks."""
        return resize_image(image, *mask.shape), mask

    def read_mask(self, record: Record) -> Array:
        """The union of the parts."""
        return np.asarray(np.maximum.reduce([read_mask(path) for path in record.mask.split("\n")]), np.uint8)
