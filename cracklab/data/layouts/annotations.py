"""Annotations as masks: polygons, and polylines with a width, from COCO, LabelMe and CVAT."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cracklab.bounds import PositiveFloat
from cracklab.data.layouts.annotated import Annotated, AnnotationLayout, Size
from cracklab.data.layouts.base import register
from cracklab.data.layouts.pairing import find_files
from cracklab.data.layouts.shapes import Shape, corners, ellipse, turned
from cracklab.data.layouts.stored_masks import CocoRunLengths, CvatRunLengths, LabelMePicture
from cracklab.data.layouts.values import (
    items_of,
    load_json,
    number,
    pair_of,
    photo_path,
    reading,
    size_of,
    text,
    whole_number,
    width_of,
)
from cracklab.errors import DataError

WIDTH = re.compile(r"\bwidth\s*=\s*(-?\d+(?:[.,]\d+)?)")
"""The width of a line in its description, px."""


@register("labelme")
class LabelMe(AnnotationLayout):
    """LabelMe: `a.json` beside `a.jpg`, with polygons, line strips, lines, rectangles, circles and masks.

    The description `width=5` of a line is its width, px.

    Args:
        labels: labels of the shapes that are crack; None: all shapes.
        line_width_px: width of lines without that description, px.
    """

    def annotations(self, root: Path) -> Iterator[Annotated]:
        """Yield one photo for each file."""
        for path in find_files(root, (".json",)):
            content = load_json(path)
            with reading(path, "", "LabelMe file"):
                entries = items_of(content, "shapes")
                photo = photo_path(path.parent, content["imagePath"])
                size = size_of(content, "imageHeight", "imageWidth")
            shapes = []
            for i, shape in enumerate(entries, 1):
                with reading(path, f"shape {i}", "LabelMe file"):
                    shapes.append(self._shape(shape, f"shape {i}"))
            yield photo, path, shapes, size

    def _shape(self, shape: Mapping[str, Any], entry: str) -> Shape:
        label = text(shape["label"])
        if not self._is_crack(label):
            return Shape(label)
        points = tuple((number(x), number(y)) for x, y in shape["points"])
        match shape.get("shape_type", "polygon"):
            case "polygon":
                return Shape(label, points, entry=entry)
            case "linestrip" | "line":
                found = WIDTH.search(shape.get("description") or "")
                return Shape(label, points, width_of(found[1]) if found else self.line_width_px, entry=entry)
            case "rectangle":
                return Shape(label, corners(*points), entry=entry)
            case "circle":
                middle, edge = points
                return Shape(label, (middle, middle), 2 * math.dist(middle, edge), entry=entry)
            case "mask":
                (left, top), (right, bottom) = (map(int, point) for point in points)
                picture = LabelMePicture(text(shape["mask"]), top, left, bottom - top + 1, right - left + 1)
                return Shape(label, decode=picture, entry=entry)
            case other:
                raise ValueError(
                    f"shape_type {other!r} is not one of polygon, linestrip, line, rectangle, circle, mask; data.layout.labels takes "
                    "the labels that are crack"
                )


@register("coco")
class Coco(AnnotationLayout):
    """COCO: one JSON file with `images`, `annotations` and `categories`; polygons and run lengths.

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
        content = load_json(path)
        with reading(path, "", "COCO file"):
            categories = items_of(content, "categories")
            names = {category["id"]: str(category["name"]) for category in categories}
            if len(names) < len(categories):
                raise ValueError("two categories have the same id")
            images, annotations = items_of(content, "images"), items_of(content, "annotations")
        photos: dict[Any, tuple[Path, Size | None]] = {}
        for i, image in enumerate(images, 1):
            with reading(path, f"image {i}", "COCO file"):
                if image["id"] in photos:
                    raise ValueError(f"id {image['id']!r} is that of another image")
                photo = photo_path(root / self.images, image["file_name"])
                photos[image["id"]] = photo, size_of(image, "height", "width")
        shapes: dict[Any, list[Shape]] = {id: [] for id in photos}
        for i, annotation in enumerate(annotations, 1):
            with reading(path, entry := _annotation(annotation, i), "COCO file"):
                label, image = _known(names, annotation, "category_id"), annotation["image_id"]
                _known(photos, annotation, "image_id")
                shapes[image] += _coco_shapes(annotation, label, entry) if self._is_crack(label) else [Shape(label)]
        for id, (photo, size) in photos.items():
            yield photo, path, shapes[id], size


def _annotation(annotation: Any, number: int) -> str:
    """Return the name of an annotation: its place in the file, and its id."""
    id = annotation.get("id") if isinstance(annotation, Mapping) else None
    return f"annotation {number}" if id is None else f"annotation {number} (id {str(id)[:40]})"


def _known(entries: Mapping[Any, Any], annotation: Mapping[str, Any], key: str) -> Any:
    if annotation[key] not in entries:
        raise ValueError(f"{key} {annotation[key]!r} matches no entry")
    return entries[annotation[key]]


def _coco_shapes(annotation: Mapping[str, Any], label: str, entry: str) -> Iterator[Shape]:
    segmentation = annotation.get("segmentation")
    if not segmentation:
        raise ValueError("it has no segmentation; data.layout.labels takes the categories that are crack")
    if isinstance(segmentation, Mapping):
        height, width = map(whole_number, segmentation["size"])
        yield Shape(label, decode=CocoRunLengths(segmentation["counts"], height, width), entry=entry)
    else:
        for flat in segmentation:
            points = zip(map(number, flat[::2]), map(number, flat[1::2]), strict=True)
            yield Shape(label, tuple(points), entry=entry)


@register("cvat")
class Cvat(AnnotationLayout):
    """CVAT for images 1.1: one XML file with polygons, polylines, boxes, ellipses and masks.

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
        if tree.find("track") is not None:
            raise DataError(f"{str(path)!r} is a file of CVAT for video: export it as CVAT for images 1.1")
        for i, image in enumerate(tree.iter("image"), 1):
            with reading(path, f"image {i}", "file of CVAT for images"):
                size = whole_number(int(image.attrib["height"])), whole_number(int(image.attrib["width"]))
                photo = photo_path(root / self.images, image.attrib["name"])
            shapes: list[Shape] = []
            for j, element in enumerate(image, 1):
                with reading(path, entry := f"image {i}, shape {j}", "file of CVAT for images"):
                    if element.tag not in ("tag", "attribute"):  # of the whole image
                        shapes.append(self._shape(element, *size, entry))
            yield photo, path, shapes, size

    def _shape(self, element: ElementTree.Element, height: int, width: int, entry: str) -> Shape:
        given = element.attrib
        label = given["label"]
        if not self._is_crack(label):
            return Shape(label)
        points = tuple(pair_of(point) for point in given.get("points", "").split(";") if point)
        angle = math.radians(float(given.get("rotation", 0)))
        match element.tag:
            case "polygon":
                return Shape(label, points, entry=entry)
            case "polyline":
                attributes = {a.attrib["name"]: a.text for a in element.iter("attribute")}
                own = attributes.get("width")
                line_width = width_of(own) if own else self.line_width_px
                return Shape(label, points, line_width, entry=entry)
            case "box":
                left, top, right, bottom = (float(given[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
                return Shape(label, turned(corners((left, top), (right, bottom)), angle), entry=entry)
            case "ellipse":
                x, y, rx, ry = (float(given[key]) for key in ("cx", "cy", "rx", "ry"))
                return Shape(label, turned(ellipse(x, y, rx, ry), angle), entry=entry)
            case "mask":
                runs = tuple(map(int, given["rle"].split(",")))
                top, left, rows, columns = (int(given[key]) for key in ("top", "left", "height", "width"))
                return Shape(label, decode=CvatRunLengths(runs, top, left, rows, columns, height, width), entry=entry)
            case other:
                raise ValueError(
                    f"{other} is not one of polygon, polyline, box, ellipse, mask; data.layout.labels takes the labels that are crack"
                )
