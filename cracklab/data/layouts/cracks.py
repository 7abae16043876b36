"""Published crack data sets."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.io import loadmat

from cracklab.data.images import Array
from cracklab.data.layouts.base import Index, Layout, register
from cracklab.data.layouts.pairing import (
    ValidationUse,
    files_by_key,
    join,
    pair_files,
    pair_folders,
    require_folders,
    use_validation,
)
from cracklab.data.samples import SIDES, Record, Side
from cracklab.errors import DataError

PHOTO_OF_CRACK500 = re.compile(r"\d{8}_\d{6}")


def _pair_in(folder: Path, side: Side) -> Index:
    """Pair `NAME.jpg` with `NAME_mask.png`, or with `NAME.png` if no mask ends in `_mask`."""
    return pair_folders(
        folder,
        folder,
        side,
        mask_suffixes=("_mask", ""),
        image_extensions=(".jpg", ".jpeg"),
        mask_extensions=(".png",),
    )


@register("crack500")
class Crack500(Layout):
    """CRACK500: `traincrop/`, `valcrop/`, `testcrop/` (or `traindata/` ...), `NAME.jpg` beside `NAME.png` or `NAME_mask.png`.

    Yang et al. 2019. Crops such as `20160222_080850_1_361` are of the photo `20160222_080850`, named after the second it was
    taken. Folders `train/`, `val/` and `test/` are read too.

    Args:
        part: the published crops, or the whole photos.
    """

    def __init__(self, part: Literal["crop", "data"] = "crop") -> None:
        self.part = part

    def index(self, root: Path) -> Index:
        """Return the pairs of the published split."""
        part = self.part if (root / f"train{self.part}").is_dir() else ""
        require_folders(root, (f"train{part}",), "crack500")
        records, problems = join(_pair_in(root / f"{side}{part}", side) for side in SIDES)
        return [replace(record, group=self._photo(record.stem)) for record in records], problems

    @staticmethod
    def _photo(stem: str) -> str:
        match = PHOTO_OF_CRACK500.match(stem)
        return match[0] if match else stem


@register("fcd108")
class FCD108(Layout):
    """FCD-108, facades: `train/` and `valid/` with `NAME.jpg` beside `NAME_mask.png`. Krasniqi and Shehu 2026.

    Args:
        valid_is: use `valid/` for validation (`val`); as test images (`test`), with validation taken from the training photos;
            or as both (`both`), as papers without a test set do, which `data.known_overlap: report` has to accept.
    """

    def __init__(self, valid_is: ValidationUse = "val") -> None:
        self.valid_is = valid_is

    def index(self, root: Path) -> Index:
        """Return the pairs of both folders."""
        require_folders(root, ("train", "valid"), "fcd108")
        valid = use_validation(_pair_in(root / "valid", "val"), self.valid_is)
        return join([_pair_in(root / "train", "train"), valid])


@register("crackforest")
class CrackForest(Layout):
    """CrackForest: `image/001.jpg` with `groundTruth/001.mat`. Shi et al. 2016.

    The matrix `groundTruth.Segmentation` numbers regions. In the published files 1 is the background, 2 the crack, 3
    background enclosed by cracks (22 files), and 4 pieces of crack apart from the rest (5 files): 2 and 4 are read as crack.
    """

    CRACK = (2, 4)

    def index(self, root: Path) -> Index:
        """Return the 118 pairs; the 37 photos that are published without ground truth are skipped."""
        require_folders(root, ("image", "groundTruth"), "crackforest")
        images, problems = files_by_key(root / "image", extensions=(".jpg",))
        masks, mask_problems = files_by_key(root / "groundTruth", extensions=(".mat",))
        records, unpaired = pair_files({key: path for key, path in images.items() if key in masks}, masks)
        return records, problems + mask_problems + unpaired

    def read_mask(self, record: Record) -> Array:
        """Return the regions that are crack.

        Raises:
            DataError: for a file without that matrix, or with other region numbers.
        """
        try:
            regions = loadmat(record.mask)["groundTruth"]["Segmentation"][0, 0]
        except Exception as error:  # SciPy raises many types for damaged files, and for newer ones
            reason = " ".join([f"{type(error).__name__}:", *str(error).split()])
            raise DataError(
                f"{record.mask!r} holds no matrix groundTruth.Segmentation ({reason[:200]}): download it again, or save it in "
                "MATLAB's format 7 or older"
            ) from None
        if not np.isin(regions, (1, 2, 3, 4)).all():
            raise DataError(
                f"{record.mask!r} has regions other than 1 to 4 (up to {regions.max()}): check which of them are crack"
            )
        return np.isin(regions, self.CRACK).astype(np.uint8)
