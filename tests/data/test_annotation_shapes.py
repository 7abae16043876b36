"""Files as annotation tools really write them: shapes of every type, masks, byte order marks, and photos that are named twice."""

import json
import math
import os
from base64 import b64encode

import cv2
import numpy as np
import pytest

from cracklab.data.exclude import without_excluded
from cracklab.data.layouts import LAYOUTS
from cracklab.data.layouts.stored_masks import CocoRunLengths
from cracklab.data.samples import with_ids
from cracklab.errors import DataError

HEIGHT, WIDTH = 40, 60
SQUARE = [[10, 5], [20, 5], [20, 15], [10, 15]]
FLAT = [value for point in SQUARE for value in point]
Y, X = np.mgrid[:HEIGHT, :WIDTH] + 0.5


@pytest.fixture
def root(tmp_path):
    for name in ("a.png", "b.png", "wall/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((HEIGHT, WIDTH), np.uint8))
    return tmp_path


def masks(layout, root):
    records, problems = layout.index(root)
    assert not problems
    return {record.stem: layout.read(record)[1] for record in records}


def write(path, text):
    path.write_text(text)
    return path


def labelme(root, *shapes, photo="a.png", name="a.json"):
    entries = [{"label": "crack", "group_id": None, "description": "", "flags": {}, "mask": None} | s for s in shapes]
    content = {"version": "5.5.0", "flags": {}, "shapes": entries, "imagePath": photo, "imageData": None}
    (root / name).write_text(json.dumps(content | {"imageHeight": HEIGHT, "imageWidth": WIDTH}))


def coco(root, *annotations, names=("a.png", "b.png"), categories=("crack", "rust")):
    content = {
        "images": [{"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(names)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories)],
        "annotations": [{"id": 9, "image_id": 0, "category_id": 0, "iscrowd": 0} | one for one in annotations],
    }
    (root / "annotations.json").write_text(json.dumps(content))


def cvat(root, *shapes, name="a.png"):
    image = f'<image id="0" name="{name}" width="{WIDTH}" height="{HEIGHT}">{"".join(shapes)}</image>'
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{image}</annotations>")


def in_ellipse(x, y, rx, ry, degrees=0.0):
    """Whether centres of pixels are inside an ellipse that is turned clockwise; y points down."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    along, across = cos * (X - x) + sin * (Y - y), cos * (Y - y) - sin * (X - x)
    return (along / rx) ** 2 + (across / ry) ** 2 <= 1


def test_circles_and_masks_of_labelme_are_drawn(root):
    """A mask is a PNG in base 64, and both corners of its box belong to it, as `labelme.utils.shapes_to_label` has it."""
    labelme(root, {"shape_type": "circle", "points": [[20.3, 20.1], [23.3, 24.2]]})
    np.testing.assert_array_equal(
        masks(LAYOUTS["labelme"](), root)["a"] > 0, in_ellipse(20.3, 20.1, *2 * [math.hypot(3, 4.1)])
    )
    part = np.random.default_rng(0).random((11, 8)) < 0.5
    png = b64encode(cv2.imencode(".png", part.astype(np.uint8))[1].tobytes()).decode()
    labelme(root, {"shape_type": "mask", "points": [[10, 5], [17, 15]], "mask": png})
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[5:16, 10:18] = part
    np.testing.assert_array_equal(masks(LAYOUTS["labelme"](), root)["a"] > 0, expected)


@pytest.mark.parametrize(
    ("points", "picture", "expected"),
    [
        ([[10, 5], [18, 15]], b"", "the mask is 8 x 11 px, and its box has 9 x 11 px"),
        ([[-1, 5], [6, 15]], b"", r"its box has 8 x 11 px at \(-1, 5\)"),
        ([[10, 5], [17, 15]], b"no picture", "the mask is 0 x 0 px"),
        ([[10, 5], [17, 15]], None, "None is not a text"),
    ],
)
def test_a_bad_mask_of_labelme_is_named(root, points, picture, expected):
    data = picture or cv2.imencode(".png", np.ones((11, 8), np.uint8))[1].tobytes()
    text = None if picture is None else b64encode(data).decode()
    labelme(root, {"shape_type": "mask", "points": points, "mask": text})
    with pytest.raises(DataError, match=rf"a\.json' is not a LabelMe file \(shape 1: .*{expected}"):
        LAYOUTS["labelme"]().index(root)


def test_a_mask_of_labelme_outside_of_the_photo_is_named(root):
    png = b64encode(cv2.imencode(".png", np.ones((11, 8), np.uint8))[1].tobytes()).decode()
    labelme(root, {"shape_type": "mask", "points": [[55, 5], [62, 15]], "mask": png})
    layout = LAYOUTS["labelme"]()
    with pytest.raises(DataError, match="ends outside of the photo of 60 x 40 px"):
        layout.read(layout.index(root)[0][0])


@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_ellipses_and_turned_boxes_of_cvat_are_drawn(root, degrees):
    cvat(root, f'<ellipse label="crack" cx="30" cy="20" rx="14" ry="5" rotation="{degrees}"/>')
    drawn = masks(LAYOUTS["cvat"](images="."), root)["a"] > 0
    assert (drawn != in_ellipse(30, 20, 14, 5, degrees)).sum() <= 2  # a polygon in its place
    cvat(root, f'<box label="crack" xtl="15.2" ytl="16.1" xbr="45.2" ybr="22.1" rotation="{degrees}"/>')
    box = cv2.boxPoints(((30.2, 19.1), (30, 6), degrees)) - 0.5  # clockwise, from centres of pixels
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    for row, column in np.ndindex(HEIGHT, WIDTH):
        expected[row, column] = cv2.pointPolygonTest(box[:, None], (column, row), False) >= 0
    np.testing.assert_array_equal(masks(LAYOUTS["cvat"](images="."), root)["a"], expected)


@pytest.mark.parametrize("tag", ["points", "cuboid", "skeleton"])
def test_shapes_that_cover_no_area_are_refused_unless_they_are_no_crack(root, tag):
    """Dropped, they would make an empty mask of a photo with cracks."""
    square = ";".join(f"{x},{y}" for x, y in SQUARE)
    cvat(root, f'<polygon label="crack" points="{square}"/>', f'<{tag} label="rust" points="3,3"/>', '<tag label="x"/>')
    with pytest.raises(DataError, match=rf"image 1, shape 2: {tag} is not one of polygon.* data\.layout\.labels"):
        LAYOUTS["cvat"](images=".").index(root)
    assert masks(LAYOUTS["cvat"](images=".", labels=["crack"]), root)["a"].sum() == 100
    labelme(root, {"points": SQUARE}, {"shape_type": "point", "points": [[3, 3]], "label": "rust"})
    assert masks(LAYOUTS["labelme"](labels=["crack"]), root)["a"].sum() == 100


def test_boxes_of_coco_are_refused_unless_they_are_no_crack(root):
    """Detectors' files have boxes alone; dropped, all masks would be empty."""
    coco(root, {"segmentation": [FLAT]}, {"segmentation": [], "bbox": [1, 1, 9, 9], "category_id": 1})
    with pytest.raises(DataError, match=r"annotation 2 \(id 9\): it has no segmentation; data\.layout\.labels"):
        LAYOUTS["coco"]().index(root)
    assert masks(LAYOUTS["coco"](labels=["crack"]), root)["a"].sum() == 100
    coco(root, {"segmentation": [FLAT]}, categories=("crack", "rust"))
    content = json.loads((root / "annotations.json").read_text())
    content["categories"][1]["id"] = 0
    (root / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="two categories have the same id"):
        LAYOUTS["coco"]().index(root)


def test_compressed_run_lengths_are_those_of_pycocotools(root):
    tool = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for share in (0, 0.003, 0.4, 1):
        mask = (rng.random((HEIGHT, WIDTH)) < share).astype(np.uint8)
        counts = tool.encode(np.asfortranarray(mask))["counts"].decode()
        np.testing.assert_array_equal(CocoRunLengths(counts, HEIGHT, WIDTH)(HEIGHT, WIDTH), mask)
        coco(root, {"segmentation": {"counts": counts, "size": [HEIGHT, WIDTH]}, "iscrowd": 1})
        np.testing.assert_array_equal(masks(LAYOUTS["coco"](), root)["a"], mask)


@pytest.mark.parametrize("counts", ["", "0", "hello world", "00o", "ü", "o" * 99 + "0", "52203"])
def test_damaged_compressed_run_lengths_are_named(root, counts):
    """pycocotools makes a mask of whatever is in memory from some of them."""
    coco(root, {"segmentation": [FLAT]}, {"segmentation": {"counts": counts, "size": [HEIGHT, WIDTH]}})
    with pytest.raises(DataError, match=r"annotation 2 \(id 9\): (counts is|the run lengths add up to)"):
        LAYOUTS["coco"]().index(root)


@pytest.mark.parametrize("name", ["labelme", "coco"])
def test_a_byte_order_mark_is_no_fault(root, name):
    labelme(root, {"points": SQUARE})
    coco(root, {"segmentation": [FLAT]})
    file = root / ("a.json" if name == "labelme" else "annotations.json")
    (root / ("a.json" if name == "coco" else "annotations.json")).unlink()
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b", ", b",\r\n"))
    assert masks(LAYOUTS[name](), root)["a"].sum() == 100


def test_a_photo_that_is_annotated_twice_is_a_problem_and_keeps_its_first_shapes(root):
    labelme(root, {"points": SQUARE})
    labelme(root, {"points": [[1, 1], [5, 1], [5, 5]]}, photo="wall/../a.png", name="b.json")
    layout = LAYOUTS["labelme"]()
    (record,), (problem,) = layout.index(root)
    assert layout.read(record)[1].sum() == 100
    assert "a.json' and in " in str(problem)
    assert "b.json': keep one of them" in str(problem)
    coco(root, {"segmentation": [FLAT]}, names=("a.png", "a.png"))
    layout = LAYOUTS["coco"]()
    (record,), (problem,) = layout.index(root)
    assert layout.read(record)[1].sum() == 100
    assert "annotated twice in " in str(problem)


def test_photos_of_one_name_in_several_folders_have_ids_of_their_own(root):
    """As `cracklab predict` writes them for photos of several walls."""
    for name in ("walls/north/1.png", "walls/south/1.png", "walls/south/2.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), np.zeros((HEIGHT, WIDTH), np.uint8))
    coco(root, names=("walls/north/1.png", "walls/south/1.png", "walls/south/2.png"))
    records = with_ids(LAYOUTS["coco"]().index(root)[0])
    assert [record.id for record in records] == ["2", "north-1", "south-1"]
    assert without_excluded(records, write(root / "list.txt", "north-1  # missed 0.9")) == [records[0], records[2]]
    cv2.imwrite(str(root / "walls/south/1.jpg"), np.zeros((HEIGHT, WIDTH), np.uint8))
    coco(root, names=("walls/south/1.jpg", "walls/south/1.png"))
    with pytest.raises(DataError, match="rename one of them"):
        with_ids(LAYOUTS["coco"]().index(root)[0])


def test_names_with_folders_of_windows_are_found_and_a_backslash_in_a_name_too(root):
    coco(root, {"segmentation": [FLAT]}, names=("wall\\c.png",))
    assert masks(LAYOUTS["coco"](), root)["c"].sum() == 100
    cvat(root, name="wall\\c.png")
    assert list(masks(LAYOUTS["cvat"](images="."), root)) == ["c"]
    if os.sep == "/":  # a backslash can be part of a name
        cv2.imwrite(str(root / "back\\slash.png"), np.zeros((HEIGHT, WIDTH), np.uint8))
        labelme(root, {"points": SQUARE}, photo="back\\slash.png")
        (root / "annotations.json").unlink()
        assert masks(LAYOUTS["labelme"](), root)["back\\slash"].sum() == 100


@pytest.mark.parametrize(("width", "pixels"), [("4,5", 5), ("2", 2), ("0", 0), ("-4", 0), ("nan", 0)])
def test_widths_of_lines_are_positive_numbers(root, width, pixels):
    """With a comma, too, as people write them."""
    line = f'<polyline label="crack" points="5,10.3;55,10.3"><attribute name="width">{width}</attribute></polyline>'
    cvat(root, line)
    labelme(root, {"shape_type": "line", "points": [[5, 10.3], [55, 10.3]], "description": f"width={width}, by hand"})
    if not pixels:
        with pytest.raises(DataError, match=f"the width '{width}' is not a positive number"):
            LAYOUTS["cvat"](images=".").index(root)
    if width in ("0", "-4"):
        with pytest.raises(DataError, match=f"the width '{width}' is not a positive number"):
            LAYOUTS["labelme"]().index(root)
    if pixels:
        drawn = masks(LAYOUTS["cvat"](images="."), root)["a"]
        np.testing.assert_array_equal(drawn, masks(LAYOUTS["labelme"](), root)["a"])
        assert drawn[:, 30].sum() == pixels


def test_a_file_of_cvat_for_video_is_named(root):
    (root / "annotations.xml").write_text('<annotations><track id="0" label="crack"></track></annotations>')
    with pytest.raises(DataError, match=r"is a file of CVAT for video: export it as CVAT for images 1\.1"):
        LAYOUTS["cvat"](images=".").index(root)


def test_the_folder_of_the_photos_is_explained_if_none_is_found(root):
    cvat(root, name="d.png")
    with pytest.raises(DataError, match=r"data\.layout\.images is relative to data\.root, or absolute"):
        LAYOUTS["cvat"](images="photos").index(root)
