"""The page of an audit: one HTML file without a network, with a row of pictures for each suspect."""

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, StrictUndefined

from cracklab import pictures
from cracklab.audit.labelled import Labelled
from cracklab.audit.suspect import KINDS, Suspect
from cracklab.data.exclude import line_of
from cracklab.data.parallel import parallel_map
from cracklab.files import write_text
from cracklab.pictures.colours import ORANGE
from cracklab.version import __version__

TEMPLATE = "page.html.jinja"
SMALLEST_PX, MARGIN = 160, 0.25
"""Sides of the part of a photo that is shown: at least this number of pixels, and the box of the suspect with a margin, as a share of it."""
HEIGHT_PX, WIDTH_PX = 200, 300
"""Largest height and width of a picture on the page, px."""
JPEG_QUALITY = 82


@dataclass(frozen=True)
class ShownRow:
    """A suspect with its pictures as data URLs: photo, mask and prediction."""

    rank: int
    suspect: Suspect
    sources: tuple[str, str, str]

    @property
    def line(self) -> str:
        """The line of a list that stands for the image."""
        return line_of(self.suspect.id)


def write_page(path: Path, labelled: Labelled, suspects: Sequence[Suspect], number: int) -> None:
    """Write the page.

    Args:
        path: the file.
        labelled: the data.
        suspects: those that are shown, most suspicious first.
        number: of all suspects.

    Raises:
        DataError: for an image that cannot be read.
        OSError: if the file cannot be written.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("cracklab.audit").joinpath(TEMPLATE).read_text(encoding="utf-8"))
    rows = sorted(_rows(labelled, suspects), key=lambda row: row.rank)
    counts = Counter(suspect.kind for suspect in suspects)
    text = template.render(
        rows=rows,
        number=number,
        images=len(labelled.records),
        kinds={kind: (KINDS[kind], counts[kind]) for kind in KINDS if counts[kind]},
        version=__version__,
    )
    write_text(path, text)


def _rows(labelled: Labelled, suspects: Sequence[Suspect]) -> Iterator[ShownRow]:
    """Yield the rows, image by image, so that each image is read once."""
    records = {record.id: record for record in labelled.records}
    ranked = sorted(enumerate(suspects, 1), key=lambda pair: pair[1].id)
    by_image = [(name, list(group)) for name, group in groupby(ranked, key=lambda pair: pair[1].id)]

    def draw(index: int) -> list[ShownRow]:
        name, group = by_image[index]
        photo = labelled.photo(records[name])
        mask, _, corner = labelled.mask(records[name])
        levels = (labelled.probability(records[name], mask.shape) * 255).round().astype(np.uint8)
        planes = [photo, pictures.mask_image(mask), pictures.as_rgb(levels)]
        return [ShownRow(rank, suspect, _pictures(planes, suspect, corner)) for rank, suspect in group]

    for rows in parallel_map(draw, len(by_image), "Drawing", labelled.num_threads()):
        yield from rows


def _pictures(planes: Sequence[pictures.Image], suspect: Suspect, corner: tuple[int, int]) -> tuple[str, str, str]:
    """Return the surroundings of a suspect in photo, mask and prediction, with its box."""
    height, width = planes[0].shape[:2]
    left, right = part_around(suspect.x - corner[0], suspect.width, width)
    top, bottom = part_around(suspect.y - corner[1], suspect.height, height)
    scale = min(HEIGHT_PX / (bottom - top), WIDTH_PX / (right - left))
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    x, y = suspect.x - corner[0] - left, suspect.y - corner[1] - top
    start = round(x * scale) - 2, round(y * scale) - 2
    end = round((x + suspect.width) * scale) + 1, round((y + suspect.height) * scale) + 1
    shown = []
    for plane in planes:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
        part = np.ascontiguousarray(cv2.resize(plane[top:bottom, left:right], size, interpolation=how))
        cv2.rectangle(part, start, end, ORANGE, 1)
        _, data = cv2.imencode(".jpg", part[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        shown.append(f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}")
    return shown[0], shown[1], shown[2]


def part_around(start: int, length: int, whole: int) -> tuple[int, int]:
    """Return the begin and end of the part of a side that is shown around a box, px.

    Example:
        >>> part_around(start=100, length=20, whole=500)  # 160 px with the box in the middle
        (30, 190)
        >>> part_around(start=0, length=400, whole=500)
        (0, 500)
    """
    shown = min(whole, max(SMALLEST_PX, round(length * (1 + 2 * MARGIN))))
    begin = min(max(0, start + length // 2 - shown // 2), whole - shown)
    return begin, begin + shown
