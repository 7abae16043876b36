import pickle

import cv2
import numpy as np
import pytest
from data_cases import pair, write

from cracklab.data.layouts import LAYOUTS
from cracklab.data.samples import Record, with_ids
from cracklab.errors import ConfigError, DataError


def test_folders_match_by_stem(photos):
    records, problems = LAYOUTS["folders"]().index(photos)
    assert len(records) == 24
    assert not problems
    image, mask = LAYOUTS["folders"]().read(records[0])
    np.testing.assert_array_equal(image, pair(1)[0])
    np.testing.assert_array_equal(mask, pair(1)[1])


def test_folders_with_sides_subfolders_and_extensions_in_upper_case(tmp_path):
    for split, stem in (("train", "a"), ("train", "b"), ("test", "a"), ("val", "c")):
        write(tmp_path / split, stem, *pair(1))
    write(tmp_path / "train", "a", *pair(2), images="images/below", masks="masks/below")
    (tmp_path / "train/images/b.png").rename(tmp_path / "train/images/b.PNG")
    (tmp_path / "train/images/notes.txt").write_text("not an image")
    (tmp_path / "train/images/.hidden.png").write_bytes(b"")
    records, problems = LAYOUTS["folders"]().index(tmp_path)
    assert not problems
    assert sorted((record.split, record.stem) for record in records) == [
        ("test", "a"),
        ("train", "a"),
        ("train", "a"),
        ("train", "b"),
        ("val", "c"),
    ]


def test_masks_are_matched_by_mask_pattern(tmp_path):
    for stem in ("a", "b"):
        write(tmp_path, stem, *pair(1))
        (tmp_path / "masks" / f"{stem}.png").rename(tmp_path / "masks" / f"gt_{stem}_mask.png")
    layout = LAYOUTS["folders"](mask_pattern="gt_{stem}_mask")
    records, problems = layout.index(tmp_path)
    assert [(record.stem, record.mask.rpartition("/")[2]) for record in records] == [
        ("a", "gt_a_mask.png"),
        ("b", "gt_b_mask.png"),
    ]
    assert not problems


def test_images_and_masks_may_be_in_one_folder(tmp_path):
    for stem in ("a", "b"):
        write(tmp_path, stem, *pair(1), images="all", masks="all2")
        (tmp_path / "all2" / f"{stem}.png").rename(tmp_path / "all" / f"{stem}_mask.png")
    records, problems = LAYOUTS["folders"](images="all", masks="all", mask_pattern="{stem}_mask").index(tmp_path)
    assert [record.stem for record in records] == ["a", "b"]
    assert not problems


def test_every_unpaired_file_is_named(photos):
    (photos / "masks/a-1.png").unlink()
    (photos / "images/b-2.png").unlink()
    (photos / "images/c-1.jpg").write_bytes((photos / "images/c-1.png").read_bytes())
    _, problems = LAYOUTS["folders"]().index(photos)
    assert {(problem.kind, problem.files[0].rpartition("/")[2]) for problem in problems} == {
        ("missing-mask", "a-1.png"),
        ("extra-mask", "b-2.png"),
        ("same-stem", "c-1.jpg"),
    }


def test_a_mask_whose_name_does_not_match_the_pattern_is_named(tmp_path):
    for stem in ("a", "b"):
        write(tmp_path, stem, *pair(1))
    (tmp_path / "masks/a.png").rename(tmp_path / "masks/a_mask.png")
    records, problems = LAYOUTS["folders"](mask_pattern="{stem}_mask").index(tmp_path)
    assert [record.stem for record in records] == ["a"]
    assert {(problem.kind, problem.files[0].rpartition("/")[2]) for problem in problems} == {
        ("extra-mask", "b.png"),
        ("missing-mask", "b.png"),
    }


def test_missing_folders_are_named_with_those_that_exist(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match=r"lacks images, masks.*it holds pictures"):
        LAYOUTS["folders"]().index(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        LAYOUTS["folders"]().index(tmp_path / "nowhere")
    with pytest.raises(DataError, match="lacks train_img"):
        LAYOUTS["deepcrack"]().index(tmp_path)


def test_a_folder_without_pairs_is_refused(tmp_path):
    write(tmp_path, "a", *pair(1))
    with pytest.raises(DataError, match=r"no image with a mask.*masks/NAME_mask\.png"):
        LAYOUTS["folders"](mask_pattern="{stem}_mask").index(tmp_path)


def test_invalid_options_of_folders_are_refused():
    with pytest.raises(ConfigError, match=r"lacks \{stem\}"):
        LAYOUTS["folders"](mask_pattern="mask")
    with pytest.raises(ConfigError, match="images and masks are both in 'all': tell them apart by mask_pattern"):
        LAYOUTS["folders"](images="all", masks="all")
    with pytest.raises(ConfigError, match="1 class_names for 3 classes"):
        LAYOUTS["folders"](num_classes=3, class_names=["sky"])


def test_a_mask_of_another_size_than_its_image_is_refused_with_both_sizes(tmp_path):
    write(tmp_path, "a", pair(1)[0], pair(1, 20, 30)[1])
    layout = LAYOUTS["folders"]()
    with pytest.raises(DataError, match=r"masks/a\.png' is 30 x 20.*56 x 40"):
        layout.read(layout.index(tmp_path)[0][0])


def test_masks_of_class_indices_with_an_ignored_value(tmp_path):
    image, mask = pair(1)
    mask[:5] = 2
    write(tmp_path, "a", image, mask)
    cv2.imwrite(str(tmp_path / "masks/a.png"), mask)
    layout = LAYOUTS["folders"](num_classes=2, ignore=2, class_names=["wall", "crack"])
    record = layout.index(tmp_path)[0][0]
    np.testing.assert_array_equal(layout.read(record)[1], np.where(mask == 2, 255, mask))
    assert layout.class_names == ("wall", "crack")
    assert layout.num_classes == 2


def test_synthetic_reads_no_files_and_depends_on_its_seed_alone():
    layout, again = (LAYOUTS["synthetic"](train=3, val=2, test=1, size=(32, 48)) for _ in range(2))
    records, _ = layout.index(None)
    assert [record.split for record in records] == ["train"] * 3 + ["val"] * 2 + ["test"]
    images = [layout.read(record)[0] for record in records]
    assert all(image.shape == (32, 48, 3) for image in images)
    assert len({image.tobytes() for image in images}) == 6
    np.testing.assert_array_equal(again.read(records[4])[0], images[4])
    other = LAYOUTS["synthetic"](train=3, val=2, test=1, size=(32, 48), seed=1)
    assert (other.read(records[0])[0] != images[0]).any()
    assert [record.id for record in with_ids(records)] == sorted(record.id for record in records)


def test_ids_are_stems_with_prefixes_only_if_stems_collide():
    found = with_ids(
        [
            Record("/d/train/a.jpg", "m", split="train", source="x"),
            Record("/d/test/a.jpg", "m", split="test", source="x"),
            Record("/d/b.jpg", "m", split="train", source="x"),
            Record("/d/x/c.jpg", "m", split="train", source="x"),
            Record("/d/y/c.jpg", "m", split="train", source="y"),
        ]
    )
    assert [record.id for record in found] == ["b", "test-a", "train-a", "x-c", "y-c"]
    with pytest.raises(DataError, match=r"/d/1/a\.jpg, /d/2/a\.jpg have the same name"):
        with_ids([Record("/d/1/a.jpg", "m"), Record("/d/2/a.jpg", "m")])


def test_a_misspelt_layout_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'folders'"):
        LAYOUTS["folder"]


def test_layouts_can_be_pickled_for_workers():
    layout = LAYOUTS["folders"](mask_pattern="{stem}_mask")
    assert vars(pickle.loads(pickle.dumps(layout))) == vars(layout)
