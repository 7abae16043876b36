"""Published crack data sets."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from cracklab.data.images import Array
from cracklab.data.layouts.base import Layout, keyed, pair, register, require_folders, shown_twice
from cracklab.data.samples import SIDES, Problem, Record, Side
from cracklab.errors import DataError

PHOTO_OF_CRACK500 = re.compile(r"\d{8}_\d{6}")


def _beside(folder: Path, side: Side) -> tuple[list[Record], list[Problem]]:
    """Pairs of `NAME.jpg` with `NAME_mask.png`, or with `NAME.png` where no mask ends in `_mask`."""
    images, problems = keyed(folder, endings=(".jpg", ".jpeg"))
    masks, more = keyed(folder, "_mask", (".png",))
    if not masks:
        masks, more = keyed(folder, endings=(".png",))
    records, unpaired = pair(images, masks, side)
    return records, problems + more + unpaired


@register("crack500")
class Crack500(Layout):
    """CRACK500: `traincrop/`, `valcrop/`, `testcrop/` (or `traindata/` ...), `NAME.jpg` beside `NAME.png` or `NAME_mask.png`.

    Yang et al. 2019. Crops `20160222_080850_1_361` are of the photo `20160222_080850`, taken at that second. Folders
    `train/`, `val/` and `test/` are read too.

    Args:
        part: the published crops, or the whole photos.
    """

    def __init__(self, part: Literal["crop", "data"] = "crop") -> None:
        self.part = part

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Pairs of the published split."""
        part = self.part if (root / f"train{self.part}").is_dir() else ""
        require_folders(root, (f"train{part}",), "crack500")
        records, problems = [], []
        for side in SIDES:
            found, faults = _beside(root / f"{side}{part}", side)
            records += found
            problems += faults
        return [replace(record, group=self._photo(record.stem)) for record in records], problems

    @staticmethod
    def _photo(stem: str) -> str:
        found = PHOTO_OF_CRACK500.match(stem)
        return found[0] if found else stem


@register("fcd108")
class FCD108(Layout):
    """FCD-108, facades: `train/` and `valid/` with `NAME.jpg` beside `NAME_mask.png`. Krasniqi and Shehu 2026.

    Args:
        valid_is: `valid/` is the validation side; or the test side, with validation taken from the training photos; or
            `both`, as papers without a test set have it, which `data.known_overlap: report` has to accept.
    """

    def __init__(self, valid_is: Literal["val", "test", "both"] = "val") -> None:
        self.valid_is = valid_is

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Pairs of both folders."""
        require_folders(root, ("train", "valid"), "fcd108")
        train, problems = _beside(root / "train", "train")
        valid, more = _beside(root / "valid", "test" if self.valid_is == "test" else "val")
        return train + (shown_twice(valid) if self.valid_is == "both" else valid), problems + more


@register("crackforest")
class CrackForest(Layout):
    """CrackForest: `image/001.jpg` with `groundTruth/001.mat`. Shi et al. 2016.

    The matrix `groundTruth.Segmentation` numbers regions. In the published files 1 is the ground, 2 the crack, 3 ground
    that cracks enclose (22 files), and 4 pieces of crack apart from the rest (5 files): 2 and 4 are taken for crack.
    """

    CRACK = (2, 4)

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Pairs; photos beyond the 118 with truth are not listed, since the data set holds 37 of them."""
        require_folders(root, ("image", "groundTruth"), "crackforest")
        images, problems = keyed(root / "image", endings=(".jpg",))
        masks, more = keyed(root / "groundTruth", endings=(".mat",))
        records, unpaired = pair({key: path for key, path in images.items() if key in masks}, masks)
        return records, problems + more + unpaired

    def read_mask(self, record: Record) -> Array:
        """The regions that are crack.

        Raises:
            DataError: for a file without that matrix, or with other numbers in it.
        """
        try:
            regions = loadmat(record.mask)["groundTruth"]["Segmentation"][0, 0]
        except (OSError, ValueError, KeyError, IndexError, MatReadError) as error:
            raise DataError(
                f"{record.mask!r} holds no matrix groundTruth.Segmentation ({type(error).__name__}): download it again"
            ) from None
        if not np.isin(regions, (1, 2, 3, 4)).all():
            raise DataError(
                f"{record.mask!r} has regions other than 1 to 4 (up to {regions.max()}): check which are crack"
            )
        return np.isin(regions, self.CRACK).astype(np.uint8)
