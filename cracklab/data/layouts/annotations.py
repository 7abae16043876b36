"""Annotations as masks: polygons, and polylines with a width, from COCO, LabelMe and CVAT."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cracklab.bounds import PositiveFloat, bounded
from cracklab.data.images import Array
from cracklab.data.layouts.base import Index, Layout, find_files, register, require_folders
from cracklab.data.layouts.shapes import CocoRunLengths, CvatRunLengths, Shape, rasterise
from cracklab.data.samples import Problem, Record
from cracklab.errors import DataError
from cracklab.registry import nearest


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
        self._shapes: dict[str, list[Shape]] = {}

    def annotations(self, root: Path) -> Iterator[tuple[Path, Path, list[Shape]]]:
        """Yield each photo, its annotation file, and its shapes."""
        raise NotImplementedError

    def index(self, root: Path) -> Index:
        """Return all photos of the annotation files; a photo without shapes shows no crack.

        Raises:
            DataError: for a file that cannot be read, or a label that no shape has.
        """
        require_folders(root, (), type(self).__qualname__)
        records, problems, known = [], [], set()
        for photo, file, shapes in self.annotations(root):
            if not photo.is_file():
                fact = f"{str(file)!r} lists it, but it does not exist: add it, or remove it from the file"
                problems.append(Problem("missing-image", (str(photo),), fact))
                continue
            known |= {shape.label for shape in shapes}
            self._shapes[str(photo)] = [s for s in shapes if self.labels is None or s.label in self.labels]
            records.append(Record(str(photo), str(file)))
        for label in set(self.labels or ()) - known:
            raise DataError(f"no shape has the label {label!r}{nearest(label, sorted(known))}")
        if not records:
            raise DataError(f"{str(root)!r} holds no annotated photo: set data.root, or the options of data.layout")
        return records, problems

    def read(self, record: Record) -> tuple[Array, Array]:
        """Decode the photo, and draw its cracks at its size."""
        image = self.read_image(record)
        try:
            return image, rasterise(self._shapes[record.image], *image.shape[:2])
        except ValueError as error:
            raise DataError(
                f"the shapes of {record.image!r} in {record.mask!r} do not fit its size ({error}): export them again"
            ) from None

    def read_mask(self, record: Record) -> Array:
        """Draw the cracks at the size of the photo."""
        return self.read(record)[1]


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be read as JSON ({error}): export it again") from None


@register("labelme")
class LabelMe(AnnotationLayout):
    """LabelMe: `a.json` beside `a.jpg`, with polygons, line strips, lines and rectangles."""

    def annotations(self, root: Path) -> Iterator[tuple[Path, Path, list[Shape]]]:
        """Yield one photo for each file."""
        for path in find_files(root, (".json",)):
            content = _load(path)
            try:
                photo = path.parent / str(content["imagePath"]).replace("\\", "/")
                shapes = [self._shape(shape) for shape in content["shapes"]]
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{str(path)!r} is not a LabelMe file ({error!r}): export it again") from None
            yield photo, path, shapes

    def _shape(self, shape: Mapping[str, Any]) -> Shape:
        points = [(float(x), float(y)) for x, y in shape["points"]]
        match shape.get("shape_type", "polygon"):
            case "polygon":
                return Shape(shape["label"], tuple(points))
            case "linestrip" | "line":
                return Shape(shape["label"], tuple(points), self.line_width_px)
            case "rectangle":
                (left, top), (right, bottom) = points
                return Shape(shape["label"], ((left, top), (right, top), (right, bottom), (left, bottom)))
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

    def annotations(self, root: Path) -> Iterator[tuple[Path, Path, list[Shape]]]:
        """Yield every image of the file."""
        path = root / self.file
        content = _load(path)
        try:
            names = {category["id"]: str(category["name"]) for category in content["categories"]}
            shapes: dict[Any, list[Shape]] = {image["id"]: [] for image in content["images"]}
            for annotation in content["annotations"]:
                shapes[annotation["image_id"]] += _coco_shapes(annotation, names[annotation["category_id"]])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{str(path)!r} is not a COCO file ({error!r}): export it again") from None
        for image in content["images"]:
            yield root / self.images / image["file_name"], path, shapes[image["id"]]


def _coco_shapes(annotation: Mapping[str, Any], label: str) -> Iterator[Shape]:
    segmentation = annotation.get("segmentation") or []
    if isinstance(segmentation, Mapping):
        yield Shape(label, decode=CocoRunLengths(segmentation["counts"], *segmentation["size"]))
    else:
        for flat in segmentation:
            yield Shape(label, tuple(zip(map(float, flat[::2]), map(float, flat[1::2]), strict=True)))


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

    def annotations(self, root: Path) -> Iterator[tuple[Path, Path, list[Shape]]]:
        """Yield every image of the file."""
        path = root / self.file
        try:
            tree = ElementTree.parse(path)
            for image in tree.iter("image"):
                size = int(image.attrib["height"]), int(image.attrib["width"])
                shapes = [shape for element in image for shape in self._shapes_of(element, *size)]
                yield root / self.images / image.attrib["name"], path, shapes
        except (OSError, ElementTree.ParseError, KeyError, ValueError) as error:
            raise DataError(f"{str(path)!r} is not a file of CVAT for images ({error!r}): export it again") from None

    def _shapes_of(self, element: ElementTree.Element, height: int, width: int) -> Iterator[Shape]:
        given = element.attrib
        points = tuple(tuple(map(float, point.split(","))) for point in given.get("points", "").split(";") if point)
        match element.tag:
            case "polygon":
                yield Shape(given["label"], points)  # type: ignore[arg-type]  # `rasterise` rejects anything but pairs
            case "polyline":
                attributes = {a.attrib["name"]: a.text for a in element.iter("attribute")}
                line_width = float(attributes.get("width") or self.line_width_px)
                yield Shape(given["label"], points, line_width)  # type: ignore[arg-type]  # as above
            case "box":
                left, top, right, bottom = (float(given[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
                yield Shape(given["label"], ((left, top), (right, top), (right, bottom), (left, bottom)))
            case "mask":
                runs = tuple(map(int, given["rle"].split(",")))
                top, left, rows, columns = (int(given[key]) for key in ("top", "left", "height", "width"))
                yield Shape(given["label"], decode=CvatRunLengths(runs, top, left, rows, columns, height, width))
