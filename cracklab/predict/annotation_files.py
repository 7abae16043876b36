"""Files that annotation tools open: COCO, LabelMe, and CVAT for images 1.1."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from cracklab.data.layouts.shapes import Shape
from cracklab.errors import DataError
from cracklab.predict.outlines import Cracks
from cracklab.predict.signature import UNSIGNED, signed_file

COCO, CVAT = "annotations.json", "annotations.xml"
"""Names of files that hold all photos, those that the layouts read by default."""
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML file can hold."""
LABELME_VERSION = "5.5.0"
"""The version of LabelMe whose files these are; newer ones read them."""


@dataclass(frozen=True)
class Annotation:
    """The cracks of one photo.

    Attributes:
        photo: its file.
        name: its name in files that hold all photos.
        stem: path of a file of its own, without an ending, relative to the folder of such files.
        height: of the upright photo, px.
        width: of the upright photo, px.
        cracks: the shapes of each crack.
    """

    photo: Path
    name: str
    stem: str
    height: int
    width: int
    cracks: Cracks


Add = Callable[[Annotation], None]
"""Write the annotation of one more photo."""
AnnotationWriter = Callable[[Path, Sequence[str]], AbstractContextManager[Add]]
"""From the folder of the masks and the labels of the cracks to a file that is complete at the end of the context."""


@contextmanager
def coco_file(folder: Path, labels: Sequence[str]) -> Iterator[Add]:
    """Write `annotations.json`: one annotation per crack, with one or several polygons, which COCO's tools unite.

    Annotations are written as they come, and only the list of images is kept in memory.
    """
    ids = {label: i for i, label in enumerate(labels, 1)}
    images: list[dict[str, Any]] = []
    count = 0
    with signed_file(folder / COCO) as write:

        def add(photo: Annotation) -> None:
            nonlocal count
            images.append(
                {"id": len(images) + 1, "file_name": photo.name, "height": photo.height, "width": photo.width}
            )
            for crack in photo.cracks:
                entry = {
                    "id": count + 1,
                    "image_id": images[-1]["id"],
                    "category_id": ids[crack[0].label],
                    **_coco_geometry(crack),
                    "iscrowd": 0,
                }
                write(f"{',' if count else ''}\n{_json(entry)}")
                count += 1

        categories = [{"id": i, "name": label, "supercategory": ""} for label, i in ids.items()]
        info = {"description": f"cracklab predict, {UNSIGNED}"}
        write(f'{{"info": {_json(info)}, "licenses": [], "categories": {_json(categories)}, "annotations": [')
        yield add
        write(f'\n], "images": {_json(images)}}}\n')


def _coco_geometry(crack: Sequence[Shape]) -> dict[str, Any]:
    """Return polygons, box and area of a crack."""
    polygons = [np.array(shape.points) for shape in crack]
    corners = np.concatenate(polygons)
    low, high = corners.min(axis=0), corners.max(axis=0)
    area = sum(abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2 for x, y in (p.T for p in polygons))
    return {"segmentation": [p.ravel().tolist() for p in polygons], "bbox": [*low, *(high - low)], "area": area}


@contextmanager
def cvat_file(folder: Path, labels: Sequence[str]) -> Iterator[Add]:
    """Write `annotations.xml`: polygons, or polylines with the attribute `width`; the shapes of a crack are one group."""
    attribute = (
        "<attribute><name>width</name><mutable>False</mutable><input_type>text</input_type>"
        "<default_value></default_value><values></values></attribute>"
    )
    count = 0
    with signed_file(folder / CVAT) as write:

        def add(photo: Annotation) -> None:
            nonlocal count
            size = f'width="{photo.width}" height="{photo.height}"'
            write(f'<image id="{count}" name={_quoted(photo.name)} {size}>\n')
            for group, shape in _numbered(photo.cracks):
                write(_cvat_shape(shape, group))
            write("</image>\n")
            count += 1

        write(f'<?xml version="1.0" encoding="utf-8"?>\n<!-- cracklab predict, {UNSIGNED} -->\n')
        write("<annotations>\n<version>1.1</version>\n<meta><task><labels>\n")
        for label in labels:
            write(f"<label><name>{escape(check_xml(label))}</name><attributes>{attribute}</attributes></label>\n")
        write("</labels></task></meta>\n")
        yield add
        write("</annotations>\n")


def _cvat_shape(shape: Shape, group: int | None) -> str:
    points = ";".join(f"{x:.10g},{y:.10g}" for x, y in np.round(shape.points, 2).tolist())
    grouped = "" if group is None else f' group_id="{group}"'
    rest = f'label={_quoted(shape.label)} source="auto" occluded="0" points="{points}" z_order="0"{grouped}'
    if shape.width_px is None:
        return f"<polygon {rest}></polygon>\n"
    return f'<polyline {rest}><attribute name="width">{shape.width_px:g}</attribute></polyline>\n'


@contextmanager
def labelme_files(folder: Path, labels: Sequence[str]) -> Iterator[Add]:
    """Write a file per photo below the folder `labelme`."""

    def add(photo: Annotation) -> None:
        path = labelme_path(folder, photo.stem)
        place = os.path.join(os.path.realpath(photo.photo.parent), photo.photo.name)
        content: dict[str, Any] = {
            "version": LABELME_VERSION,
            "flags": {},
            "cracklab": UNSIGNED,
            "shapes": [_labelme_shape(shape, group) for group, shape in _numbered(photo.cracks)],
            "imagePath": Path(os.path.relpath(place, os.path.realpath(path.parent))).as_posix(),
            "imageData": None,
            "imageHeight": photo.height,
            "imageWidth": photo.width,
        }
        with signed_file(path) as write:
            write(_json(content) + "\n")

    yield add


def _labelme_shape(shape: Shape, group: int | None) -> dict[str, Any]:
    return {
        "label": shape.label,
        "points": [list(point) for point in shape.points],
        "group_id": group,
        "description": "" if shape.width_px is None else f"width={shape.width_px:g}",
        "shape_type": "polygon" if shape.width_px is None else "linestrip",
        "flags": {},
    }


def labelme_path(folder: Path, stem: str) -> Path:
    """Return the LabelMe file of a photo."""
    return folder / "labelme" / f"{stem}.json"


def _numbered(cracks: Cracks) -> Iterator[tuple[int | None, Shape]]:
    """Yield every shape with the number of its crack; None if it is the only one of the crack."""
    for i, crack in enumerate(cracks, 1):
        for shape in crack:
            yield (i if len(crack) > 1 else None), shape


def _json(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))


def _quoted(value: str) -> str:
    return quoteattr(check_xml(value))


def check_xml(value: str) -> str:
    """Return a text that XML can hold.

    Raises:
        DataError: if it has a character that no XML file can hold.
    """
    if found := NOT_XML.search(value):
        raise DataError(f"{value!r} has the character {found[0]!r}, which CVAT's files cannot hold: rename it")
    return value


def coco_names(path: Path) -> set[str]:
    """Return the names of the photos in a COCO file that was written here."""
    return {image["file_name"] for image in json.loads(path.read_text(encoding="utf-8"))["images"]}


def cvat_names(path: Path) -> set[str]:
    """Return the names of the photos in a file of CVAT for images that was written here."""
    names = set()
    for _, element in ElementTree.iterparse(path):
        if element.tag == "image":
            names.add(element.attrib["name"])
            element.clear()
    return names


WRITERS: Mapping[str, AnnotationWriter] = {"coco": coco_file, "labelme": labelme_files, "cvat": cvat_file}
"""By the name of the layout that reads the files."""
SHARED: Mapping[str, tuple[str, Callable[[Path], set[str]]]] = {"coco": (COCO, coco_names), "cvat": (CVAT, cvat_names)}
"""Files that hold all photos, and how to read the names of the photos in them."""
