"""Parts of a report: metric keys, names of methods, groups of ranks, tables."""

import csv
import json

import numpy as np
import pytest
from report_cases import write_run

from cracklab.cli import main
from cracklab.errors import ConfigError
from cracklab.metrics.image_scores import image_score
from cracklab.metrics.options import EvaluationOptions
from cracklab.report.analysis import Analysis
from cracklab.report.collection import collect
from cracklab.report.figures import cliques
from cracklab.report.labels import differing, flat, method, short
from cracklab.report.metric import parse_metric
from cracklab.report.sentences import cautions, summary
from cracklab.report.table import Table, number, spread, words
from cracklab.tables import read_csv


@pytest.mark.parametrize(
    ("key", "name", "better", "unit", "columns", "how"),
    [
        ("test/iou", "IoU", "higher", "points", ("tp", "fp", "fn", "tn"), "pooled"),
        ("test/iou@0.5", "IoU", "higher", "points", ("tp@0.5", "fp@0.5", "fn@0.5", "tn@0.5"), "at threshold 0.5"),
        ("test/iou_image", "IoU", "higher", "points", ("iou",), "mean over"),
        ("test/iou_image@0.3", "IoU", "higher", "points", ("iou@0.3",), "at threshold 0.3"),
        ("test/hd95_px", "HD95", "lower", "px", ("hd95_px",), "mean over"),
        ("test/hd95_px@0.1", "HD95", "lower", "px", ("hd95_px@0.1",), "at threshold 0.1"),
        ("test/hd95_mm", "HD95", "lower", "mm", ("hd95_mm",), "mean over"),
        ("test/boundary_iou", "Boundary IoU", "higher", "points", ("boundary_iou",), "mean over"),
        ("test/loss", "loss", "lower", "", ("loss",), "mean over"),
        ("test/iou/road", "IoU of road", "higher", "points", ("tp/road", "fp/road", "fn/road", "tn/road"), "pooled"),
        ("test/recall_w1_2", "recall w1 2", "higher", "points", None, "pooled"),
        ("test/average_precision", "average precision", "higher", "points", None, "thresholds"),
        ("scsegamba/iou", "IoU", "higher", "points", None, "Warning"),
        ("native/iou", "IoU", "higher", "points", ("tp", "fp", "fn", "tn"), "size of their files"),
    ],
)
def test_a_key_has_a_name_direction_unit_columns_and_protocol(key, name, better, unit, columns, how):
    found = parse_metric(key)
    assert (found.quantity.name, found.quantity.better, found.quantity.unit) == (name, better, unit)
    assert (found.per_image.columns if found.per_image else None) == columns
    assert how in found.protocol
    assert found.curve == (key.replace("test/", "val/") if key.startswith("test/") else None)


@pytest.mark.parametrize("key", ["iou", "val/iou", "test/", "test/threshold", "test/width_px", "nothing/iou"])
def test_a_key_that_is_not_a_score_is_refused(key):
    with pytest.raises(ConfigError):
        parse_metric(key)


@pytest.mark.parametrize("key", ["test/betti0_error", "native/pieces_per_crack@0.5", "test/pieces_per_crack/crack"])
def test_counts_of_pieces_rank_nothing(key):
    """They improve if the far half of a broken crack is erased."""
    truth, broken = np.zeros((2, 9, 60), bool)
    truth[4], broken[4], broken[4, 30] = True, True, False
    erased = broken & (np.arange(60) < 30)
    name = key.split("/")[1].partition("@")[0]
    before, after = (image_score(name, pred, truth, EvaluationOptions(tolerance_px=0)) for pred in (broken, erased))
    assert (before, after) == {"betti0_error": (1, 0), "pieces_per_crack": (2, 1)}[name]
    with pytest.raises(ConfigError, match=r"rank by .*bridged"):
        parse_metric(key)


def test_runs_that_score_other_shares_of_the_files_are_named(tmp_path):
    metric = parse_metric("native/iou")
    for name, share in (("a", 1.0), ("b", 0.5)):
        path = write_run(tmp_path / name, name, 0.6, epochs=2) / "test_metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "native/iou": 0.6, "native/seen_share": share}))
    assert "shares of the files' pixels (0.5, 1," in " ".join(cautions(Analysis(collect([tmp_path], metric), metric)))
    assert "shares" not in " ".join(cautions(Analysis(collect([tmp_path / "a"], metric), metric)))


def test_image_values_come_from_counts_or_from_columns():
    pooled, mean = parse_metric("test/iou").per_image.value, parse_metric("test/hd95_px").per_image.value
    assert pooled(np.array(6.0), np.array(1.0), np.array(3.0), np.array(90.0), 2) == pytest.approx(0.6)
    assert mean(np.array(9.0), 3) == 3


def test_an_argument_makes_methods_only_among_runs_of_its_class():
    def config(loss: str, lr: float, **options: float) -> dict:
        return {
            "model": {"loss": {"class_path": f"x.{loss}", "init_args": options}, "optimizer": {"class_path": "A", "init_args": {"lr": lr}}},
            "seed_everything": lr, "name": str(lr), "data": {"fold": lr, "root": None},
        }  # fmt: skip

    two = [flat(config("dice", 1e-3, eps=1.0)), flat(config("tversky", 1e-3, alpha=0.3))]
    assert differing(two) == ["model.loss"]
    three = [*two, flat(config("tversky", 1e-3, alpha=0.7))]
    assert differing(three) == ["model.loss", "model.loss.alpha"]
    assert differing([two[0], flat(config("dice", 1e-4, eps=1.0))]) == ["model.optimizer.lr"]
    assert differing([two[0], two[0]]) == []


def test_a_method_is_named_by_its_labels():
    assert short(["model.loss", "a.lr", "b.lr"]) == {"model.loss": "loss", "a.lr": "a.lr", "b.lr": "b.lr"}
    assert method({"loss": "dice"}, ["loss"]) == "dice"
    assert method({"beta": "2.0"}, ["beta"]) == "beta=2.0"
    assert (
        method({"loss": "dice", "lr": "0.1", "channels_last": "True"}, ["loss", "lr", "channels_last"])
        == "dice, lr=0.1, channels_last=True"
    )
    assert method({"loss": "dice", "alpha": "-"}, ["loss", "alpha"]) == "dice"


def test_runs_with_equal_test_images_are_paired_and_share_their_ids(tmp_path):
    for name, images in (("a", 30), ("b", 30), ("c", 27)):
        write_run(tmp_path / name, name, 0.6, images=images, epochs=2)
    metric = parse_metric("test/iou")
    found = collect([tmp_path], metric)
    a, b, c = (run.images for run in found.runs)
    assert a.ids is b.ids  # one tuple for all runs: 1,000 runs with the same test images hold their ids once
    assert a.groups is b.groups
    assert a.ids != c.ids
    assert [sorted(runs) for runs in Analysis(found, metric).blocks.values()] == [["a", "b"], ["c"]]


def test_runs_of_folders_with_the_same_name_are_all_in_the_report_and_each_once(tmp_path):
    metric = parse_metric("test/iou")
    for place, level in (("first/out", 0.6), ("second/out", 0.7)):
        write_run(tmp_path / place / "dice", "dice", level, epochs=2)
    one, other = tmp_path / "first" / "out", tmp_path / "second" / "out"
    found = collect([one, other, one, tmp_path / "first"], metric)
    assert [run.method for run in found.runs] == ["first/out", "second/out"]
    write_run(one / "copy", "dice", 0.8, epochs=2)  # the same configuration twice in one of the folders
    analysis = Analysis(collect([one, other], metric), metric)
    assert analysis.table.notna().sum().to_dict() == {"first/out/copy": 1, "second/out/dice": 1, "first/out/dice": 1}


def test_runs_with_different_test_images_are_not_said_to_have_the_same(tmp_path):
    metric = parse_metric("test/iou")
    for name, images in (("a", 30), ("b", 30), ("c", 27)):
        write_run(tmp_path / name, name, 0.6, images=images, epochs=2)
    same = "All runs have the same test images"
    assert same not in " ".join(cautions(Analysis(collect([tmp_path], metric), metric)))
    two = collect([tmp_path / "a", tmp_path / "b"], metric)
    assert same in " ".join(cautions(Analysis(two, metric)))


def test_methods_with_equal_scores_are_said_to_be_equal(tmp_path):
    metric = parse_metric("test/iou")
    write_run(tmp_path / "dice", "dice", 0.6, epochs=2)
    write_run(tmp_path / "bce", "bce", 0.6, epochs=2)
    for name in ("test_metrics.json", "per_image.csv"):
        (tmp_path / "bce" / name).write_bytes((tmp_path / "dice" / name).read_bytes())
    lines = summary(Analysis(collect([tmp_path], metric), metric))
    assert lines[1:] == ["On the 30 images (10 photos) that both were tested on, bce and dice have the same score."]
    assert "in favour" not in lines[0]


def test_cliques_are_maximal_groups_of_ranks_within_the_distance():
    demsar = np.array([1.964, 2.000, 2.893, 3.143])
    assert cliques(demsar, 1.25) == [(0, 3)]  # one group, as in his example: 3.143 - 1.964 < 1.25
    assert cliques(demsar, 1.0) == [(0, 2), (2, 3)]
    assert cliques(np.array([1.0, 3.0, 5.0]), 1.5) == []


def test_a_table_writes_texts_markdown_csv_latex_and_sort_keys():
    rows = [
        {"m": "a|b", "x": 0.123456, "low": 0.1, "high": 0.2},
        {"m": "c_d", "x": None, "low": float("nan"), "high": None},
    ]
    made = Table(
        "t",
        "Title",
        "note % here",
        [words("method", "m"), number("x", "x", ".2f"), spread("interval", "low", "high", ".1f")],
        rows,
    )
    assert made.texts() == [["a|b", "0.12", "0.1 to 0.2"], ["c_d", "-", "-"]]
    assert "| a\\|b | 0.12 | 0.1 to 0.2 |" in made.markdown()
    assert made.csv() == "m,x,low,high\na|b,0.123456,0.1,0.2\nc_d,,,\n"
    assert made.latex().startswith("% Title: note % here\n\\begin{tabular}{lrr}")
    assert "c\\_d & - & - \\\\" in made.latex()
    assert [column.order(rows[0]) for column in made.columns] == ["a|b", "0.123456", "0.1"]
    assert [column.order(rows[1]) for column in made.columns] == ["c_d", "", ""]


def test_hostile_names_are_escaped_in_every_form_of_a_report(tmp_path):
    names = ["<img src=x onerror=alert(1)>", "=HYPERLINK(A1)", "a|b`c`", "$x_{$ and [a](b)"]
    for name, level in zip(names, (0.5, 0.55, 0.6, 0.65), strict=True):
        write_run(tmp_path / "runs" / str(level), name, level, epochs=2)
        table = tmp_path / "runs" / str(level) / "per_image.csv"
        table.write_text(table.read_text().replace("wall000", "'=wall000"))
    assert main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    for file in ("report.md", "report.html"):
        text = (tmp_path / "out" / file).read_text()
        assert "<img src=x" not in text
        assert "&lt;img src=x onerror=alert(1)&gt;" in text
    markdown = (tmp_path / "out/report.md").read_text()
    assert r"a\|b\`c\`" in markdown
    assert "[a](b)" not in markdown
    tables = [read_csv(path) for path in (tmp_path / "out/tables").glob("*.csv")]
    assert any(names[1] in row.values() for rows in tables for row in rows)
    for path in (tmp_path / "out/tables").glob("*.csv"):
        with path.open(newline="") as file:
            assert all(not cell.startswith(("=", "@")) for row in csv.reader(file) for cell in row)
