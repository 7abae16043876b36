import json
import pickle
import tracemalloc

import cv2
import numpy as np
import pytest
from data_cases import pair
from skimage.draw import polygon2mask

from cracklab.data.layouts import LAYOUTS
from cracklab.data.layouts.shapes import Shape, rasterise
from cracklab.data.layouts.stored_masks import decode_run_lengths
from cracklab.errors import DataError

HEIGHT, WIDTH = 40, 56
SQUARE = ((10.0, 5.0), (20.0, 5.0), (20.0, 15.0), (10.0, 15.0))


@pytest.fixture
def root(tmp_path):
    for stem in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{stem}.png"), pair(ord(stem))[0])
    return tmp_path


def square():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:15, 10:20] = 1
    return mask


def line(row, width, left=10, right=40):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[row - width // 2 : row + (width + 1) // 2, left:right] = 1
    return mask


def read(layout, root):
    records, problems = layout.index(root)
    assert not problems
    moved = pickle.loads(pickle.dumps(layout))
    return {record.stem: moved.read(record)[1] for record in records}


# -- drawing --------------------------------------------------------------------------------------------------------


def test_areas_cover_the_pixels_whose_centres_they_enclose():
    np.testing.assert_array_equal(rasterise([Shape("crack", SQUARE)], HEIGHT, WIDTH), square())
    shifted = tuple((x + 0.4, y - 0.4) for x, y in SQUARE)
    np.testing.assert_array_equal(rasterise([Shape("crack", shifted)], HEIGHT, WIDTH), square())
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    triangle = Shape("crack", ((3, 2), (50, 10), (12, 38)))
    inside = np.ones((HEIGHT, WIDTH), bool)
    for (ax, ay), (bx, by) in zip(triangle.points, (*triangle.points[1:], triangle.points[0]), strict=True):
        inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
    assert (rasterise([triangle], HEIGHT, WIDTH) != inside).sum() <= 2


def test_areas_are_those_of_scikit_image():
    """Of polygons that cross themselves and leave the photo; edges on the centres of a row belong to the area."""
    rng = np.random.default_rng(0)
    for corners in range(3, 40):
        points = rng.uniform(-9, 60, (corners, 2))
        drawn = rasterise([Shape("crack", tuple(map(tuple, points)))], HEIGHT, WIDTH)
        np.testing.assert_array_equal(drawn, polygon2mask((HEIGHT, WIDTH), points[:, ::-1] - 0.5))
    steps = np.array([[4, 3], [20, 3], [20, 9], [12, 9], [12, 30], [4, 30]]) + 0.5
    drawn = rasterise([Shape("crack", tuple(map(tuple, steps)))], HEIGHT, WIDTH)
    assert drawn.sum() == 17 * 7 + 9 * 21
    assert not rasterise([Shape("crack", ((1, 1), (30, 30))), Shape("crack")], HEIGHT, WIDTH).any()


def test_a_large_area_with_many_corners_is_drawn_at_once():
    """Pixels times corners would take minutes."""
    angle = np.linspace(0, 2 * np.pi, 20_000)
    wave = 1400 + 20 * np.sin(300 * angle)
    points = np.stack([1500 + wave * np.cos(angle), 1500 + wave * np.sin(angle)], axis=1)
    drawn = rasterise([Shape("crack", tuple(map(tuple, points)))], 3000, 3000)
    assert drawn.sum() == pytest.approx(np.pi * (1400**2 + 20**2 / 2), rel=1e-3)


@pytest.mark.parametrize("width", [1, 3, 5])
def test_lines_have_their_width(width):
    mask = rasterise([Shape("crack", ((10, 20.5), (40, 20.5)), width)], HEIGHT, WIDTH)
    np.testing.assert_array_equal(mask[:, 14:36], line(20, width)[:, 14:36])
    slanted = rasterise([Shape("crack", ((-30, 3), (90, 37)), width)], HEIGHT, WIDTH)
    assert slanted.sum() == pytest.approx(width * WIDTH * np.hypot(120, 34) / 120, rel=0.06)
    assert cv2.connectedComponents(slanted)[0] == 2


def test_lines_outside_the_photo_draw_nothing():
    for points in (((-30, -5), (-3, -40)), ((90, 3), (95, 80)), ((100, 100), (100, 100))):
        assert not rasterise([Shape("crack", points, 3)], HEIGHT, WIDTH).any()


def test_long_lines_and_areas_with_many_corners_take_little_memory():
    """And are drawn in bands without a seam: the pixels are those of the distance to the line, and of scikit-image."""
    height, width, reach = 400, 600, 2.6
    start, end = np.array([-5.0, 390.0]), np.array([590.0, 3.0])
    across = (end - start) / np.hypot(*(end - start))
    y, x = np.mgrid[:height, :width] + 0.5
    along = (x - start[0]) * across[0] + (y - start[1]) * across[1]
    past = along - np.clip(along, 0, np.hypot(*(end - start)))
    expected = np.hypot(past, (x - start[0]) * across[1] - (y - start[1]) * across[0]) <= reach
    zigzag = np.stack([np.linspace(3, 597, 900), np.where(np.arange(900) % 2, 391.3, 7.2)], axis=1)
    shapes = [Shape("crack", (tuple(start), tuple(end)), 2 * reach), Shape("crack", tuple(map(tuple, zigzag)))]
    masks = [expected, polygon2mask((height, width), zigzag[:, ::-1] - 0.5)]
    for shape, mask in zip(shapes, masks, strict=True):
        tracemalloc.start()
        drawn = rasterise([shape], height, width)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        np.testing.assert_array_equal(drawn, mask)
        assert peak < 12e6  # 15 MB and 42 MB if drawn at once


def test_run_lengths_start_with_zeros():
    mask = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
    np.testing.assert_array_equal(decode_run_lengths([2, 1, 1, 2], 2, 3), mask)
    np.testing.assert_array_equal(decode_run_lengths([1, 2, 2, 1], 2, 3, columns_first=False), mask)


# -- LabelMe --------------------------------------------------------------------------------------------------------


def labelme(root, stem, *shapes):
    content = {
        "imagePath": f"{stem}.png",
        "shapes": [dict(zip(("label", "shape_type", "points"), s, strict=True)) for s in shapes],
    }
    (root / f"{stem}.json").write_text(json.dumps(content))


def test_labelme_draws_polygons_lines_and_rectangles_of_the_chosen_labels(root):
    labelme(root, "a", ("crack", "polygon", SQUARE), ("fine", "linestrip", [(10, 30.5), (40, 30.5)]))
    labelme(root, "b", ("crack", "rectangle", [(10, 5), (20, 15)]))
    masks = read(LAYOUTS["labelme"](), root)
    assert (masks["a"][:, 14:36] == (square() | line(30, 3))[:, 14:36]).all()
    np.testing.assert_array_equal(masks["b"], square())
    np.testing.assert_array_equal(read(LAYOUTS["labelme"](labels=["crack"]), root)["a"], square())
    with pytest.raises(DataError, match="no shape has the label 'crak'; did you mean 'crack'"):
        LAYOUTS["labelme"](labels=["crak"]).index(root)


def test_the_description_of_a_labelme_line_gives_its_width(root):
    labelme(root, "a", ("crack", "linestrip", [(10, 30.5), (40, 30.5)]))
    content = json.loads((root / "a.json").read_text())
    content["shapes"][0]["description"] = "checked, width=5"
    (root / "a.json").write_text(json.dumps(content))
    np.testing.assert_array_equal(read(LAYOUTS["labelme"](), root)["a"][:, 14:36], line(30, 5)[:, 14:36])


def test_an_invalid_labelme_file_is_named(root):
    labelme(root, "a", ("crack", "point", [(1, 1)]))
    with pytest.raises(DataError, match=r"a\.json' is not a LabelMe file.*shape_type 'point'"):
        LAYOUTS["labelme"]().index(root)
    (root / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json' cannot be read as JSON"):
        LAYOUTS["labelme"]().index(root)


def test_a_missing_photo_is_a_problem_that_names_its_annotation_file(root):
    labelme(root, "a", ("crack", "polygon", SQUARE))
    labelme(root, "c", ("crack", "polygon", SQUARE))
    records, problems = LAYOUTS["labelme"]().index(root)
    assert [record.stem for record in records] == ["a"]
    assert "c.png" in str(problems[0])
    assert "c.json" in str(problems[0])
    (root / "a.png").unlink()
    with pytest.raises(DataError, match=r"none of the 2 photos .* exists, such as '.*a\.png': set data\.root"):
        LAYOUTS["labelme"]().index(root)


# -- COCO -----------------------------------------------------------------------------------------------------------


def coco(root, *annotations):
    content = {
        "images": [
            {"id": i, "file_name": f"{stem}.png", "height": HEIGHT, "width": WIDTH} for i, stem in ((1, "a"), (7, "b"))
        ],
        "categories": [{"id": 3, "name": "crack"}, {"id": 4, "name": "joint"}],
        "annotations": [dict(zip(("image_id", "category_id", "segmentation"), a, strict=True)) for a in annotations],
    }
    (root / "annotations.json").write_text(json.dumps(content))


def test_coco_draws_polygons_and_run_lengths(root):
    flat = [coordinate for point in SQUARE for coordinate in point]
    columns = square().ravel(order="F")
    edges = np.flatnonzero(np.diff(columns)) + 1
    counts = np.diff([0, *edges, columns.size]).tolist()
    coco(root, (1, 3, [flat]), (7, 3, {"counts": counts, "size": [HEIGHT, WIDTH]}), (1, 4, [[0, 0, 50, 0, 50, 3]]))
    masks = read(LAYOUTS["coco"](labels=["crack"]), root)
    np.testing.assert_array_equal(masks["a"], square())
    np.testing.assert_array_equal(masks["b"], square())
    assert read(LAYOUTS["coco"](), root)["a"].sum() > square().sum()


def test_a_coco_image_without_annotations_shows_no_crack(root):
    coco(root, (1, 3, [[coordinate for point in SQUARE for coordinate in point]]))
    assert not read(LAYOUTS["coco"](), root)["b"].any()


def test_an_invalid_coco_file_is_named(root):
    coco(root, (1, 3, {"counts": [10, 5, 35], "size": [5, 10]}))
    layout = LAYOUTS["coco"]()
    with pytest.raises(DataError, match=r"shapes of .*a\.png' in .*annotations\.json' do not fit its size"):
        layout.read(layout.index(root)[0][0])
    (root / "annotations.json").write_text("[]")
    with pytest.raises(DataError, match="is not a COCO file"):
        layout.index(root)


# -- CVAT -----------------------------------------------------------------------------------------------------------

CVAT = """<?xml version="1.0"?><annotations><version>1.1</version>
<image id="0" name="a.png" width="56" height="40">
 <polygon label="crack" points="10,5;20,5;20,15;10,15"/>
 <polyline label="crack" points="10,30.5;40,30.5"><attribute name="width">5</attribute></polyline>
 <polyline label="joint" points="10,36.5;40,36.5"/>
</image>
<image id="1" name="b.png" width="56" height="40">
 <mask label="crack" left="9" top="4" width="12" height="12" rle="{runs}"/>
</image></annotations>"""


def test_cvat_draws_polygons_lines_and_masks(root):
    part = square()[4:16, 9:21].ravel()
    runs = np.diff([0, *(np.flatnonzero(np.diff(part)) + 1), part.size]).tolist()
    (root / "annotations.xml").write_text(CVAT.format(runs=", ".join(map(str, runs))))
    masks = read(LAYOUTS["cvat"](images=".", labels=["crack"]), root)
    assert (masks["a"][:, 14:36] == (square() | line(30, 5))[:, 14:36]).all()
    np.testing.assert_array_equal(masks["b"], square())
    everything = read(LAYOUTS["cvat"](images=".", line_width_px=1), root)["a"]
    assert (everything[36, 14:36] == 1).all()
    assert not everything[35, 14:36].any()
    (root / "annotations.xml").write_text("<annotations>")
    with pytest.raises(DataError, match=r"annotations\.xml' is not a file of CVAT"):
        LAYOUTS["cvat"]().index(root)


def test_annotations_reach_the_training_batches(root, make_data):
    for stem in "cdefgh":
        cv2.imwrite(str(root / f"{stem}.png"), pair(ord(stem))[0])
        labelme(root, stem, ("crack", "polygon", SQUARE))
    data = make_data("labelme", root=str(root), cache="none", num_workers=1, val_fraction=0.2, test_fraction=0.2)
    data.setup("fit")
    assert all(batch["mask"].sum() == 100 * len(batch["id"]) for batch in data.train_dataloader())


# -- files that are damaged or hostile ------------------------------------------------------------------------------

BAD_COCO = {
    "negative run": ({"counts": [10, -5, 2235], "size": [HEIGHT, WIDTH]}, "-5 is not a whole number"),
    "huge run": ({"counts": [10**12], "size": [HEIGHT, WIDTH]}, "add up to 1000000000000"),
    "text as run": ({"counts": ["5", "2235"], "size": [HEIGHT, WIDTH]}, "'5' is not a whole number"),
    "text as size": ({"counts": [2240], "size": ["40", "56"]}, "'40' is not a whole number"),
    "no counts": ({"size": [HEIGHT, WIDTH]}, "'counts' is missing"),
    "text as coordinate": ([["1", "2", "3", "4"]], "'1' is not a number"),
    "NaN": ([[1.0, 2.0, float("nan"), 4.0]], "nan is not a number"),
    "odd": ([[1.0, 2.0, 3.0]], "shorter"),
    "far away": ([[1.0, 2.0, 1e300, 4.0]], "is not a coordinate"),
    "number as polygons": (7, "not iterable"),
}


@pytest.mark.parametrize("case", BAD_COCO)
def test_a_bad_coco_annotation_is_named_with_its_file(root, case):
    segmentation, expected = BAD_COCO[case]
    coco(root, (1, 3, [[0, 0, 5, 0, 5, 5]]), (7, 3, segmentation))
    with pytest.raises(DataError, match=rf"annotations\.json' is not a COCO file \(annotation 2: .*{expected}"):
        LAYOUTS["coco"]().index(root)


def test_bad_images_and_ids_of_coco_are_named(root):
    coco(root, (1, 3, [[0, 0, 5, 0, 5, 5]]))
    content = json.loads((root / "annotations.json").read_text())
    for change, expected in (
        (lambda c: c["images"][1].update(file_name=7), "image 2: 7 is not a text"),
        (lambda c: c["images"][1].update(id=1), "image 2: id 1 is that of another image"),
        (lambda c: c["annotations"][0].update(category_id=9), "annotation 1: category_id 9"),
        (lambda c: c["annotations"][0].update(image_id=[]), "annotation 1: .*unhashable"),
        (lambda c: c.update(images={}), "images is not a list"),
    ):
        changed = json.loads(json.dumps(content))
        change(changed)
        (root / "annotations.json").write_text(json.dumps(changed))
        with pytest.raises(DataError, match=expected):
            LAYOUTS["coco"]().index(root)
    (root / "annotations.json").write_text("[" * 100000)
    with pytest.raises(DataError, match="cannot be read as JSON"):
        LAYOUTS["coco"]().index(root)


def test_annotations_drawn_on_another_size_are_refused(root):
    coco(root, (1, 3, [[0, 0, 5, 0, 5, 5]]))
    content = json.loads((root / "annotations.json").read_text())
    content["images"][0].update(height=400, width=560)
    (root / "annotations.json").write_text(json.dumps(content))
    layout = LAYOUTS["coco"]()
    with pytest.raises(DataError, match=r"a\.png' .*drawn on 560 x 400 px, and the photo has 56 x 40 px"):
        layout.read(layout.index(root)[0][0])


def test_bad_shapes_of_labelme_and_cvat_are_named(root):
    for shape in (("crack", "polygon", [("1", 2)]), (7, "polygon", SQUARE), ("crack", "line", [(1, 2, 3)])):
        labelme(root, "a", ("crack", "polygon", SQUARE), shape)
        with pytest.raises(DataError, match=r"a\.json' is not a LabelMe file \(shape 2: "):
            LAYOUTS["labelme"]().index(root)
    for runs in ("-1,145", "1000000000000", "a,b"):
        (root / "annotations.xml").write_text(CVAT.format(runs=runs))
        with pytest.raises(DataError, match=r"annotations\.xml' is not a file of CVAT for images \(image 2, shape 1: "):
            LAYOUTS["cvat"](images=".").index(root)
