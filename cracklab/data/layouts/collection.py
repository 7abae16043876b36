"""A published collection of crack data sets."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cracklab.data.layouts.base import Index, Layout, register
from cracklab.data.layouts.pairing import SIDE_NAMES, join, pair_folders, require_folders
from cracklab.data.samples import Record

SOURCES: Mapping[str, int] = {
    "CFD": 0,
    "CRACK500": 2,
    "DeepCrack": 0,
    "Eugen_Muller": 0,
    "Eugen_Müller": 0,
    "GAPS384": 2,
    "Rissbilder_for_Florian": 4,
    "Sylvie_Chambon": 0,
    "Volker": 4,
    "cracktree200": 0,
    "forest": 0,
    "noncrack": 1,
}
"""Data set, the prefix of a file name -> number of numbers at the end of the name that locate a crop in its photo."""
CROP_NUMBER = re.compile(r"-\d+$")
"""End of the name of a crop: `11231-3` is a crop of `11231`."""


@register("crack_collection")
class CrackCollection(Layout):
    """Twelve crack data sets in one, Kaggle's "Crack Segmentation Dataset": `images/a.jpg` + `masks/a.jpg`.

    About 11,200 images of 448 x 448 px. The name of an image begins with its data set, which becomes its source, or with
    `noncrack` if it shows no crack. Crops of one photo, as their names tell, are one group. Without `images/`, the sides
    `train/` and `test/` are read, which hold the same images again.
    """

    def index(self, root: Path) -> Index:
        """Return the pairs with their source and photo."""
        sides = [""] if (root / "images").is_dir() else ["train", "test"]
        for side in sides:
            require_folders(root / side, ("images", "masks"), "crack_collection")
        records, problems = join(
            pair_folders(root / side / "images", root / side / "masks", SIDE_NAMES.get(side)) for side in sides
        )
        return [_with_source(record) for record in records], problems


def _with_source(record: Record) -> Record:
    """Return a record with the id, source and photo that its file name tells; some names are `a.jpg.jpg`."""
    name = record.stem.removesuffix(".jpg")
    source = next((known for known in SOURCES if name.startswith(f"{known}_")), name.partition("_")[0])
    photo = CROP_NUMBER.sub("", name.rsplit("_", SOURCES.get(source, 0))[0])
    return replace(record, id=name, source=source, group=photo)
