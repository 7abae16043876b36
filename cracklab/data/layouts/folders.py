"""Folders of images and masks that are matched by stem, and DeepCrack as published."""

import re
from dataclasses import replace
from pathlib import Path

from cracklab.data.images import Array, read_classes, read_mask
from cracklab.data.layouts.base import SPLITS, Layout, class_names_for, keyed, pair, register, require_folders
from cracklab.data.samples import SIDES, Problem, Record
from cracklab.errors import ConfigError, DataError


@register("folders")
class Folders(Layout):
    """`images/a.jpg` with `masks/a.png`; for a split, inside of `train/`, `val/` and `test/`, or as `images/train/a.jpg`.

    Folders below are searched too, and file endings count in any case.

    Args:
        images: folder of the photos.
        masks: folder of the masks.
        mask_pattern: name of a mask without its ending, where `{stem}` is that of its image: `{stem}_mask`.
        invert: masks have cracks dark on a bright ground.
        num_classes: 1 for crack masks of any encoding; else masks hold class indices from 0 on.
        class_names: one a class.
        ignore: mask value that counts nowhere, for several classes.
    """

    def __init__(
        self,
        images: str = "images",
        masks: str = "masks",
        mask_pattern: str = "{stem}",
        invert: bool = False,
        num_classes: int = 1,
        class_names: list[str] | None = None,
        ignore: int | None = None,
    ) -> None:
        if mask_pattern.count("{stem}") != 1:
            raise ConfigError(f"mask_pattern {mask_pattern!r} lacks {{stem}}, the image's name without its ending")
        if images == masks and mask_pattern == "{stem}":
            raise ConfigError(
                f"images and masks both lie in {images!r}: tell them apart by mask_pattern, as '{{stem}}_mask'"
            )
        self.images, self.masks, self.mask_pattern = images, masks, mask_pattern
        self.invert, self.num_classes, self.ignore = invert, num_classes, ignore
        self.class_names = class_names_for(num_classes, class_names)

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Pairs of all splits, or of the folder itself where it has no splits."""
        splits = [name for name in SPLITS if (root / name / self.images).is_dir()]
        if not splits:
            require_folders(root, (self.images, self.masks), "folders")
        records, problems = [], []
        for name in splits or [""]:
            require_folders(root / name, (self.images, self.masks), "folders")
            found, faults = self._pairs(root / name)
            records += [replace(record, split=SPLITS[name] if name else record.split) for record in found]
            problems += faults
        if not records:
            raise DataError(
                f"{str(root)!r} holds no image with a mask: {self.images}/NAME.jpg needs "
                f"{self.masks}/{self.mask_pattern.format(stem='NAME')}.png; set data.layout.mask_pattern"
            )
        return records, problems

    def _pairs(self, base: Path) -> tuple[list[Record], list[Problem]]:
        images, problems = keyed(base / self.images)
        masks, more = keyed(base / self.masks)
        pattern = re.compile(re.escape(self.mask_pattern).replace(re.escape("{stem}"), "(?P<stem>.+)"))
        matches = {key: pattern.fullmatch(path.stem) for key, path in masks.items()}
        if self.images == self.masks:
            images = {key: path for key, path in images.items() if not matches[key]}
        else:
            more += [
                Problem("extra-mask", (str(masks[key]),), f"its name is not {self.mask_pattern!r}: rename or remove it")
                for key, match in matches.items()
                if not match
            ]
        stems = {
            key.removesuffix(masks[key].stem) + match["stem"]: masks[key] for key, match in matches.items() if match
        }
        records, unpaired = pair(images, stems)
        folders = [Path(record.image).relative_to(base / self.images).parts[0] for record in records]
        if all(name in SPLITS for name in folders):
            records = [replace(record, split=SPLITS[name]) for record, name in zip(records, folders, strict=True)]
        return records, problems + more + unpaired

    def read_mask(self, record: Record) -> Array:
        """A crack mask of any encoding, or class indices."""
        if self.num_classes == 1:
            return read_mask(record.mask, self.invert)
        return read_classes(record.mask, self.num_classes, self.ignore)


@register("deepcrack")
class DeepCrack(Layout):
    """DeepCrack as published: `train_img/*.jpg` with `train_lab/*.png`, `test_img` with `test_lab`.

    Liu, Yao, Lu, Xie, Li 2019. `NAME-1` ... `NAME-20` are crops of one photo; three photos are on both sides of the
    published split, which `data.known_overlap: report` accepts and `data.split: official-clean` mends.
    """

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Pairs of the published split."""
        require_folders(root, ("train_img", "train_lab", "test_img", "test_lab"), "deepcrack")
        records, problems = [], []
        for split in SIDES:
            folder = root / f"{split}_img"
            if not folder.is_dir():
                continue
            images, doubles = keyed(folder)
            masks, more = keyed(root / f"{split}_lab")
            found, unpaired = pair(images, masks, split)
            records += found
            problems += doubles + more + unpaired
        return records, problems
