from itertools import pairwise

import pytest

from cracklab.errors import ConfigError


def sides(data):
    data.setup("fit")
    return {side: {data.records[i].id for i in positions} for side, positions in data.splits.by_side().items()}


@pytest.mark.parametrize("split", [{"split": "holdout"}, {"fold": 1, "folds": 3}])
def test_smaller_subsets_are_nested_and_the_test_side_is_unchanged(photos, make_data, split):
    options = {"root": str(photos), "val_fraction": 0.25, "test_fraction": 0.25, **split}
    everything = sides(make_data("folders", **options))
    number = len(everything["train"] | everything["val"])
    found = [sides(make_data("folders", train_images=n, **options)) for n in (2, 4, 7, number)]
    assert [len(one["train"] | one["val"]) for one in found] == [2, 4, 7, number]
    assert all(one["test"] == everything["test"] for one in found)
    for fewer, more in pairwise(found):
        assert fewer["train"] < more["train"]
        assert fewer["val"] <= more["val"]
        assert fewer["val"]
    assert found[-1] == everything


def test_subsets_are_taken_photo_by_photo_in_an_order_given_by_the_seed(photos, make_data):
    def photos_of(seed):
        data = make_data("folders", root=str(photos), split="holdout", split_seed=seed, train_images=6)
        data.setup("fit")
        return [data.records[i].group for i in data.splits.train]

    assert all(len(set(photos_of(seed))) == 2 for seed in range(3))  # five training images from photos of three
    assert len({tuple(photos_of(seed)) for seed in range(6)}) > 1


def test_subsets_keep_the_proportion_of_training_and_validation(make_data):
    options = {"train": 40, "val": 0, "test": 5, "size": (32, 32)}
    counts = {}
    for number in (2, 10, 20, 40):
        found = sides(make_data("synthetic", options, train_images=number, cache="none", val_fraction=0.1))
        counts[number] = [len(found[side]) for side in ("train", "val", "test")]
    # 10 % of the 40 training images become validation, at least one
    assert counts == {2: [1, 1, 5], 10: [9, 1, 5], 20: [18, 2, 5], 40: [36, 4, 5]}


@pytest.mark.parametrize("number", [1, 25])
def test_a_number_out_of_range_is_refused(photos, make_data, number):
    with pytest.raises(ConfigError, match=rf"train_images is {number}: set it to 2 to \d+,"):
        make_data("folders", root=str(photos), train_images=number).setup("fit")
