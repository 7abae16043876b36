import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cracklab.data.folds import SplitPlan, allocate
from cracklab.data.groups import check_overlap, with_groups
from cracklab.data.samples import Record, with_ids
from cracklab.errors import ConfigError, DataError


def records(*stems, split=None, **more):
    return [Record(f"/d/{stem}.jpg", f"/d/{stem}.png", split=split, **more) for stem in stems]


def crops(photos, each, split=None):
    return records(*(f"p{photo}-{i}" for photo in range(photos) for i in range(1, each + 1)), split=split)


def index(*parts):
    return with_groups(with_ids([record for part in parts for record in part]), "auto")


def assign(found, shares, split="auto", **options):
    return SplitPlan(split, **options).assign(found, shares)


def groups_of(found, positions):
    return {found[i].group for i in positions}


# -- groups ---------------------------------------------------------------------------------------------------------


def test_auto_groups_numbered_names_as_crops_of_a_photo():
    found = with_groups(records("7Q3A-1", "7Q3A-20", "7Q3A", "IMG_6512-2", "wall_3", "x-y"), "auto")
    assert [record.group for record in found] == ["7Q3A", "7Q3A", "7Q3A", "IMG_6512", "wall_3", "x-y"]


def test_auto_refuses_numbered_names_that_cannot_be_crops():
    with pytest.raises(DataError, match=r"200 of 200.*'crack'.*data\.group to '\(\.\+\)'"):
        with_groups(records(*(f"crack-{i}" for i in range(1, 201))), "auto")
    with pytest.raises(DataError, match=r"3 photos in 12 images.*5 parts"):
        with_groups(crops(3, 4), "auto", parts=5)


def test_auto_keeps_the_groups_of_the_layout():
    found = with_groups(records("a-1", "a-2", group="site 7") + records("b-1", "c", "d"), "auto")
    assert [record.group for record in found] == ["site 7", "site 7", "b", "c", "d"]


def test_a_regular_expression_names_the_photos():
    found = with_groups(records("s1_p2_c3", "s1_p2_c4", "s2_p1_c1"), r"(s\d+_p\d+)_")
    assert [record.group for record in found] == ["s1_p2", "s1_p2", "s2_p1"]
    assert [r.group for r in with_groups(records("crack-1", "crack-2"), "(.+)")] == ["crack-1", "crack-2"]
    with pytest.raises(DataError, match="does not match other"):
        with_groups(records("s1_a", "other"), r"(s\d+)_")
    with pytest.raises(ConfigError, match="not a regular expression"):
        with_groups(records("a"), "(a")


def test_a_column_names_the_photos():
    found = with_groups([*records("a", columns={"site": "x"}), *records("b", columns={"site": "y"})], "site")
    assert [record.group for record in found] == ["x", "y"]
    with pytest.raises(ConfigError, match=r"'sight' is neither a column of the data \(it has: site\)"):
        with_groups(records("a", columns={"site": "x"}), "sight")


# -- folds ----------------------------------------------------------------------------------------------------------


@given(sizes=st.lists(st.integers(1, 9), min_size=6, max_size=40), folds=st.integers(2, 6), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_parts_share_no_photo_and_none_is_empty(sizes, folds, seed):
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    shares = np.random.default_rng(seed).random(len(groups))
    part = allocate(groups, shares, [1 / folds] * folds, seed)
    assert set(part) == set(range(folds))
    assert all(len({p for p, g in zip(part, groups, strict=True) if g == group}) == 1 for group in set(groups))
    np.testing.assert_array_equal(part, allocate(groups, shares, [1 / folds] * folds, seed))


def test_parts_are_balanced_in_size_and_crack_share():
    rng = np.random.default_rng(0)
    groups = [f"g{number}" for number in range(80) for _ in range(rng.integers(1, 5))]
    level = {group: rng.lognormal(-3, 1) for group in groups}
    shares = np.array([level[group] for group in groups])
    part = allocate(groups, shares, [0.2] * 5, 0)
    sizes = np.array(list(Counter(part.tolist()).values()))
    assert np.ptp(sizes) <= 3
    ours = np.ptp([shares[part == p].mean() for p in range(5)])
    by_chance = [rng.permutation(80) % 5 for _ in range(200)]
    spreads = [np.ptp([shares[[c[int(g[1:])] == p for g in groups]].mean() for p in range(5)]) for c in by_chance]
    assert ours < np.quantile(spreads, 0.2)


def test_fewer_photos_than_parts_are_refused():
    with pytest.raises(DataError, match="2 photos cannot fill 3 parts"):
        allocate(["a", "b", "a"], np.zeros(3), [1 / 3] * 3, 0)


def test_each_image_is_tested_in_one_fold_and_no_photo_is_on_two_sides():
    found = index(crops(12, 3, split="train"), records("t-1", "t-2", "p3-9", split="test"))
    shares = np.random.default_rng(0).random(len(found))
    held_out = Counter()
    for fold in range(4):
        splits = assign(found, shares, fold=fold, folds=4, val_fraction=0.15)
        train, val, test = (groups_of(found, positions) for positions in splits.by_side().values())
        assert train
        assert val
        assert len(train | val | test) == len(train) + len(val) + len(test)
        assert all(found[i].split == "train" for positions in splits.by_side().values() for i in positions)
        held_out.update(splits.test)
    assert set(held_out.values()) == {1}
    assert len(held_out) == 36  # 12 photos of 3 crops, without the published test side


def test_five_folds_split_70_10_20_percent():
    found = index(crops(50, 2))
    splits = assign(found, np.zeros(100), fold=2, folds=5, val_fraction=0.1)
    assert [len(positions) for positions in splits.by_side().values()] == [70, 10, 20]


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_out_of_range_is_refused(fold):
    with pytest.raises(ConfigError, match=rf"fold is {fold}: give "):
        assign(index(crops(9, 2)), np.zeros(18), fold=fold, folds=5)


def test_the_official_test_set_is_in_no_fold_unless_pooled():
    found = index(crops(12, 3, split="train"), records("t-1", "t-2", "u-1", "v", split="test"))
    held_out = [assign(found, np.zeros(40), fold=fold, folds=3, pool=True).test for fold in range(3)]
    assert sorted(i for part in held_out for i in part) == list(range(40))  # 12 x 3 training and 4 test images
    check_overlap(found, assign(found, np.zeros(40), fold=0, folds=3, pool=True))


def test_folds_by_source_hold_out_one_source_each():
    found = index(records("a", "b", "c", source="x"), records("d", "e", "f", "g", source="y"))
    splits = assign(found, np.zeros(7), fold=1, folds=2, fold_by="source", val_fraction=0.2)
    assert {found[i].source for i in splits.test} == {"y"}
    assert {found[i].source for i in splits.train + splits.val} == {"x"}
    with pytest.raises(ConfigError, match=r"data\.folds is 5, but there are 2 sources \(x, y\): set it to 2"):
        assign(found, np.zeros(7), fold=1, fold_by="source")


# -- folds.json -----------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    """An index, its crack shares, and options that keep the folds in a file."""
    found = index(crops(9, 2, split="train"), records("t", split="test"))
    shares = np.random.default_rng(0).random(len(found))
    return found, shares, {"fold": 2, "folds": 3, "folds_file": str(tmp_path / "runs" / "folds.json")}


def test_the_file_of_folds_is_written_once_and_reused(kept):
    found, shares, options = kept
    splits = assign(found, shares, **options)
    content = json.loads(Path(options["folds_file"]).read_text())
    assert set(content["images"]) == {record.id for record in found}
    assert content["images"]["t"] == {"photo": "t", "fold": None}
    held_out = {name for name, image in content["images"].items() if image["fold"] == 2}
    assert held_out == {found[i].id for i in splits.test}
    again = assign(found, shares, **options, seed=99)
    assert again.test == splits.test
    assert again.test != assign(found, shares, fold=2, folds=3, seed=99).test


def changed(options, change):
    path = Path(options["folds_file"])
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_file_of_folds_that_does_not_fit_the_data_is_refused(kept):
    found, shares, options = kept
    assign(found, shares, **options)
    with pytest.raises(DataError, match=r"folds\.json' holds images that are gone: p0-1: restore the data, or remove"):
        assign([record for record in found if record.id != "p0-1"], shares[1:], **options)
    with pytest.raises(DataError, match=r"folds\.json' lacks new: restore"):
        assign([*found, *index(records("new", split="train"))], np.append(shares, 0), **options)
    with pytest.raises(DataError, match=r"holds 3 folds, but data\.folds is 4: set it to 3"):
        assign(found, shares, **{**options, "folds": 4})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["images"]["p3-1"].update(fold=(content["images"]["p3-1"]["fold"] + 1) % 3), "p3"),
        (lambda content: content["images"]["p3-1"].update(fold=3), "assigns p3-1 to no fold from 0 to 2"),
        (lambda content: content["images"]["p3-1"].update(fold=None), "assigns p3-1 to no fold from 0 to 2"),
        (lambda content: content.pop("folds"), "cannot be read as a file of folds"),
    ],
)
def test_a_damaged_file_of_folds_is_refused(kept, change, message):
    found, shares, options = kept
    assign(found, shares, **options)
    changed(options, change)
    with pytest.raises(DataError, match=message):
        assign(found, shares, **options)


# -- splits ---------------------------------------------------------------------------------------------------------


def test_official_takes_validation_from_the_training_photos():
    found = index(crops(20, 3, split="train"), records("t1", "t2", split="test"))
    splits = assign(found, np.zeros(62), "official", val_fraction=0.1)
    assert [len(positions) for positions in splits.by_side().values()] == [
        54,
        6,
        2,
    ]  # 10 % of 60: two photos of 3 crops
    assert not groups_of(found, splits.train) & groups_of(found, splits.val)
    assert {found[i].split for i in splits.test} == {"test"}
    assert assign(found, np.zeros(62), "auto", val_fraction=0.1) == splits


def test_official_with_all_three_sides_is_used_unchanged():
    found = index(records("a", "b", split="train"), records("c", split="val"), records("d", split="test"))
    splits = assign(found, np.zeros(4), "official")
    assert splits.by_side() == {"train": (0, 1), "val": (2,), "test": (3,)}


def test_holdout_has_the_given_fractions_and_shares_no_photo():
    found = index(crops(50, 2))
    splits = assign(found, np.zeros(100), "holdout", val_fraction=0.1, test_fraction=0.2)
    assert [len(positions) for positions in splits.by_side().values()] == [70, 10, 20]
    check_overlap(found, splits)
    assert assign(found, np.zeros(100), "auto", val_fraction=0.1, test_fraction=0.2) == splits
    assert assign(found, np.zeros(100), "holdout", val_fraction=0.1, test_fraction=0.2, seed=1) != splits


def test_official_without_a_published_split_is_refused():
    with pytest.raises(ConfigError, match=r"'official' needs a published split.*'holdout'"):
        assign(index(crops(9, 2)), np.zeros(18), "official")


def test_fractions_without_training_images_are_refused():
    with pytest.raises(ConfigError, match=r"val_fraction 0\.6 and data\.test_fraction 0\.5"):
        assign(index(crops(9, 2)), np.zeros(18), "holdout", val_fraction=0.6, test_fraction=0.5)


def test_an_overlap_is_an_error_or_a_warning_that_names_a_file_of_each_side():
    found = index(records("a-1", "a-2", "b", "c", "d", split="train"), records("a-3", "e", split="test"))
    splits = assign(found, np.zeros(7), "official", val_fraction=0.3)
    with pytest.raises(DataError, match=r"photo 'a': train /d/a-1\.jpg and 1 more, test /d/a-3\.jpg"):
        check_overlap(found, splits)
    with pytest.warns(UserWarning, match=r"photo 'a': train /d/a-1\.jpg and 1 more, test /d/a-3\.jpg"):
        check_overlap(found, splits, "report")


def test_a_long_list_of_overlaps_is_cut():
    names = {side: [f"{photo}-{number}" for photo in "abcdefg"] for number, side in enumerate(("train", "test"))}
    found = index(*(records(*those, split=side) for side, those in names.items()))
    splits = assign(found, np.zeros(14), "official", val_fraction=0.3)
    with pytest.raises(DataError, match="images of 7 photos") as error:
        check_overlap(found, splits)
    assert [name for name in "abcdefg" if f"photo {name!r}" in str(error.value)] == list("abcde")
    assert "and 2 more\nmake a split" in str(error.value)


def test_official_clean_leaves_out_training_photos_of_the_test_side():
    found = index(records("a-1", "a-2", "b", "c", "d", split="train"), records("a-3", "e", split="test"))
    splits = assign(found, np.zeros(7), "official-clean", val_fraction=0.3)
    check_overlap(found, splits)
    assert {found[i].stem for i in splits.test} == {"a-3", "e"}
    assert {found[i].stem for i in splits.train + splits.val} == {"b", "c", "d"}


def test_deepcrack_has_101_training_photos_of_which_three_leak(deepcrack):
    from cracklab.data.layouts import LAYOUTS

    found, problems = LAYOUTS["deepcrack"]().index(deepcrack)
    assert not problems
    found = with_groups(with_ids(found), "auto")
    by_side = {side: [r for r in found if r.split == side] for side in ("train", "test")}
    assert {side: len(part) for side, part in by_side.items()} == {"train": 300, "test": 237}
    train, test = ({r.group for r in part} for part in by_side.values())
    # the facts of the published data set: 101 photos in 300 crops, three of which are in the test set too, with 19 crops
    assert len(train) == 101
    assert len(train & test) == 3
    assert sum(r.group in train for r in by_side["test"]) == 19
    shares = np.random.default_rng(0).random(len(found))
    with pytest.raises(DataError, match=r"images of 3 photos(?s:.*)'11142'(?s:.*)'11289'(?s:.*)"):
        check_overlap(found, assign(found, shares, "official"))
    clean = assign(found, shares, "official-clean")
    check_overlap(found, clean)
    assert len(clean.test) == 237
    for fold in range(5):
        check_overlap(found, assign(found, shares, fold=fold))


def test_names_that_restart_on_each_side_are_different_photos():
    found = with_groups(records("001", "002", "7-1", split="train") + records("001", "7-2", split="test"), "auto")
    assert [record.group for record in found] == ["train/001", "train/002", "train/7", "test/001", "test/7"]


def test_equal_names_in_two_sources_are_different_photos():
    found = with_groups(records("1-1", "2", "3", source="x") + records("1-2", "4", source="y"), "auto")
    assert [record.group for record in found] == ["x/1", "x/2", "x/3", "y/1", "y/4"]
    assert [r.group for r in with_groups(found, "(.)")] == ["x/1", "x/2", "x/3", "y/1", "y/4"]
