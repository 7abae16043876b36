from itertools import pairwise

import pytest

from cracklab.errors import ConfigError


def sides(data):
    data.setup("fit")
    return {side: {data.records[i].id for i in positions} for side, positions in data.splits.by_side().items()}


@pytest.mark.parametrize("split", [{"split": "holdout"}, {"fold": 1, "folds": 3}])
def test_fewer_images_are_among_more_and_the_test_side_stays(photos, make_data, split):
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


def test_photos_come_one_after_another_in_the_order_of_the_seed(photos, make_data):
    def photos_of(seed):
        data = make_data("folders", root=str(photos), split="holdout", split_seed=seed, train_images=6)
        data.setup("fit")
        return [data.records[i].group for i in data.splits.train]

    assert all(len(set(photos_of(seed))) == 2 for seed in range(3))  # five images of photos with three
    assert len({tuple(photos_of(seed)) for seed in range(6)}) > 1


def test_a_published_split_keeps_its_proportion(make_data):
    options = {"train": 40, "val": 0, "test": 5, "size": (32, 32)}
    counts = {}
    for number in (2, 10, 20, 40):
        found = sides(make_data("synthetic", options, train_images=number, cache="none"))
        counts[number] = [len(found[side]) for side in ("train", "val", "test")]
    assert counts == {2: [1, 1, 5], 10: [9, 1, 5], 20: [18, 2, 5], 40: [36, 4, 5]}


@pytest.mark.parametrize("number", [1, 25])
def test_a_number_out_of_range_is_refused(photos, make_data, number):
    with pytest.raises(ConfigError, match=rf"train_images is {number}: set it to 2 to \d+,"):
        make_data("folders", root=str(photos), train_images=number).setup("fit")
