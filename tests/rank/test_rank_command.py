"""`cracklab rank` on the command line."""

import os
from pathlib import Path

import cv2
import pytest
from support import ROOT

import cracklab
from cracklab.cli import main
from cracklab.rank.score import by_gain, crack_weight, look
from cracklab.synthetic.draw import draw
from cracklab.tables import read_csv

CHECKPOINT = ROOT / "tests" / "fixtures" / "release_0_1" / "run" / "checkpoints" / "best.ckpt"


def rank(*arguments):
    """Run the command with a small checkpoint and return the exit code."""
    try:
        return main(["rank", *map(str, arguments), "--ckpt_path", str(CHECKPOINT), "--device", "cpu"])
    except SystemExit as end:
        return end.code


def save(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), draw(seed, (64, 96))[0])


@pytest.fixture
def photos(tmp_path):
    """Five walls, one of them in a subfolder and one with a name that a spreadsheet would run."""
    for seed, name in enumerate(["a", "b", "=1+1", "east/c", "d"]):
        save(tmp_path / "photos" / f"{name}.png", seed)
    return tmp_path / "photos"


def test_photos_are_ranked_by_their_gain(photos, tmp_path, capsys):
    assert rank(photos, "--out", tmp_path / "out") == 0
    rows = read_csv(tmp_path / "out/rank.csv")
    model = cracklab.load(CHECKPOINT, "cpu")
    names = ["=1+1", "a", "b", "d", "east/c"]
    found = [model.predict(photos / f"{name}.png") for name in names]
    weights = [crack_weight(one.probability) for one in found]
    order = by_gain(weights, [look(one.photo) for one in found])
    assert [row["id"] for row in rows] == [names[i] for i, _ in order]
    assert [float(row["score"]) for row in rows] == pytest.approx([gain for _, gain in order], rel=1e-5)
    assert "'=1+1," in (tmp_path / "out/rank.csv").read_text()
    assert cv2.imread(str(tmp_path / "out/rank.jpg")).shape == (2 * (22 + 256 + 4), 4 * 260 - 4, 3)
    assert "5 of 5 photos ranked" in capsys.readouterr().out


def test_copies_of_labelled_photos_come_last_and_labelled_photos_not_at_all(photos, tmp_path):
    save(photos / "again.jpg", 1)
    assert rank(photos, "--labelled", photos / "b.png", "--out", tmp_path / "out") == 0
    rows = read_csv(tmp_path / "out/rank.csv")
    assert len(rows) == 5
    assert "b" not in {row["id"] for row in rows}
    assert rows[-1]["id"] == "again"


def test_a_photo_that_cannot_be_read_is_named_and_the_others_are_ranked(photos, tmp_path, capsys):
    whole = (photos / "a.png").read_bytes()
    (photos / "a.png").write_bytes(whole[: len(whole) // 2])
    assert rank(photos, "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "4 of 5 photos ranked" in said.out
    assert "a.png' is truncated" in said.err
    assert {row["id"] for row in read_csv(tmp_path / "out/rank.csv")} == {"=1+1", "b", "d", "east/c"}


def test_without_a_photo_that_can_be_read_no_table_is_written(tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert rank(tmp_path / "a.jpg", "--out", tmp_path / "out") == 1
    assert not (tmp_path / "out").exists()
    assert "1 failed:" in capsys.readouterr().err


def test_two_photos_of_one_id_and_labels_for_all_are_refused(photos, tmp_path, capsys):
    save(tmp_path / "more/a.png", 7)
    assert rank(photos, tmp_path / "more", "--out", tmp_path / "out") == 2
    assert "would both have the id 'a.png'" in capsys.readouterr().err
    assert rank(photos, "--labelled", photos, "--out", tmp_path / "out") == 2
    assert "labelled already" in capsys.readouterr().err
    os.link(photos / "a.png", os.fsencode(photos) + b"/b\xff.png")
    assert rank(photos, "--out", tmp_path / "out") == 2
    assert "is not UTF-8" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
