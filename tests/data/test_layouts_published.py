import cv2
import numpy as np
import pytest
from data_cases import pair
from scipy.io import savemat

from cracklab.data.layouts import LAYOUTS
from cracklab.data.layouts.scenes import CITYSCAPES
from cracklab.data.layouts.sources import Source
from cracklab.errors import ConfigError, DataError


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)


def summary(records):
    return sorted((record.split, record.stem, record.group) for record in records)


def test_crack500_groups_crops_by_photo_and_reads_whole_photos(tmp_path):
    for side, stem in (
        ("train", "20160222_080850_1_361"),
        ("train", "20160222_080850_641_1"),
        ("test", "20160301_1_2"),
    ):
        save(tmp_path / f"{side}crop" / f"{stem}.jpg", pair(1)[0])
        save(tmp_path / f"{side}crop" / f"{stem}.png", pair(1)[1] * 255)
    (tmp_path / "valcrop").mkdir()
    save(tmp_path / "traindata/20160222_080850.jpg", pair(2)[0])
    save(tmp_path / "traindata/20160222_080850_mask.png", pair(2)[1] * 255)
    records, problems = LAYOUTS["crack500"]().index(tmp_path)
    assert not problems
    assert summary(records) == [
        ("test", "20160301_1_2", "20160301_1_2"),
        ("train", "20160222_080850_1_361", "20160222_080850"),
        ("train", "20160222_080850_641_1", "20160222_080850"),
    ]
    np.testing.assert_array_equal(LAYOUTS["crack500"]().read(records[0])[1], pair(1)[1])
    whole, problems = LAYOUTS["crack500"](part="data").index(tmp_path)
    assert not problems
    assert summary(whole) == [("train", "20160222_080850", "20160222_080850")]


def test_fcd108_uses_valid_for_validation_or_test(tmp_path):
    for folder, stem in (("train", "a"), ("train", "b"), ("valid", "c")):
        save(tmp_path / folder / f"{stem}.jpg", pair(1)[0])
        save(tmp_path / folder / f"{stem}_mask.png", pair(1)[1])
    save(tmp_path / "train/d.jpg", pair(1)[0])
    records, problems = LAYOUTS["fcd108"]().index(tmp_path)
    assert [problem.kind for problem in problems] == ["missing-mask"]
    assert [(split, stem) for split, stem, _ in summary(records)] == [("train", "a"), ("train", "b"), ("val", "c")]
    assert {r.split for r in LAYOUTS["fcd108"](valid_is="test").index(tmp_path)[0]} == {"train", "test"}


def test_crackforest_reads_regions_2_and_4_as_crack_and_refuses_other_matrices(tmp_path):
    regions = np.ones((40, 56), np.uint8)
    regions[10:20, 5:30] = 2
    regions[13:17, 8:27] = 3
    regions[30:32, 5:50] = 4
    for number in ("001", "002", "119"):
        save(tmp_path / "image" / f"{number}.jpg", pair(1)[0])
    (tmp_path / "groundTruth").mkdir()
    for number, values in (("001", regions), ("002", regions + 4)):
        content = np.empty((1, 1), [("Segmentation", object), ("Boundaries", object)])
        content[0, 0] = (values, values > 1)
        savemat(tmp_path / "groundTruth" / f"{number}.mat", {"groundTruth": content})
    layout = LAYOUTS["crackforest"]()
    records, problems = layout.index(tmp_path)
    assert not problems
    assert [record.stem for record in records] == ["001", "002"]
    np.testing.assert_array_equal(layout.read(records[0])[1], (regions == 2) | (regions == 4))
    with pytest.raises(DataError, match=r"002\.mat.*regions other than 1 to 4"):
        layout.read(records[1])
    savemat(records[1].mask, {"something": 1})
    with pytest.raises(DataError, match=r"002\.mat.*no matrix groundTruth\.Segmentation"):
        layout.read(records[1])
    damaged = tmp_path / "groundTruth/002.mat"
    damaged.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(200))
    with pytest.raises(DataError, match=r"002\.mat.*HDF.*format 7 or older"):
        layout.read(records[1])
    savemat(damaged, {"groundTruth": content}, do_compression=True)
    data = damaged.read_bytes()
    damaged.write_bytes(data[:150] + bytes(10) + data[160:])
    with pytest.raises(DataError, match=r"002\.mat.*\(error: "):  # of zlib
        layout.read(records[1])


def test_camvid_in_both_folder_conventions_ignores_void(tmp_path, camvid):
    records, problems = LAYOUTS["camvid"]().index(camvid)
    assert not problems
    assert [sum(record.split == side for record in records) for side in ("train", "val", "test")] == [367, 101, 233]
    layout = LAYOUTS["camvid"]()
    image, mask = layout.read(records[0])
    stored = cv2.imread(records[0].mask, cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, np.where(stored == 11, 255, stored))
    for side in ("train", "val", "test"):
        save(tmp_path / side / "x.png", image)
        save(tmp_path / f"{side}annot" / "x.png", stored)
    assert len(layout.index(tmp_path)[0]) == 3


@pytest.mark.parametrize("translated", [True, False])
def test_cityscapes_reads_train_ids_or_maps_label_ids_to_them(tmp_path, translated):
    label_ids = np.array([[0, 7, 8], [33, 34, 24]], np.uint8)
    train_ids = np.array([[255, 0, 1], [18, 255, 11]], np.uint8)
    assert list(CITYSCAPES)[18] == "bicycle"
    for side in ("train", "val"):
        name = "aachen/aachen_000000_000019"
        save(tmp_path / f"leftImg8bit/{side}/{name}_leftImg8bit.png", np.zeros((2, 3, 3), np.uint8))
        save(tmp_path / f"gtFine/{side}/{name}_gtFine_labelIds.png", label_ids)
        save(tmp_path / f"gtFine/{side}/{name}_gtFine_instanceIds.png", label_ids)
        if translated:
            save(tmp_path / f"gtFine/{side}/{name}_gtFine_labelTrainIds.png", train_ids)
    layout = LAYOUTS["cityscapes"]()
    records, problems = layout.index(tmp_path)
    assert not problems
    assert [record.split for record in records] == ["train", "val"]
    np.testing.assert_array_equal(layout.read(records[0])[1], train_ids)
    assert (layout.num_classes, len(layout.class_names)) == (19, 19)


def test_celebamask_hq_merges_parts_and_resizes_the_photo(tmp_path):
    skin, hair = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    skin[2:5], hair[5:7] = 255, 255
    for number in (0, 2000):
        save(tmp_path / f"CelebA-HQ-img/{number}.jpg", np.zeros((16, 16, 3), np.uint8))
        folder = tmp_path / f"CelebAMask-HQ-mask-anno/{number // 2000}"
        save(folder / f"{number:05d}_skin.png", np.repeat(skin[..., None], 3, 2))
        save(folder / f"{number:05d}_hair.png", hair)
    layout = LAYOUTS["celebamask_hq"]()
    records, problems = layout.index(tmp_path)
    assert not problems
    assert [record.stem for record in records] == ["0", "2000"]
    image, mask = layout.read(records[1])
    assert image.shape == (8, 8, 3)
    np.testing.assert_array_equal(mask, (skin + hair) > 0)
    only = LAYOUTS["celebamask_hq"](parts=["skin"])
    np.testing.assert_array_equal(only.read(only.index(tmp_path)[0][0])[1], skin > 0)
    assert len(layout.files(records[0])) == 3


@pytest.fixture
def listed(tmp_path):
    for stem in ("a", "b", "c"):
        save(tmp_path / "in" / f"{stem}.png", pair(ord(stem))[0])
        save(tmp_path / "in" / f"{stem}_m.png", pair(ord(stem))[1] * 255)
    return tmp_path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_with_all_columns_and_any_delimiter(listed, delimiter):
    rows = [
        ("image", "mask", "group", "split", "source", "weight", "site"),
        ("in/a.png", "in/a_m.png", "wall 1", "train", "phone", "3", "north"),
        ("in/b.png", "in/b_m.png", "wall 1", "train", "phone", "", "north"),
        ("in/c.png", "in/c_m.png", "wall 2", "Valid", "drone", "0", "south"),
    ]
    (listed / "index.csv").write_text("\n".join(map(delimiter.join, rows)))
    layout = LAYOUTS["csv"]()
    records, problems = layout.index(listed)
    assert not problems
    assert [(r.stem, r.group, r.split, r.source, r.weight, dict(r.columns)) for r in records] == [
        ("a", "wall 1", "train", "phone", 3, {"site": "north"}),
        ("b", "wall 1", "train", "phone", 1, {"site": "north"}),
        ("c", "wall 2", "val", "drone", 0, {"site": "south"}),
    ]
    np.testing.assert_array_equal(layout.read(records[1])[1], pair(ord("b"))[1])


def test_every_invalid_row_of_a_table_is_named_with_its_line(listed):
    rows = [
        "in/a.png,in/a_m.png,train,1",
        "in/x.png,in/y.png,train,1",
        "in/b.png,in/b_m.png,left,1",
        "in/c.png,in/c_m.png,,-2",
    ]
    (listed / "index.csv").write_text("\n".join(["image,mask,split,weight", *rows]))
    records, problems = LAYOUTS["csv"]().index(listed)
    assert len(records) == 2
    texts = "\n".join(map(str, problems))
    for part in (
        f"x.png: '{listed / 'index.csv'}' lists it",
        f"y.png: '{listed / 'index.csv'}' lists it",
        "index.csv:4: split 'left'",
        "index.csv:5: weight '-2'",
    ):
        assert part in texts
    (listed / "index.csv").write_text("image,label\nin/a.png,in/a_m.png\n")
    with pytest.raises(DataError, match=r"has no column 'mask' \(it has image, label\)"):
        LAYOUTS["csv"]().index(listed)
    with pytest.raises(DataError, match=r"nothing\.csv' cannot be read"):
        LAYOUTS["csv"](file="nothing.csv").index(listed)


def test_images_are_seen_as_often_in_an_epoch_as_their_weight_says(listed, make_data):
    weights = {"a": 3, "b": 0, "c": 1}
    rows = [f"in/{stem}.png,in/{stem}_m.png,train,{weight}" for stem, weight in weights.items()]
    (listed / "index.csv").write_text("\n".join(["image,mask,split,weight", *rows]))
    data = make_data("csv", root=str(listed), val_fraction=0.3, batch_size=9)
    data.setup("fit")
    shown = [name for batch in data.train_dataloader() for name in batch["id"]]
    assert {name: shown.count(name) for name in set(shown)} == {n: weights[n] for n in data.ids("train") if weights[n]}


def test_several_sources_each_with_its_own_layout_and_repeat(listed, make_data):
    rows = [f"in/{stem}.png,in/{stem}_m.png" for stem in ("a", "b", "c")]
    (listed / "index.csv").write_text("\n".join(["image,mask", *rows]))
    for stem in ("a", "b", "d"):
        save(listed / "own/images" / f"{stem}.png", pair(10 * ord(stem))[0])
        save(listed / "own/masks" / f"{stem}.png", pair(10 * ord(stem))[1] * 255)
    sources = [
        Source("listed", LAYOUTS["csv"]()),
        Source("own", LAYOUTS["folders"](), "own", repeat=4),
        Source("drawn", LAYOUTS["synthetic"](train=2, val=0, test=0, size=(32, 32))),
    ]
    data = make_data("sources", {"sources": sources}, root=str(listed), fold_by="source", fold=1, folds=3)
    data.setup("fit")
    assert [record.id for record in data.records] == [
        "c", "d", "listed-a", "listed-b", "own-a", "own-b", "train-00000", "train-00001",
    ]  # fmt: skip
    assert {record.source: record.weight for record in data.records} == {"listed": 1, "own": 4, "drawn": 1}
    assert len({record.group for record in data.records}) == 8
    assert {data.records[i].source for i in data.splits.test} == {"listed"}
    # 3 x 4 of own and 2 drawn; listed is held out
    assert sum(record.weight for record in (data.records[i] for i in data.splits.train + data.splits.val)) == 14
    for side in ("train", "val", "test"):
        assert len(data.dataset(data.splits.by_side()[side])[0]["mask"].shape) == 3


def test_sources_with_equal_names_different_classes_or_repeat_0_are_refused():
    with pytest.raises(ConfigError, match=r"sources are named a, a: .*different names"):
        LAYOUTS["sources"](sources=[Source("a", LAYOUTS["csv"]()), Source("a", LAYOUTS["csv"]())])
    with pytest.raises(ConfigError, match="sources have 1 and 11 classes"):
        LAYOUTS["sources"](sources=[Source("a", LAYOUTS["csv"]()), Source("b", LAYOUTS["camvid"]())])
    own, other = (LAYOUTS["csv"](num_classes=2, class_names=names) for names in (["wall", "crack"], ["crack", "wall"]))
    assert LAYOUTS["sources"](sources=[Source("a", own), Source("b", own)]).class_names == ("wall", "crack")
    with pytest.raises(
        ConfigError, match=r"'a' has the classes wall, crack and source 'c' has crack, wall: .*same order"
    ):
        LAYOUTS["sources"](sources=[Source("a", own), Source("b", own), Source("c", other)])
    with pytest.raises(ConfigError, match="repeat is 0: give a whole number of at least 1"):
        LAYOUTS["sources"](sources=[Source("a", LAYOUTS["csv"]()), Source("b", LAYOUTS["csv"](), repeat=0)])
    with pytest.raises(ConfigError, match="sources are named nothing"):
        LAYOUTS["sources"](sources=[])
