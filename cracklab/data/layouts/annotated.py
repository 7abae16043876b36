"""The base of the layouts of annotation tools, which draw shapes as masks."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from cracklab.bounds import PositiveFloat, bounded
from cracklab.data.images import Array
from cracklab.data.layouts.base import Index, Layout
from cracklab.data.layouts.pairing import require_folders
from cracklab.data.layouts.shapes import Shape, rasterise
from cracklab.data.samples import Problem, Record
from cracklab.errors import DataError
from cracklab.registry import nearest

Size = tuple[int, int]
"""(height, width), px."""
Annotated = tuple[Path, Path, list[Shape], Size | None]
"""A photo, its annotation file, its shapes, and the size of the photo that they were drawn on, if the file has it."""


@bounded
class AnnotationLayout(Layout):
    """Photos, with cracks as shapes in the files of an annotation tool. A subclass parses these files.

    Args:
        labels: labels of the shapes that are crack; None: all shapes.
        line_width_px: width of lines without a width of their own, px.
    """

    def __init__(self, labels: Sequence[str] | None = None, line_width_px: PositiveFloat = 3.0) -> None:
        self.labels = None if labels is None else tuple(labels)
        self.line_width_px = line_width_px
        self._shapes: dict[str, tuple[list[Shape], Size | None]] = {}

    def annotations(self, root: Path) -> Iterator[Annotated]:
        """Yield each photo with its shapes.

        Raises:
            DataError: for a file that cannot be read; names the entry.
        """
        raise NotImplementedError

    def index(self, root: Path) -> Index:
        """Return all photos of the annotation files; a photo without shapes shows no crack.

        Raises:
            DataError: for a file that cannot be read, or a label that no shape has.
        """
        require_folders(root, (), type(self).__qualname__)
        records, problems, known = [], [], set()
        files: dict[str, Path] = {}
        for photo, file, shapes, size in self.annotations(root):
            if not os.path.isfile(photo):
                fact = f"{str(file)!r} lists it, but it does not exist: add it, or remove it from the file"
                problems.append(Problem("missing-image", (str(photo),), fact))
                continue
            known |= {shape.label for shape in shapes}
            if first := files.get(os.path.abspath(photo)):
                where = f"twice in {str(file)!r}" if file == first else f"in {str(first)!r} and in {str(file)!r}"
                problems.append(Problem("same-photo", (str(photo),), f"it is annotated {where}: keep one of them"))
                continue
            files[os.path.abspath(photo)] = file
            self._shapes[str(photo)] = [shape for shape in shapes if self._is_crack(shape.label)], size
            records.append(Record(str(photo), str(file)))
        for label in set(self.labels or ()) - known:
            raise DataError(f"no shape has the label {label!r}{nearest(label, sorted(known))}")
        if not records and problems:
            raise DataError(
                f"none of the {len(problems)} photos in the annotation files exists, such as {problems[0].files[0]!r}: set "
                "data.root, or data.layout.images, to the folder that their names are relative to; data.layout.images is relative to "
                "data.root, or absolute"
            )
        if not records:
            raise DataError(f"{str(root)!r} holds no annotated photo: set data.root, or the options of data.layout")
        return with_folders(records), problems

    def _is_crack(self, label: str) -> bool:
        return self.labels is None or label in self.labels

    def read(self, record: Record) -> tuple[Array, Array]:
        """Decode the photo, and draw its cracks at its size."""
        image = self.read_image(record)
        shapes, size = self._shapes[record.image]
        height, width = image.shape[:2]
        try:
            if size is not None and size != (height, width):
                raise ValueError(f"drawn on {size[1]} x {size[0]} px, and the photo has {width} x {height} px")
            return image, rasterise(shapes, height, width)
        except ValueError as error:
            raise DataError(
                f"the shapes of {record.image!r} in {record.mask!r} do not fit its size ({error}): export them again"
            ) from None

    def read_mask(self, record: Record) -> Array:
        """Draw the cracks at the size of the photo."""
        return self.read(record)[1]


def with_folders(records: Sequence[Record]) -> list[Record]:
    """Return records with ids that begin with the folders of the photo, if several photos share a stem; groups then do, too.

    Example:
        >>> photos = ("walls/north/1.jpg", "walls/south/1.jpg", "walls/south/2-1.jpg")
        >>> [(record.id, record.group) for record in with_folders([Record(photo, "") for photo in photos])]
        [('north-1', 'north-1'), ('south-1', 'south-1'), ('', 'south-2')]
    """
    times = Counter(record.stem for record in records)
    if len(times) == len(records):
        return list(records)
    parts = [Path(os.path.abspath(record.image)).with_suffix("").parts for record in records]
    levels = zip(*(part[:-1] for part in parts), strict=False)
    common = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, levels))
    return [
        replace(
            record,
            id="-".join(part[common:]) if times[record.stem] > 1 else record.id,
            group="-".join([*part[common:-1], record.photo]),
        )
        for record, part in zip(records, parts, strict=True)
    ]
