"""Folders of images and masks that are matched by stem, and DeepCrack as published."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cracklab.bounds import GreyLevel
from cracklab.data.layouts.base import Index, Layout, MaskFiles, register
from cracklab.data.layouts.pairing import SIDE_NAMES, files_by_key, join, pair_files, pair_folders, require_folders
from cracklab.data.samples import SIDES, Problem
from cracklab.errors import ConfigError, DataError


@register("folders")
class Folders(MaskFiles):
    """`images/a.jpg` with `masks/a.png`; for a split, inside `train/`, `val/` and `test/`, or as `images/train/a.jpg`.

    Subfolders are searched too. File extensions may have any case.

    Args:
        images: folder of the images.
        masks: folder of the masks.
        mask_pattern: name of a mask without its extension, where `{stem}` is the stem of its image: `{stem}_mask`.
        invert: masks show cracks dark on a bright background.
        num_classes: 1 for crack masks of any encoding; else masks hold class indices from 0 on.
        class_names: one for each class.
        ignore: mask value of ignored pixels, for several classes.
    """

    def __init__(
        self,
        images: str = "images",
        masks: str = "masks",
        mask_pattern: str = "{stem}",
        invert: bool = False,
        num_classes: int = 1,
        class_names: list[str] | None = None,
        ignore: GreyLevel | None = None,
    ) -> None:
        if mask_pattern.count("{stem}") != 1:
            raise ConfigError(f"mask_pattern {mask_pattern!r} lacks {{stem}}: put it where the stem of the image is")
        if images == masks and mask_pattern == "{stem}":
            raise ConfigError(
                f"images and masks are both in {images!r}: tell them apart by mask_pattern, such as '{{stem}}_mask'"
            )
        super().__init__(invert, num_classes, class_names, ignore)
        self.images, self.masks, self.mask_pattern = images, masks, mask_pattern

    def index(self, root: Path) -> Index:
        """Return the pairs of all sides, or of the folder itself if it has no sides."""
        sides = [name for name in SIDE_NAMES if (root / name / self.images).is_dir()]
        records, problems = join(self._sides(root, sides or [""]))
        if not records:
            raise DataError(
                f"{str(root)!r} holds no image with a mask: {self.images}/NAME.jpg needs "
                f"{self.masks}/{self.mask_pattern.format(stem='NAME')}.png; set data.layout.mask_pattern"
            )
        return records, problems

    def _sides(self, root: Path, names: list[str]) -> Iterator[Index]:
        for name in names:
            require_folders(root / name, (self.images, self.masks), "folders")
            records, problems = self._pairs(root / name)
            yield [replace(record, split=SIDE_NAMES.get(name, record.split)) for record in records], problems

    def _pairs(self, folder: Path) -> Index:
        images, problems = files_by_key(folder / self.images)
        masks, mask_problems = files_by_key(folder / self.masks)
        pattern = re.compile(re.escape(self.mask_pattern).replace(re.escape("{stem}"), "(?P<stem>.+)"))
        matches = {key: pattern.fullmatch(path.stem) for key, path in masks.items()}
        if self.images == self.masks:
            images = {key: path for key, path in images.items() if not matches[key]}
        else:
            mask_problems += [
                Problem("extra-mask", (str(masks[key]),), f"its name is not {self.mask_pattern!r}: rename or remove it")
                for key, match in matches.items()
                if not match
            ]
        by_stem = {
            key.removesuffix(masks[key].stem) + match["stem"]: masks[key] for key, match in matches.items() if match
        }
        records, unpaired = pair_files(images, by_stem)
        subfolders = [Path(record.image).relative_to(folder / self.images).parts[0] for record in records]
        if all(name in SIDE_NAMES for name in subfolders):
            records = [
                replace(record, split=SIDE_NAMES[name]) for record, name in zip(records, subfolders, strict=True)
            ]
        return records, problems + mask_problems + unpaired


@register("deepcrack")
class DeepCrack(Layout):
    """DeepCrack as published: `train_img/*.jpg` with `train_lab/*.png`, `test_img` with `test_lab`.

    Liu, Yao, Lu, Xie, Li 2019. `NAME-1` ... `NAME-20` are crops of one photo. Three photos by name, and a fourth under two
    names, are on both sides of the published split, which `data.known_overlap: report` accepts and `data.split: official-clean` corrects.
    """

    def index(self, root: Path) -> Index:
        """Return the pairs of the published split, and of `val_img` if it exists."""
        require_folders(root, ("train_img", "train_lab", "test_img", "test_lab"), "deepcrack")
        return join(
            pair_folders(root / f"{side}_img", root / f"{side}_lab", side)
            for side in SIDES
            if (root / f"{side}_img").is_dir()
        )
