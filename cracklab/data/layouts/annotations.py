"""Annotations as masks: polygons, and polylines with a width, from COCO, LabelMe and CVAT."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cracklab.bounds import PositiveFloat, bounded
from cracklab.data.images import Array
from cracklab.data.layouts.base import Index, Layout, find_files, register, require_folders
from cracklab.data.layouts.shapes import CocoRunLengths, CvatRunLengths, Shape, number, rasterise, text, whole_number
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
        for photo, file, shapes, size in self.annotations(root):
            if not os.path.isfile(photo):
                fact = f"{str(file)!r} lists it, but it does not exist: add it, or remove it from the file"
                problems.append(Problem("missing-image", (str(photo),), fact))
                continue
            known |= {shape.label for shape in shapes}
            chosen = [shape for shape in shapes if self.labels is None or shape.label in self.labels]
            self._shapes[str(photo)] = chosen, size
            records.append(Record(str(photo), str(file)))
        for label in set(self.labels or ()) - known:
            raise DataError(f"no shape has the label {label!r}{nearest(label, sorted(known))}")
        if not records and problems:
            raise DataError(
                f"none of the {len(problems)} photos in the annotation files exists, such as {problems[0].files[0]!r}: set "
                "data.root, or data.layout.images, to the folder that their names are relative to"
            )
        if not records:
            raise DataError(f"{str(root)!r} holds no annotated photo: set data.root, or the options of data.layout")
        return records, problems

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


@contextmanager
def _reading(path: Path, entry: str, tool: str) -> Iterator[None]:
    """Turn errors while an entry of a file is read into one that names both.

    Raises:
        DataError: if the entry is not as it has to be.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        where = f"{entry}: " if entry else ""
        raise DataError(f"{str(path)!r} is not a {tool} ({where}{reason}): correct it, or export it again") from None


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} cannot be read as JSON ({error}): export it again") from None


def _items(content: Any, key: str) -> list[Any]:
    """Return a list of a JSON object."""
    if not isinstance(content, dict):
        raise ValueError(f"{type(content).__name__} where an object is expected")
    if not isinstance(content[key], list):
        raise ValueError(f"{key} is not a list")
    items: list[Any] = content[key]
    return items


def _size(content: Mapping[str, Any], height: str, width: str) -> Size | None:
    """Return the size of a photo; None if it is missing, null or 0."""
    size = whole_number(content.get(height) or 0), whole_number(content.get(width) or 0)
    return size if all(size) else None


WIDTH = re.compile(r"\bwidth\s*=\s*(\d+(?:\.\d*)?)")
"""The width of a line in its description, px."""


@register("labelme")
class LabelMe(AnnotationLayout):
    """LabelMe: `a.json` beside `a.jpg`, with polygons, line strips, lines and rectangles.

    The description `width=5` of a line is its width, px.

    Args:
        labels: labels of the shapes that are crack; None: all shapes.
        line_width_px: width of lines without that description, px.
    """

    def annotations(self, root: Path) -> Iterator[Annotated]:
        """Yield one photo for each file."""
        for path in find_files(root, (".json",)):
            content = _load(path)
            with _reading(path, "", "LabelMe file"):
                entries = _items(content, "shapes")
                photo = path.parent / text(content["imagePath"]).replace("\\", "/")
                size = _size(content, "imageHeight", "imageWidth")
            shapes = []
            for i, shape in enumerate(entries, 1):
                with _reading(path, f"shape {i}", "LabelMe file"):
                    shapes.append(self._shape(shape, f"shape {i}"))
            yield photo, path, shapes, size

    def _shape(self, shape: Mapping[str, Any], entry: str) -> Shape:
        label, points = text(shape["label"]), [(number(x), number(y)) for x, y in shape["points"]]
        match shape.get("shape_type", "polygon"):
            case "polygon":
                return Shape(label, tuple(points), entry=entry)
            case "linestrip" | "line":
                found = WIDTH.search(shape.get("description") or "")
                return Shape(label, tuple(points), float(found[1]) if found else self.line_width_px, entry=entry)
            case "rectangle":
                (left, top), (right, bottom) = points
                return Shape(label, ((left, top), (right, top), (right, bottom), (left, bottom)), entry=entry)
            case other:
                raise ValueError(f"shape_type {other!r} is none of polygon, linestrip, line, rectangle")


@register("coco")
class Coco(AnnotationLayout):
    """COCO: one JSON file with `images`, `annotations` and `categories`; polygons and run lengths.

    Compressed run lengths need pycocotools.

    Args:
        file: the annotations, relative to `data.root`.
        images: folder of the photos, relative to `data.root`.
        labels: names of the categories that are crack; None: all categories.
    """

    def __init__(self, file: str = "annotations.json", images: str = ".", labels: Sequence[str] | None = None) -> None:
        super().__init__(labels)
        self.file, self.images = file, images

    def annotations(self, root: Path) -> Iterator[Annotated]:
        """Yield every image of the file."""
        path = root / self.file
        content = _load(path)
        with _reading(path, "", "COCO file"):
            names = {category["id"]: str(category["name"]) for category in _items(content, "categories")}
            images, annotations = _items(content, "images"), _items(content, "annotations")
        photos: dict[Any, tuple[Path, Size | None]] = {}
        for i, image in enumerate(images, 1):
            with _reading(path, f"image {i}", "COCO file"):
                if image["id"] in photos:
                    raise ValueError(f"id {image['id']!r} is that of another image")
                photos[image["id"]] = root / self.images / text(image["file_name"]), _size(image, "height", "width")
        shapes: dict[Any, list[Shape]] = {id: [] for id in photos}
        for i, annotation in enumerate(annotations, 1):
            with _reading(path, entry := _annotation(annotation, i), "COCO file"):
                label, image = _known(names, annotation, "category_id"), annotation["image_id"]
                _known(photos, annotation, "image_id")
                shapes[image] += _coco_shapes(annotation, label, entry)
        for id, (photo, size) in photos.items():
            yield photo, path, shapes[id], size


def _annotation(annotation: Any, number: int) -> str:
    """Return the name of an annotation: its place in the file, and its id."""
    id = annotation.get("id") if isinstance(annotation, Mapping) else None
    return f"annotation {number}" if id is None else f"annotation {number} (id {str(id)[:40]})"


def _known(entries: Mapping[Any, Any], annotation: Mapping[str, Any], key: str) -> Any:
    if annotation[key] not in entries:
        raise ValueError(f"{key} {annotation[key]!r} is the id of none")
    return entries[annotation[key]]


def _coco_shapes(annotation: Mapping[str, Any], label: str, entry: str) -> Iterator[Shape]:
    segmentation = annotation.get("segmentation") or []
    if isinstance(segmentation, Mapping):
        height, width = map(whole_number, segmentation["size"])
        yield Shape(label, decode=CocoRunLengths(segmentation["counts"], height, width), entry=entry)
    else:
        for flat in segmentation:
            points = zip(map(number, flat[::2]), map(number, flat[1::2]), strict=True)
            yield Shape(label, tuple(points), entry=entry)


@register("cvat")
class Cvat(AnnotationLayout):
    """CVAT for images 1.1: one XML file with polygons, polylines, boxes and masks.

    The attribute `width` of a polyline is its width, px.

    Args:
        file: the annotations, relative to `data.root`.
        images: folder of the photos, relative to `data.root`.
        labels: labels of the shapes that are crack; None: all shapes.
        line_width_px: width of polylines without that attribute, px.
    """

    def __init__(
        self,
        file: str = "annotations.xml",
        images: str = "images",
        labels: Sequence[str] | None = None,
        line_width_px: PositiveFloat = 3.0,
    ) -> None:
        super().__init__(labels, line_width_px)
        self.file, self.images = file, images

    def annotations(self, root: Path) -> Iterator[Annotated]:
        """Yield every image of the file."""
        path = root / self.file
        try:
            tree = ElementTree.parse(path)
        except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:
            raise DataError(f"{str(path)!r} is not a file of CVAT for images ({error!r}): export it again") from None
        for i, image in enumerate(tree.iter("image"), 1):
            with _reading(path, f"image {i}", "file of CVAT for images"):
                size = whole_number(int(image.attrib["height"])), whole_number(int(image.attrib["width"]))
                photo = root / self.images / text(image.attrib["name"])
            shapes: list[Shape] = []
            for j, element in enumerate(image, 1):
                with _reading(path, entry := f"image {i}, shape {j}", "file of CVAT for images"):
                    shapes += self._shapes_of(element, *size, entry)
            yield photo, path, shapes, size

    def _shapes_of(self, element: ElementTree.Element, height: int, width: int, entry: str) -> Iterator[Shape]:
        given = element.attrib
        points = tuple(tuple(map(float, point.split(","))) for point in given.get("points", "").split(";") if point)
        match element.tag:
            case "polygon":
                yield Shape(given["label"], points, entry=entry)  # type: ignore[arg-type]  # `Shape` rejects all but pairs
            case "polyline":
                attributes = {a.attrib["name"]: a.text for a in element.iter("attribute")}
                line_width = float(attributes.get("width") or self.line_width_px)
                yield Shape(given["label"], points, line_width, entry=entry)  # type: ignore[arg-type]  # as above
            case "box":
                left, top, right, bottom = (float(given[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
                yield Shape(given["label"], ((left, top), (right, top), (right, bottom), (left, bottom)), entry=entry)
            case "mask":
                runs = tuple(map(int, given["rle"].split(",")))
                top, left, rows, columns = (int(given[key]) for key in ("top", "left", "height", "width"))
                decode = CvatRunLengths(runs, top, left, rows, columns, height, width)
                yield Shape(given["label"], decode=decode, entry=entry)
