"""Published data sets without cracks, for comparing methods on several classes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cracklab.data.images import IGNORE, Array, read_classes, read_mask
from cracklab.data.layouts.base import Index, Layout, class_names_for, register
from cracklab.data.layouts.pairing import (
    SIDE_NAMES,
    ValidationUse,
    files_by_key,
    find_files,
    join,
    pair_files,
    pair_folders,
    require_folders,
    use_validation,
)
from cracklab.data.resizing import resize_image
from cracklab.data.samples import SIDES, Record, Side

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
"""Label id of each class, in the order of the train ids."""


@register("camvid")
class CamVid(Layout):
    """CamVid, 11 classes, 11 = void: `train_img/` with `train_lab/`, or `train/` with `trainannot/`; val and test likewise.

    Brostow et al. 2009, in the split of SegNet, which puts frames of one drive on several sides. To hold out whole drives,
    set `data.group: '(.+?)_'` and `data.split: holdout`.
    """

    num_classes = len(CAMVID)
    class_names = CAMVID

    def index(self, root: Path) -> Index:
        """Return the pairs of the published split."""
        images, masks = ("_img", "_lab") if (root / "train_img").is_dir() else ("", "annot")
        require_folders(root, (side + end for side in SIDES for end in (images, masks)), "camvid")
        return join(pair_folders(root / (side + images), root / (side + masks), side) for side in SIDES)

    def read_mask(self, record: Record) -> Array:
        """Decode class indices; void is ignored."""
        return read_classes(record.mask, self.num_classes, ignore=len(CAMVID))


@register("cityscapes")
class Cityscapes(Layout):
    """Cityscapes, 19 classes, 255 = ignore: `leftImg8bit/SIDE/CITY/` with `gtFine/SIDE/CITY/`. Cordts et al. 2016.

    Reads `*_gtFine_labelTrainIds.png` if they exist, else maps `*_gtFine_labelIds.png` to train ids. The published test side
    has no labels and is skipped.

    Args:
        val_is: use the published validation side for validation (`val`); as test images (`test`), with validation taken from
            the training photos; or as both (`both`), which `data.known_overlap: report` has to accept.
    """

    num_classes = len(CITYSCAPES)
    class_names = tuple(CITYSCAPES)
    FOLDERS = ("leftImg8bit", "gtFine")

    def __init__(self, val_is: ValidationUse = "val") -> None:
        self.val_is = val_is

    def index(self, root: Path) -> Index:
        """Return the pairs of train and val."""
        require_folders(root, (f"{top}/{side}" for side in ("train", "val") for top in self.FOLDERS), "cityscapes")
        val = use_validation(self._pairs(root, "val"), self.val_is)
        return join([self._pairs(root, "train"), val])

    def _pairs(self, root: Path, side: Side) -> Index:
        images, masks = (root / top / side for top in self.FOLDERS)
        return pair_folders(
            images,
            masks,
            side,
            image_suffix="_leftImg8bit",
            mask_suffixes=("_gtFine_labelTrainIds", "_gtFine_labelIds"),
            image_extensions=(".png",),
            mask_extensions=(".png",),
        )

    def read_mask(self, record: Record) -> Array:
        """Decode train ids."""
        if record.mask.endswith("TrainIds.png"):
            return read_classes(record.mask, self.num_classes)
        train_ids = np.full(256, IGNORE, np.uint8)
        train_ids[list(CITYSCAPES.values())] = np.arange(self.num_classes)
        return train_ids[read_classes(record.mask, 256)]


@register("ade20k")
class ADE20K(Layout):
    """ADE20K's scene parsing challenge of 2016: `images/training/a.jpg` + `annotations/training/a.png`, `validation` likewise.

    Zhou et al. 2017. 150 classes, numbered from 0 in the order of `objectInfo150.txt`; 0 in a mask is none of them and is
    ignored.

    Args:
        val_is: as in `cityscapes`; the challenge's test side has no labels.
    """

    num_classes = 150
    class_names = class_names_for(150, None)
    FOLDERS = ("images", "annotations")

    def __init__(self, val_is: ValidationUse = "val") -> None:
        self.val_is = val_is

    def index(self, root: Path) -> Index:
        """Return the pairs of training and validation."""
        require_folders(
            root, (f"{top}/{name}" for name in ("training", "validation") for top in self.FOLDERS), "ade20k"
        )
        val = use_validation(self._pairs(root, "validation"), self.val_is)
        return join([self._pairs(root, "training"), val])

    def _pairs(self, root: Path, name: str) -> Index:
        images, masks = (root / top / name for top in self.FOLDERS)
        return pair_folders(images, masks, SIDE_NAMES[name], mask_extensions=(".png",))

    def read_mask(self, record: Record) -> Array:
        """Decode class indices from 0."""
        numbers = read_classes(record.mask, self.num_classes + 1)
        return np.where(numbers == IGNORE, IGNORE, numbers - 1).astype(np.uint8)  # 0 - 1 is 255, which is ignored


@register("celebamask_hq")
class CelebAMaskHQ(Layout):
    """CelebAMask-HQ: `CelebA-HQ-img/0.jpg` with `CelebAMask-HQ-mask-anno/0/00000_skin.png` ..., one mask a part.

    Lee et al. 2020. The parts are merged into one class, the face. Photos are resized to the size of the masks.

    Args:
        parts: names of the parts; None: all, as in Guel 2023.
    """

    class_names = ("face",)

    def __init__(self, parts: Sequence[str] | None = None) -> None:
        self.parts = None if parts is None else tuple(parts)

    def index(self, root: Path) -> Index:
        """Return the photos with at least one part; a record's `mask` lists the files of the parts, one a line."""
        require_folders(root, ("CelebA-HQ-img", "CelebAMask-HQ-mask-anno"), "celebamask_hq")
        images, problems = files_by_key(root / "CelebA-HQ-img")
        parts: dict[str, list[str]] = defaultdict(list)
        for path in find_files(root / "CelebAMask-HQ-mask-anno", (".png",)):
            number, _, part = path.stem.partition("_")
            if self.parts is None or part in self.parts:
                parts[str(int(number))].append(str(path))
        masks = {number: Path("\n".join(paths)) for number, paths in parts.items()}
        records, unpaired = pair_files(images, masks)
        return records, problems + unpaired

    def files(self, record: Record) -> tuple[str, ...]:
        """Return the photo and the masks of its parts."""
        return record.image, *record.mask.split("\n")

    def match_sizes(self, image: Array, mask: Array, record: Record) -> tuple[Array, Array]:
        """Resize the photo to the size of its mask."""
        return resize_image(image, *mask.shape), mask

    def read_mask(self, record: Record) -> Array:
        """Decode the union of the parts."""
        return np.asarray(np.maximum.reduce([read_mask(path) for path in record.mask.split("\n")]), np.uint8)
