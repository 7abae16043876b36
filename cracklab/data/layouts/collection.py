"""A published collection of other data sets."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import filter as matching
from pathlib import Path

from cracklab.data.layouts.base import PREVIEW, SPLITS, Layout, keyed, pair, register, require_folders
from cracklab.data.samples import Problem, Record
from cracklab.errors import DataError

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
"""What names begin with -> how many numbers at their end say where in its photo a crop lies."""
NUMBERED = re.compile(r"-\d+$")
"""The end of `11231-3`, a crop of `11231`."""


@register("crack_collection")
class CrackCollection(Layout):
    """Twelve crack data sets in one, Kaggle's "Crack Segmentation Dataset": `images/a.jpg` + `masks/a.jpg`.

    About 11,200 images of 448 x 448 px. A name begins with the data set that it comes from, which becomes its source;
    those without cracks begin with `noncrack`. Crops that their names tell to be of one photo are one group. Without
    `images/`, the sides `train/` and `test/` are read, where the same images lie once more.

    Args:
        exclude: text file below `data.root` of images to leave out, for instance for wrong labels: a line a name without
            its ending, or a pattern as `forest_*`; what follows a `#` is a remark.
    """

    def __init__(self, exclude: str | None = None) -> None:
        self.exclude = exclude

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """Pairs with their source and photo, without those on the list."""
        records: list[Record] = []
        problems: list[Problem] = []
        for side in [""] if (root / "images").is_dir() else ["train", "test"]:
            require_folders(root / side, ("images", "masks"), "crack_collection")
            images, doubles = keyed(root / side / "images")
            masks, more = keyed(root / side / "masks")
            found, unpaired = pair(images, masks, SPLITS[side] if side else None)
            records += [_placed(record) for record in found]
            problems += doubles + more + unpaired
        out = set() if self.exclude is None else _listed(root / self.exclude, [record.id for record in records])
        return [record for record in records if record.id not in out], problems


def _placed(record: Record) -> Record:
    """A record with the name, the source and the photo that its file tells; some are called `a.jpg.jpg`."""
    name = record.stem.removesuffix(".jpg")
    source = next((known for known in SOURCES if name.startswith(f"{known}_")), name.partition("_")[0])
    photo = NUMBERED.sub("", name.rsplit("_", SOURCES.get(source, 0))[0])
    return replace(record, id=name, source=source, group=photo)


def _listed(path: Path, names: Sequence[str]) -> set[str]:
    """The names that a list leaves out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"list {str(path)!r} cannot be read ({error}): set data.layout.exclude") from None
    found = {line: matching(names, line) for text in lines if (line := text.partition("#")[0].strip())}
    unknown = [line for line, matches in found.items() if not matches]
    if unknown:
        raise DataError(
            f"list {str(path)!r} names {', '.join(unknown[:PREVIEW])}, but no image is called so: write names without their "
            "ending, or patterns"
        )
    return {name for matches in found.values() for name in matches}
