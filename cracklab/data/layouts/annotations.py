"""Drawn annotations as masks: polygons, and polylines with a width, from COCO, LabelMe and CVAT."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cracklab.data.images import Array
from cracklab.data.layouts.base import Layout, files_in, register
from cracklab.data.layouts.shapes import CocoRuns, CvatRuns, Shape, rasterise
from cracklab.data.samples import Problem, Record
from cracklab.errors import DataError
from cracklab.registry import nearest


class Annotated(Layout):
    """Photos with drawn cracks in files of an annotation tool. A subclass parses these.

    Args:
        labels: names of what counts as crack; None: everything that is drawn.
        line_width_px: width of lines that do not say theirs, px.
    """

    def __init__(self, labels: Sequence[str] | None = None, line_width_px: float = 3.0) -> None:
        self.labels = None if labels is None else tuple(labels)
        self.line_width_px = line_width_px
        self._shapes: dict[str, list[Shape]] = {}

    def drawn(self, root: Path) -> Iterator[tuple[Path, Path, list[Shape]]]:
        """Each photo, the file that describes it, and what is drawn in it."""
        raise NotImplementedError

    def index(self, root: Path) -> tuple[list[Record], list[Problem]]:
        """All photos of the annotation files; one without anything drawn shows no crack.

        Raises:
            DataError: for a file that cannot be read, or labels that nothing has.
        """
        if not root.is_dir():
            raise DataError(f"data.root {str(root)!r} is not a folder: give the folder that holds the images")
        records, problems, known = [], [], set()
        for photo, file, shapes in self.drawn(root):
            if not photo.is_file():
                fact = f"{str(file)!r} describes it, but it is not there: add it, or remove it from the file"
                problems.append(Problem("missing-image", (str(photo),), fact))
                continue
            known |= {shape.label for shape in shapes}
            self._shapes[str(photo)] = [s for s in shapes if self.labels is None or s.label in self.labels]
            records.append(Record(str(photo), str(file)))
        for label in set(self.labels or ()) - known:
            raise DataError(f"nothing is labelled {label!r}{nearest(label, sorted(known))}")
        if not records:
            raise DataError(f"{str(root)!r} holds no annotated photo: set data.root and the layout's arguments")
        return records, problems

    def read(self, record: Record) -> tuple[Array, Array]:
        """The photo, and its cracks drawn at its size."""
        image = self.read_image(record)
        try:
            return image, rasterise(self._shapes[record.image], *image.shape[:2])
        except ValueError as error:
            raise DataError(
                f"what {record.mask!r} draws in {record.image!r} does not fit it ({error}): export it again"
            ) from None

    def read_mask(self, record: Record) -> Array:
        """The cracks drawn at the size of the photo."""
        return self.read(record)[1]


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} is no JSON ({error}): export it again") from None


@register("labelme")
class LabelMe(Annotated):
    """LabelMe: `a.json` beside `a.jpg`, with polygons, line strips, lines, rectangles and circles."""

    def drawn(self, root: Path) -> Iterator[tuple[Path, Path, list[Shape]]]:
        """One photo a file."""
        for path in files_in(root, (".json",)):
            content = _load(path)
            try:
                photo = path.parent / str(content["imagePath"]).replace("\\", "/")
                shapes = [self._shape(shape) for shape in content["shapes"]]
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{str(path)!r} is no file of LabelMe ({error!r}): export it again") from None
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
                raise ValueError(f"shape_type {other!r} encloses no crack")


@register("coco")
class Coco(Annotated):
    """COCO: one JSON file with `images`, `annotations` and `categories`; polygons and run lengths.

    Compressed run lengths need pycocotools.

    Args:
        file: the annotations, below `data.root`.
        images: folder of the photos, below `data.root`.
        labels: names of what counts as crack; None: every category.
    """

    def __init__(self, file: str = "annotations.json", images: str = ".", labels: Sequence[str] | None = None) -> None:
        super().__init__(labels)
        self.file, self.images = file, images

    def drawn(self, root: Path) -> Iterator[tuple[Path, Path, list[Shape]]]:
        """Every image of the file."""
        path = root / self.file
        content = _load(path)
        try:
            names = {category["id"]: str(category["name"]) for category in content["categories"]}
            shapes: dict[Any, list[Shape]] = {image["id"]: [] for image in content["images"]}
            for annotation in content["annotations"]:
                shapes[annotation["image_id"]] += _coco_shapes(annotation, names[annotation["category_id"]])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{str(path)!r} is no file of COCO ({error!r}): export it again") from None
        for image in content["images"]:
            yield root / self.images / image["file_name"], path, shapes[image["id"]]


def _coco_shapes(annotation: Mapping[str, Any], label: str) -> Iterator[Shape]:
    found = annotation.get("segmentation") or []
    if isinstance(found, Mapping):
        yield Shape(label, area=CocoRuns(found["counts"], *found["size"]))
    else:
        for flat in found:
            yield Shape(label, tuple(zip(map(float, flat[::2]), map(float, flat[1::2]), strict=True)))


@register("cvat")
class Cvat(Annotated):
    """CVAT for images 1.1: one XML file with polygons, polylines, boxes and masks.

    A polyline is as wide as its attribute `width` says, px.

    Args:
        file: the annotations, below `data.root`.
        images: folder of the photos, below `data.root`.
        labels: names of what counts as crack; None: everything that is drawn.
        line_width_px: width of lines without that attribute, px.
    """

    def __init__(
        self,
        file: str = "annotations.xml",
        images: str = "images",
        labels: Sequence[str] | None = None,
        line_width_px: float = 3.0,
    ) -> None:
        super().__init__(labels, line_width_px)
        self.file, self.images = file, images

    def drawn(self, root: Path) -> Iterator[tuple[Path, Path, list[Shape]]]:
        """Every image of the file."""
        path = root / self.file
        try:
            tree = ElementTree.parse(path)
            for image in tree.iter("image"):
                size = int(image.attrib["height"]), int(image.attrib["width"])
                shapes = [shape for element in image for shape in self._shapes_of(element, *size)]
                yield root / self.images / image.attrib["name"], path, shapes
        except (OSError, ElementTree.ParseError, KeyError, ValueError) as error:
            raise DataError(f"{str(path)!r} is no file of CVAT for images ({error!r}): export it again") from None

    def _shapes_of(self, element: ElementTree.Element, height: int, width: int) -> Iterator[Shape]:
        given = element.attrib
        points = tuple(tuple(map(float, point.split(","))) for point in given.get("points", "").split(";") if point)
        match element.tag:
            case "polygon":
                yield Shape(given["label"], points)  # type: ignore[arg-type]  # pairs, or the array refuses them
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
                yield Shape(given["label"], area=CvatRuns(runs, top, left, rows, columns, height, width))
