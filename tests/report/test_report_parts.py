"""Parts of a report: metric keys, names of methods, groups of ranks, tables."""

import csv
import json
import sys
import warnings
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from report_cases import write_run

from cracklab.cli import main
from cracklab.errors import ConfigError
from cracklab.metrics import image_scores
from cracklab.metrics.image_scores import image_score
from cracklab.metrics.options import EvaluationOptions
from cracklab.report.analysis import Analysis
from cracklab.report.collection import collect
from cracklab.report.content import _drawn
from cracklab.report.figures import CJK_FONTS, cliques, font_family, grid_of, paired
from cracklab.report.labels import differing, flat
from cracklab.report.method_tables import ranking
from cracklab.report.metric import parse_metric
from cracklab.report.run_tables import worst_images
from cracklab.report.sentences import cautions, summary
from cracklab.report.table import Table, number, spread, words
from cracklab.study.aggregate import replication_of
from cracklab.study.folder import PlannedRun, Study, StudyPlan
from cracklab.study.methods import method_names, short
from cracklab.tables import read_csv, write_csv

OLD_RUNS = Path(__file__).parents[1] / "fixtures/release_0_1"


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
        ("test/recall_w1_2", "recall (1-2 px)", "higher", "points", None, "pooled"),
        ("test/average_precision", "average precision", "higher", "points", None, "thresholds"),
        ("scsegamba/iou", "IoU", "higher", "points", None, "Warning"),
        ("native/iou", "IoU", "higher", "points", ("tp", "fp", "fn", "tn"), "size of their files"),
        ("test/false_positive_px", "false positive px", "lower", "px", ("false_positive_px",), "mean over"),
        ("krasniqi2026/hd95_px@0.1", "HD95", "lower", "px", None, "threshold 0.1"),
    ],
)
def test_a_key_has_a_name_direction_unit_columns_and_protocol(key, name, better, unit, columns, how):
    found = parse_metric(key)
    assert (found.quantity.name, found.quantity.better, found.quantity.unit) == (name, better, unit)
    assert (found.per_image.columns if found.per_image else None) == columns
    assert how in found.protocol
    assert found.curve == (key.replace("test/", "val/") if key.startswith("test/") else None)


@pytest.mark.parametrize(
    "key",
    [
        "iou", "val/iou", "test/", "test/threshold", "test/width_px", "nothing/iou", "test/hd95_px_empty", "native/mm_per_px",
        "native/scale", "best_on_test/ods_threshold", "best_on_test/ois_threshold",
    ],
)  # fmt: skip
def test_a_key_that_is_not_a_score_is_refused(key):
    with pytest.raises(ConfigError):
        parse_metric(key)


@pytest.mark.parametrize("folder", ["run", "kfold/fold_0"])
def test_every_score_of_an_old_run_can_be_compared(folder):
    keys = json.loads((OLD_RUNS / folder / "test_metrics.json").read_text())
    messages = []
    for key in keys:
        try:
            assert (parse_metric(key).quantity.better == "lower") == (key.endswith(("loss", "_px", "px@0.1"))), key
        except ConfigError as error:
            messages.append(str(error))
    assert all("describes the images" in message or "counts pieces" in message for message in messages)
    assert 0 < len(messages) < len(keys) / 4


def test_scores_of_ones_own_are_ranked_with_the_file_that_registers_them(tmp_path, capsys, monkeypatch):
    """Without the file, a report took more for better."""
    for registered in (image_scores.SCORES, image_scores.SCORES_OF, image_scores.GROUPS):
        for name in ("area_gap", "times_px"):
            monkeypatch.setitem(registered, name, None)  # so that both are forgotten at the end
            del registered[name]
    monkeypatch.setattr(sys, "path", [*sys.path])
    own = tmp_path / "my_gap.py"
    own.write_text(
        "from cracklab.metrics import register_score\n"
        "register_score('area_gap', better='lower')(lambda pred, target: 1.0)\n"
        "register_score('times_px', better='one')(lambda pred, target: 1.0)\n"
    )
    for name, value in (("dice", 0.2), ("bce", 0.4)):
        path = write_run(tmp_path / "runs" / name, name, 0.6, epochs=2) / "test_metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "test/area_gap": value, "test/times_px": value}))
    report = ["report", str(tmp_path / "runs"), "--metric"]
    for arguments, expected in (
        (["test/area_gap"], "needs --import with the file that registers it"),
        (["test/times_px", "--import", str(own)], "the closer it is to 1"),
    ):
        with pytest.raises(SystemExit):
            main([*report, *arguments])
        assert expected in capsys.readouterr().err
    assert not (tmp_path / "runs/report").exists()
    assert main([*report, "test/area_gap", "--import", str(own)]) == 0
    rows = read_csv(tmp_path / "runs/report/tables/ranking.csv")
    assert [row["method"] for row in rows] == ["dice", "bce"]


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
    def method(**labels: str) -> str:
        return method_names([labels], list(labels), "runs")[0]

    assert short(["model.loss", "a.lr", "b.lr"]) == {"model.loss": "loss", "a.lr": "a.lr", "b.lr": "b.lr"}
    assert method(loss="dice") == "dice"
    assert method(beta="2.0") == "beta=2.0"
    assert method(loss="dice", lr="0.1", channels_last="True") == "dice, lr=0.1, channels_last=True"
    assert method(loss="dice", alpha="-") == "dice"
    assert method(a="-", b="-") == method() == "runs"


def test_different_labels_never_have_the_same_name(tmp_path):
    """The second run replaced the first, which had the same name."""
    labels = [("resnet", "-"), ("-", "resnet"), ("vgg", "-")]
    runs = [PlannedRun(str(i), f"runs/{i}", dict(zip("ab", of, strict=True)), {}) for i, of in enumerate(labels)]
    for i in range(3):
        write_run(tmp_path / "runs" / str(i), "dice", 0.5 + 0.1 * i, epochs=2)
    Study(tmp_path).write_plan(StudyPlan("study", {}, {}, runs), {})
    metric = parse_metric("test/iou")
    analysis = Analysis(collect([tmp_path], metric), metric)
    assert analysis.methods == ["a=vgg, b=-", "a=-, b=resnet", "a=resnet, b=-"]
    assert analysis.table.notna().all().all()


@pytest.mark.parametrize("planned", [True, False])
def test_an_unfinished_kfold_corrects_for_all_its_folds_and_has_no_heat_map(tmp_path, planned):
    """Two of five folds share three quarters of their training images, whether a plan or the runs say that there are five."""
    runs = []
    for fold, lr in product(range(5), (0.1, 0.01)):
        name = f"lr={lr},fold={fold}"
        overrides = {"data.fold": fold, "data.folds": 5, "model.optimizer.lr": lr}  # `lr` is the name of an axis
        runs.append(PlannedRun(name, f"runs/{name}", {"lr": lr, "fold": fold}, overrides))
        if fold < 2:
            write_run(tmp_path / "runs" / name, "dice", 0.6, fold=fold, options={"lr": lr}, epochs=2)
    if planned:
        Study(tmp_path).write_plan(StudyPlan("study", {}, {"lr": [0.1, 0.01], "fold": list(range(5))}, runs), {})
    metric = parse_metric("test/iou")
    analysis = Analysis(collect([tmp_path], metric), metric)
    assert (analysis.replication.unit, analysis.replication.overlap) == ("fold", 1 / 4)
    assert len(set(analysis.replication.unit_of)) == 2
    assert analysis.methods == ["lr=0.01", "lr=0.1"] or analysis.methods == ["lr=0.1", "lr=0.01"]
    assert grid_of(analysis) is None
    assert replication_of(runs[:4], {run.name: () for run in runs}).overlap == 1 / 4


def test_intervals_of_means_end_where_the_metric_does(tmp_path):
    """Student's t of two folds, 0.2 and 0.9, is far wider than 0 to 1; the raw values stay uncut."""
    for fold, level in enumerate((0.2, 0.9)):
        write_run(tmp_path / f"fold_{fold}", "dice", level, fold=fold, epochs=2)
    metric = parse_metric("test/iou")
    analysis = Analysis(collect([tmp_path], metric), metric)
    assert "(95 % interval 0.0000 to 1.0000, n = 2 folds)" in " ".join(summary(analysis))
    table = ranking(analysis)
    assert "| 0.0000 to 1.0000 |" in table.markdown()
    assert table.rows[0]["low"] < 0 < 1 < table.rows[0]["high"]
    assert (parse_metric("test/hd95_px").ends, parse_metric("test/loss").ends) == ((0, np.inf), (-np.inf, np.inf))
    assert [0, 1] in [list(line.get_xdata()) for line in paired(analysis).axes[0].lines]


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


def write_images(folder: Path, ids: list[str], counts: list[tuple[int, int, int]], **run) -> None:
    """Write a run with these images, each with TP, FP and FN."""
    write_run(folder, epochs=2, **run)
    rows = [
        {"id": name, "group": name, "tp": tp, "fp": fp, "fn": fn, "tn": 9}
        for name, (tp, fp, fn) in zip(ids, counts, strict=True)
    ]
    write_csv(folder / "per_image.csv", list(rows[0]), rows)


def test_values_of_images_are_averaged_over_runs_not_their_counts(tmp_path):
    """Names of images and methods may be words that pandas or a table uses."""
    ids = ["007", "NA", "None", "nan", "null"]
    for seed, first in enumerate([(0, 0, 0), (0, 0, 0), (0, 1, 0)]):  # IoU 1, 1, 0
        write_images(tmp_path / f"id{seed}", ids, [first] + [(1, 1, 0)] * 4, loss="id", level=0.6, seed=seed)
        write_images(tmp_path / f"bce{seed}", ids, [(6, 2, 2)] + [(1, 1, 0)] * 4, loss="bce", level=0.5, seed=seed)
    metric = parse_metric("test/iou")
    analysis = Analysis(collect([tmp_path], metric), metric)
    assert analysis.image_values(analysis.runs_of("id")) == pytest.approx({"007": 2 / 3} | dict.fromkeys(ids[1:], 0.5))
    (over_images,) = analysis.image_comparisons
    assert (over_images.images, over_images.difference.units) == (5, 5)
    better = {over_images.first: over_images.superiority, over_images.second: 1 - over_images.superiority}
    assert better["id"] == pytest.approx(0.6)  # 2 / 3 against 0.6 on one image, and four ties
    rows = {row["id"]: row for row in read_csv(write_table(tmp_path, worst_images(analysis)))}
    assert list(rows) == ["NA", "None", "nan", "null", "007"]
    assert float(rows["007"]["method id"]) == pytest.approx(2 / 3)
    assert float(rows["007"]["mean"]) == pytest.approx((2 / 3 + 0.6) / 2)


def test_images_whose_pixels_are_all_ignored_are_in_no_mean_and_no_comparison(tmp_path):
    for loss, counts in (("dice", [(90, 5, 5), (80, 10, 10)]), ("bce", [(50, 25, 25), (0, 0, 0)])):
        write_images(tmp_path / loss, ["a", "empty", "ignored"], [*counts, (0, 0, 0)], loss=loss, level=0.6)
        table = tmp_path / loss / "per_image.csv"
        table.write_text(table.read_text().replace("ignored,ignored,0,0,0,9", "ignored,ignored,0,0,0,0"))
    metric = parse_metric("test/iou")
    analysis = Analysis(collect([tmp_path], metric), metric, planned=[("dice", "bce")])
    (over_images,) = analysis.image_comparisons
    assert (over_images.images, over_images.difference.units) == (2, 2)
    assert over_images.superiority == 0.5  # 0.9 against 0.5, and 0.8 against 1: an empty mask that is found is perfect
    assert [row["id"] for row in read_csv(write_table(tmp_path, worst_images(analysis)))] == ["a", "empty"]


def write_table(folder: Path, table: Table) -> Path:
    (folder / "table.csv").write_text(table.csv())
    return folder / "table.csv"


def test_methods_with_equal_scores_are_said_to_be_equal(tmp_path):
    metric = parse_metric("test/iou")
    write_run(tmp_path / "dice", "dice", 0.6, epochs=2)
    write_run(tmp_path / "bce", "bce", 0.6, epochs=2)
    for name in ("test_metrics.json", "per_image.csv"):
        (tmp_path / "bce" / name).write_bytes((tmp_path / "dice" / name).read_bytes())
    lines = summary(Analysis(collect([tmp_path], metric), metric))
    assert lines[1:] == ["On the 30 images (10 photos) that both were tested on, bce and dice have the same score."]
    assert "in favour" not in lines[0]


def write_font(path: Path, name: str) -> Path:
    """Write a font whose only character, 裂, is a filled square."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 500), (600, 500), (600, 0)):
        pen.lineTo(corner)
    pen.closePath()
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder([".notdef", "crack"])
    font.setupCharacterMap({ord("裂"): "crack"})
    font.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "crack": pen.glyph()})
    font.setupHorizontalMetrics({".notdef": (700, 0), "crack": (700, 100)})
    font.setupHorizontalHeader(ascent=1200, descent=-300)
    font.setupNameTable({"familyName": name, "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(path)
    return path


def test_names_that_matplotlibs_font_lacks_use_an_installed_font_and_never_warn(tmp_path, monkeypatch, caplog):
    def draw() -> Figure:
        figure = Figure(figsize=(1, 1), dpi=100)
        figure.text(0, 0.1, "裂", size=72)
        return figure

    def is_filled() -> bool:
        """Return whether the ink is a filled rectangle."""
        drawn = cv2.imdecode(np.frombuffer(_drawn("", "", "", "", draw).png, np.uint8), cv2.IMREAD_GRAYSCALE)
        ink = drawn < 64
        return bool(ink.any() and ink[ink.any(axis=1)][:, ink.any(axis=0)].all())

    monkeypatch.setattr(fontManager, "ttflist", [font for font in fontManager.ttflist if font.name not in CJK_FONTS])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert font_family() == ["sans-serif"]
        assert not is_filled()
        fontManager.addfont(write_font(tmp_path / "cjk.ttf", CJK_FONTS[3]))
        assert font_family() == ["sans-serif", CJK_FONTS[3]]
        assert is_filled()
    assert not caplog.records


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
    starts = Table("t", "", "", [words("[2pt]", "m")], [{"m": text} for text in ("[2pt]", "*", " [a]", "a [*]", "-")])
    assert [line.rstrip("\\ ") for line in starts.latex().splitlines()[3:-2] if "rule" not in line] == [
        "{}[2pt]", "{}[2pt]", "{}*", "{} [a]", "a [*]", "-",
    ]  # fmt: skip
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
