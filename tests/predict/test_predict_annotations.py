"""`cracklab predict --annotations`: masks as files of annotation tools, which the layouts of these tools read back."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from predict_cases import exit_code, predict_call, read
from skimage.draw import polygon2mask

from cracklab import run_folder
from cracklab.cli import main
from cracklab.data.layouts import LAYOUTS
from cracklab.data.photos import Photo
from cracklab.errors import DataError
from cracklab.predict.annotation_files import coco_file
from cracklab.predict.annotations import Annotations
from cracklab.predict.outlines import crack_polygons
from cracklab.synthetic.draw import draw

FORMATS = ("coco", "cvat", "labelme")
ODD = "a <&> 'ä\"b"


def noise(share):
    return np.random.default_rng(3).random((40, 50)) < share


def rings():
    y, x = np.mgrid[:61, :70]
    return (np.maximum(abs(y - 30), abs(x - 35)) // 3) % 2 == 0


def lines(width):
    canvas = np.zeros((60, 80), np.uint8)
    for end in ((75, 20), (60, 58), (9, 50)):
        cv2.line(canvas, (5, 3), end, 1, width)
    return canvas > 0


MASKS = {
    "empty": np.zeros((4, 5), bool),
    "full": np.ones((30, 40), bool),
    "one pixel": np.ones((1, 1), bool),
    "diagonal": np.eye(30, 40) > 0,
    "cross": (np.eye(30) + np.eye(30)[::-1]) > 0,
    "rings with islands": rings(),
    "chequerboard": np.indices((20, 31)).sum(axis=0) % 2 == 0,
    **{f"noise {share}": noise(share) for share in (0.1, 0.4, 0.6, 0.9)},
    **{f"lines of {width} px": lines(width) for width in range(1, 7)},
}


@pytest.mark.parametrize("name", MASKS)
def test_polygons_give_the_mask_back_exactly(name):
    """Drawn by scikit-image."""
    mask = MASKS[name]
    cracks = crack_polygons(mask, "crack")
    drawn = np.zeros_like(mask)
    for crack in cracks:
        for shape in crack:
            drawn |= polygon2mask(mask.shape, np.array(shape.points)[:, ::-1] - 0.5)
    np.testing.assert_array_equal(drawn, mask)
    assert len(cracks) == cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[0] - 1


def test_straight_outlines_have_few_points():
    """A person can drag them: none stands at each step of a diagonal."""
    strip = np.abs(np.subtract(*np.mgrid[:60, :60])) <= 3
    ((shape,),) = crack_polygons(strip, "crack")
    assert len(shape.points) <= 8


@pytest.fixture
def photos(tmp_path):
    """Photos in a folder and below it: an odd name, a turned one, one of a single colour."""
    folder = tmp_path / "photos"
    (folder / "east side").mkdir(parents=True)
    for seed, name in enumerate(("east side/wall", ODD)):
        cv2.imwrite(str(folder / f"{name}.png"), draw(seed, (60 + seed, 90))[0][..., ::-1])
    cv2.imwrite(str(folder / "blank.png"), np.full((30, 40, 3), 130, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(draw(5, (50, 70))[0]).save(folder / "turned.jpg", exif=exif)
    return folder


def annotate(run, photos, out, *more):
    return exit_code(predict_call(run / run_folder.BEST, photos, out, "--annotations", *more))


def layout_masks(name, photos, out, **options):
    """Return the masks that a layout reads, by the path of the photo."""
    layout = LAYOUTS[name](**options) if name == "labelme" else LAYOUTS[name](images=str(photos), **options)
    records, problems = layout.index(out / "labelme" if name == "labelme" else out)
    assert not problems
    return {record.stem: layout.read(record)[1] for record in records}


def test_layouts_read_back_the_masks(small_run, photos, tmp_path):
    """All photos are there: below a folder, with characters that XML quotes, turned by EXIF, without cracks."""
    out = tmp_path / "out"
    assert annotate(small_run, photos, out, *FORMATS) == 0
    masks = {path.stem: read(path) > 0 for path in out.rglob("*.png")}
    assert set(masks) == {"wall", ODD, "blank", "turned"}
    assert masks["turned"].shape == (70, 50)
    assert masks["wall"].any()
    for name in FORMATS:
        found = layout_masks(name, photos, out)
        assert set(found) == set(masks)
        for stem, mask in masks.items():
            np.testing.assert_array_equal(found[stem] > 0, mask, err_msg=f"{name} {stem}")


def test_a_later_start_keeps_corrections_and_adds_photos(small_run, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert annotate(small_run, photos, out, *FORMATS) == 0
    shared, corrected = out / "annotations.xml", out / "labelme" / "turned.json"
    corrected.write_text(json.dumps({**json.loads(corrected.read_text()), "shapes": []}))
    by_hand = corrected.read_bytes()
    cv2.imwrite(str(photos / "new.png"), draw(9, (50, 60))[0])
    assert annotate(small_run, photos, out, *FORMATS) == 0
    assert "1 of 1 photos predicted" in (said := capsys.readouterr().out)
    assert "kept 1 file that was changed by hand" in said
    assert corrected.read_bytes() == by_hand
    assert all("new" in layout_masks(name, photos, out) for name in FORMATS)

    before = shared.read_bytes()
    assert annotate(small_run, photos / "new.png", out, "cvat") == 2
    assert "has 'a <&> " in (said := capsys.readouterr().err)
    assert "and 3 more photos" in said
    shared.write_bytes(before.replace(b"crack", b"joint", 1))
    changed = shared.read_bytes()
    (out / "new.png").unlink()
    assert annotate(small_run, photos, out, *FORMATS) == 2
    assert "annotations.xml was changed since" in capsys.readouterr().err
    assert shared.read_bytes() == changed
    assert not (out / "new.png").exists(), "refused before anything was predicted"


def test_several_classes_are_labels(classes_run, photos, tmp_path):
    out = tmp_path / "out"
    assert annotate(classes_run, photos, out, "coco") == 0
    mask = read(out / f"{ODD}.png")
    assert len(np.unique(mask)) > 1, "one class alone would test nothing"
    categories = json.loads((out / "annotations.json").read_text())["categories"]
    assert [entry["name"] for entry in categories] == ["class_1", "class_2"]
    for index in set(np.unique(mask)) - {0}:
        found = layout_masks("coco", photos, out, labels=[f"class_{index}"])
        np.testing.assert_array_equal(found[ODD] > 0, mask == index)


@pytest.mark.parametrize("name", ["cvat", "labelme"])
def test_lines_have_the_width_of_the_crack(name, tmp_path):
    """Strips of 6 and 3 px, which the layouts draw again from their centre lines."""
    mask = np.zeros((60, 200), np.uint8)
    mask[10:16, 10:190] = mask[40:43, 10:190] = 255
    for file, image in (("out/wall.png", mask), ("wall.jpg", np.zeros((60, 200, 3), np.uint8))):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / file), image)
    photos = [Photo(tmp_path / "wall.jpg", "wall")]
    assert not Annotations([name], "lines", photos, tmp_path / "out").write(photos, ("crack",))
    found = layout_masks(name, tmp_path, tmp_path / "out", line_width_px=20)["wall"] > 0
    assert (found & (mask > 0)).sum() / (found | (mask > 0)).sum() > 0.95


def test_photos_of_several_places_are_named_from_their_common_folder(tmp_path):
    photos = [Photo(tmp_path / "a" / "b" / "1.jpg", "b/1"), Photo(tmp_path / "c" / "1.png.jpg", "1.png")]
    annotations = Annotations([], "polygons", photos, tmp_path)
    assert annotations.root == tmp_path
    assert list(annotations.names.values()) == ["a/b/1.jpg", "c/1.png.jpg"]


def test_a_mask_that_cannot_be_annotated_is_named_and_the_others_are_in_the_file(tmp_path):
    board = np.indices((500, 500), np.uint8).sum(axis=0, dtype=np.uint8) % 2
    photos = [Photo(tmp_path / f"{name}.jpg", name) for name in ("board", "wall", "missing")]
    for photo, mask in zip(photos[:2], (board, board[:9, :9]), strict=True):
        cv2.imwrite(str(tmp_path / f"{photo.name}.png"), mask * 255)
    failed = Annotations(["coco"], "polygons", photos, tmp_path).write(photos, ("crack",))
    assert {photo.name: reason[:30] for photo, reason in failed.items()} == {
        "board": "the mask has 124003 parts and ",
        "missing": f"'{tmp_path}/missing.png'"[:30],
    }
    images = json.loads((tmp_path / "annotations.json").read_text())["images"]
    assert [image["file_name"] for image in images] == ["wall.jpg"]


def test_an_interrupted_file_does_not_replace_the_one_before(tmp_path):
    (tmp_path / "annotations.json").write_text("before")
    with pytest.raises(KeyboardInterrupt), coco_file(tmp_path, ["crack"]):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["annotations.json"]
    assert (tmp_path / "annotations.json").read_text() == "before"


def test_a_name_that_xml_cannot_hold_is_refused(tmp_path):
    photos = [Photo(tmp_path / "a\x01.jpg", "a\x01")]
    with pytest.raises(DataError, match=r"'a\\x01\.jpg' has the character '\\x01', which CVAT's files cannot hold"):
        Annotations(["cvat"], "polygons", photos, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--annotations", "coco", "labelm"], "--annotations is 'labelm'; did you mean 'labelme'?"),
        (["--annotations", "coco", "--annotation_shapes", "lines"], "COCO has no lines: leave out coco"),
        (["--annotation_shapes", "lines"], "--annotation_shapes lines needs --annotations"),
        (
            ["--annotations", "cvat", "--annotation-shapes", "line"],
            "--annotation_shapes is 'line'; did you mean 'lines'",
        ),
    ],
)
def test_wrong_calls(small_run, photos, tmp_path, capsys, arguments, expected):
    assert exit_code(predict_call(small_run / run_folder.BEST, photos, tmp_path / "out", *arguments)) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pycocotools_draws_the_masks(small_run, photos, tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    assert main(predict_call(small_run / run_folder.BEST, photos, tmp_path, "--annotations", "coco")) == 0
    loaded = coco.COCO(str(tmp_path / "annotations.json"))
    for image in loaded.imgs.values():
        mask = read((tmp_path / image["file_name"]).with_suffix(".png")) > 0
        drawn = [loaded.annToMask(one) > 0 for one in loaded.loadAnns(loaded.getAnnIds(image["id"]))]
        np.testing.assert_array_equal(np.any([np.zeros_like(mask), *drawn], axis=0), mask)
