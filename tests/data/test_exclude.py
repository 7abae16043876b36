"""data.exclude: a list of ids leaves images out of every command that reads data."""

import json

import pytest

from cracklab.check.examine import examine_data
from cracklab.errors import DataError


def test_ids_and_patterns_of_a_list_are_left_out(tmp_path, make_data):
    (tmp_path / "wrong.txt").write_text("# beside the crack\ntrain-00001\n\nval-*  # all of them\n", encoding="utf-8")
    data = make_data(
        "synthetic", {"train": 3, "val": 2, "test": 2}, exclude=str(tmp_path / "wrong.txt"), split="holdout"
    )
    assert [record.id for record in data.index()[0]] == ["test-00000", "test-00001", "train-00000", "train-00002"]


def test_folds_and_the_data_doctor_leave_them_out_too(tmp_path, make_data):
    (tmp_path / "wrong.txt").write_text("train-00000\n", encoding="utf-8")
    options = {"train": 6, "val": 0, "test": 0, "size": (32, 32)}
    data = make_data("synthetic", options, exclude=str(tmp_path / "wrong.txt"), fold=0, folds=2, cache="none")
    data.setup("fit")
    split = {side: data.ids(side) for side in ("train", "val", "test")}
    assert sum(map(len, split.values())) == 5
    assert "train-00000" not in json.dumps(split)
    assert len(examine_data(data).pairs) == 5


def test_an_id_with_a_hash_or_brackets_is_taken_as_it_is(tmp_path, make_data):
    from cracklab.data.exclude import without_excluded
    from cracklab.data.samples import Record

    names = ["wall#2", "wall[1]", "wall1", "wall #3"]
    (tmp_path / "wrong.txt").write_text("wall#2\nwall[1] # not wall1\nwall #3  # missed 0.9\n", encoding="utf-8")
    left = without_excluded([Record("", "", name) for name in names], tmp_path / "wrong.txt")
    assert [record.id for record in left] == ["wall1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"train-01\n", "train-01.*no image"),
        (b"\xef\xbb\xbf*\r\n", "leaves out all"),
        (None, "cannot be read"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_list_that_is_unreadable_or_names_no_image_is_refused(tmp_path, make_data, text, said):
    if text is not None:
        (tmp_path / "wrong.txt").write_bytes(text)
    data = make_data("synthetic", {"train": 3}, exclude=str(tmp_path / "wrong.txt"))
    with pytest.raises(DataError, match=said):
        data.setup("fit")
