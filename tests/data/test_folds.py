from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cracklab.data.folds import allocate, assign, check_overlap, with_groups
from cracklab.data.samples import Record, with_ids
from cracklab.errors import ConfigError, DataError


def records(*stems, split=None, **more):
    return [Record(f"/d/{stem}.jpg", f"/d/{stem}.png", split=split, **more) for stem in stems]


def crops(photos, each, split=None):
    return records(*(f"p{photo}-{i}" for photo in range(photos) for i in range(1, each + 1)), split=split)


def index(*parts):
    return with_groups(with_ids([record for part in parts for record in part]), "auto")


def sides(splits):
    return {side: set(positions) for side, positions in splits.named().items()}


def groups_of(found, positions):
    return {found[i].group for i in positions}


# -- groups ---------------------------------------------------------------------------------------------------------


def test_auto_takes_numbered_names_for_crops_of_a_photo():
    found = with_groups(records("7Q3A-1", "7Q3A-20", "7Q3A", "IMG_6512-2", "wall_3", "x-y"), "auto")
    assert [record.group for record in found] == ["7Q3A", "7Q3A", "7Q3A", "IMG_6512", "wall_3", "x-y"]


def test_auto_refuses_numbered_names_that_are_no_crops():
    with pytest.raises(DataError, match=r"200 of 200.*'crack'.*data\.group to '\(\.\+\)'"):
        with_groups(records(*(f"crack-{i}" for i in range(1, 201))), "auto")
    with pytest.raises(DataError, match=r"3 photos in 12 images.*5 parts"):
        with_groups(crops(3, 4), "auto", parts=5)


def test_auto_keeps_the_groups_of_the_layout():
    found = with_groups(records("a-1", "a-2", group="site 7") + records("b-1", "c", "d"), "auto")
    assert [record.group for record in found] == ["site 7", "site 7", "b", "c", "d"]


def test_groups_by_regular_expression():
    found = with_groups(records("s1_p2_c3", "s1_p2_c4", "s2_p1_c1"), r"(s\d+_p\d+)_")
    assert [record.group for record in found] == ["s1_p2", "s1_p2", "s2_p1"]
    assert [r.group for r in with_groups(records("crack-1", "crack-2"), "(.+)")] == ["crack-1", "crack-2"]
    with pytest.raises(DataError, match="does not match other"):
        with_groups(records("s1_a", "other"), r"(s\d+)_")
    with pytest.raises(ConfigError, match="not a regular expression"):
        with_groups(records("a"), "(a")


def test_groups_by_column():
    found = with_groups([*records("a", columns={"site": "x"}), *records("b", columns={"site": "y"})], "site")
    assert [record.group for record in found] == ["x", "y"]
    with pytest.raises(ConfigError, match=r"'sight' is no column of the data \(it has: site\)"):
        with_groups(records("a", columns={"site": "x"}), "sight")


# -- folds ----------------------------------------------------------------------------------------------------------


@given(sizes=st.lists(st.integers(1, 9), min_size=6, max_size=40), folds=st.integers(2, 6), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_parts_are_disjoint_by_photo_and_none_is_empty(sizes, folds, seed):
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


def test_folds_hold_out_each_image_once_and_never_choose_on_it():
    found = index(crops(12, 3, split="train"), records("t-1", "t-2", "p3-9", split="test"))
    shares = np.random.default_rng(0).random(len(found))
    held_out = Counter()
    for fold in range(4):
        splits = assign(found, shares, fold=fold, folds=4, val_fraction=0.15)
        train, val, test = (groups_of(found, positions) for positions in splits.named().values())
        assert train
        assert val
        assert len(train | val | test) == len(train) + len(val) + len(test)
        assert all(found[i].split == "train" for positions in splits.named().values() for i in positions)
        held_out.update(splits.test)
    assert set(held_out.values()) == {1}
    assert len(held_out) == 36


def test_five_rotations_of_70_10_20():
    found = index(crops(50, 2))
    splits = assign(found, np.zeros(100), fold=2, folds=5, val_fraction=0.1)
    assert [len(positions) for positions in splits.named().values()] == [70, 10, 20]


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_out_of_range_is_refused(fold):
    with pytest.raises(ConfigError, match=rf"data\.fold is {fold} of data\.folds 5"):
        assign(index(crops(9, 2)), np.zeros(18), fold=fold, folds=5)


# -- splits ---------------------------------------------------------------------------------------------------------


def test_official_takes_validation_from_the_training_photos():
    found = index(crops(20, 3, split="train"), records("t1", "t2", split="test"))
    splits = assign(found, np.zeros(62), "official", val_fraction=0.1)
    assert [len(positions) for positions in splits.named().values()] == [54, 6, 2]
    assert not groups_of(found, splits.train) & groups_of(found, splits.val)
    assert {found[i].split for i in splits.test} == {"test"}
    assert assign(found, np.zeros(62), "auto", val_fraction=0.1) == splits


def test_official_with_all_three_sides_is_taken_as_it_is():
    found = index(records("a", "b", split="train"), records("c", split="val"), records("d", split="test"))
    splits = assign(found, np.zeros(4), "official")
    assert splits.named() == {"train": (0, 1), "val": (2,), "test": (3,)}


def test_holdout_by_fractions():
    found = index(crops(50, 2))
    splits = assign(found, np.zeros(100), "holdout", val_fraction=0.1, test_fraction=0.2)
    assert [len(positions) for positions in splits.named().values()] == [70, 10, 20]
    check_overlap(found, splits)
    assert assign(found, np.zeros(100), "auto", val_fraction=0.1, test_fraction=0.2) == splits
    assert assign(found, np.zeros(100), "holdout", val_fraction=0.1, test_fraction=0.2, seed=1) != splits


def test_official_without_a_published_split_is_refused():
    with pytest.raises(ConfigError, match=r"'official' needs a published split.*'holdout'"):
        assign(index(crops(9, 2)), np.zeros(18), "official")


def test_fractions_that_leave_nothing_are_refused():
    with pytest.raises(ConfigError, match=r"val_fraction 0\.6 and data\.test_fraction 0\.5"):
        assign(index(crops(9, 2)), np.zeros(18), "holdout", val_fraction=0.6, test_fraction=0.5)


def test_overlaps_are_errors_that_name_every_file_or_warnings_that_do():
    found = index(records("a-1", "a-2", "b", "c", "d", split="train"), records("a-3", "e", split="test"))
    splits = assign(found, np.zeros(7), "official", val_fraction=0.3)
    with pytest.raises(DataError, match=r"photo 'a'.*a-1\.jpg, /d/a-2\.jpg.*test: /d/a-3\.jpg"):
        check_overlap(found, splits)
    with pytest.warns(UserWarning, match=r"photo 'a'.*a-1\.jpg, /d/a-2\.jpg.*test: /d/a-3\.jpg"):
        check_overlap(found, splits, "report")


def test_official_clean_leaves_out_training_photos_that_the_test_side_shows():
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
    assert len(train) == 101
    assert len(train & test) == 3
    assert sum(r.group in train for r in by_side["test"]) == 19
    shares = np.random.default_rng(0).random(len(found))
    with pytest.raises(DataError, match="images of 3 photos"):
        check_overlap(found, assign(found, shares, "official"))
    clean = assign(found, shares, "official-clean")
    check_overlap(found, clean)
    assert len(clean.test) == 237
    for fold in range(5):
        check_overlap(found, assign(found, shares, fold=fold))
