"""Tables from run folders, compared with SciPy and pandas; their bytes depend on neither order nor times."""

import csv
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cracklab.errors import RunError
from cracklab.replication import Replication
from cracklab.report.analysis import Analysis
from cracklab.report.collection import collect
from cracklab.report.metric import parse_metric
from cracklab.study.aggregate import aggregate, statistics_of
from cracklab.study.folder import RunStatus, Study, StudyPlan
from cracklab.study.plan import axes_of, fold_axis, runs_of

SCORES = np.random.default_rng(0).random((2, 3, 2))
"""Scores by loss, seed and fold."""


SEEDS_OF_ONE_SPLIT = Replication.of(repeats=[0] * 5, folds=[None] * 5, seeds=range(5))


def test_statistics_of_seeds_match_scipy():
    values = np.random.default_rng(1).normal(0.7, 0.05, 5)
    found = statistics_of(values.tolist(), SEEDS_OF_ONE_SPLIT)
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    expected = {"n": 5, "mean": values.mean(), "std": values.std(ddof=1), "low": low, "high": high}
    assert found == pytest.approx(expected, rel=1e-12)


def test_statistics_of_folds_and_seeds_are_over_folds_with_the_correction_for_shared_images():
    values = np.random.default_rng(2).normal(0.7, 0.05, (5, 3))  # folds x seeds
    units = Replication.of([0] * 15, np.repeat(range(5), 3).tolist(), [1, 2, 3] * 5)
    found = statistics_of(values.ravel().tolist(), units)
    folds = values.mean(1)
    half = (
        stats.t.ppf(0.975, 4) * folds.std(ddof=1) * math.sqrt(1 / 5 + 1 / 4)
    )  # Nadeau and Bengio: test / train = 1 / 4
    expected = {"n": 15, "mean": folds.mean(), "std": values.std(ddof=1)}
    assert found == pytest.approx(expected | {"low": folds.mean() - half, "high": folds.mean() + half}, rel=1e-12)


def test_statistics_ignore_missing_values():
    units = Replication.of([0] * 3, [None] * 3, range(3))
    assert statistics_of([0.5, None, 0.7], units)["n"] == 2
    assert statistics_of([0.5, None, None], units) == {"n": 1, "mean": 0.5, "std": None, "low": None, "high": None}
    assert statistics_of([None] * 3, units) == {"n": 0, "mean": None, "std": None, "low": None, "high": None}


def make(folder: Path, command: str, axes) -> Study:
    """Return a study whose runs are finished, with given scores in place of training."""
    study = Study(folder)
    runs = runs_of(command, axes)
    for run in runs:
        if "fold" in run.labels:
            place = f"repeat_{run.labels['repeat']}/" if "repeat" in run.labels else ""
            run.overrides["data.folds_file"] = f"{place}folds.json"
            images = {f"i{i}": {"photo": f"i{i}", "fold": i % 2} for i in range(7)} | {
                "t": {"photo": "t", "fold": None}
            }
            path = study.folder / run.overrides["data.folds_file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"folds": 2, "images": images}))
    study.write_plan(
        StudyPlan(command, {"arguments": []}, {axis: list(labels) for axis, labels in axes.items()}, runs), {}
    )
    for number, run in enumerate(runs):
        finish(study, run, float(SCORES.flat[number]))
    return study


def finish(study: Study, run, score: float) -> None:
    path = study.path(run)
    (path / "checkpoints").mkdir(parents=True)
    (path / "checkpoints/best.ckpt").touch()
    (path / "protocols.json").write_text("{}")
    metrics = {"test/iou": score, "test/hd95_px": None if score < 0.1 else 10 * score, "test/images": 4.0}
    (path / "test_metrics.json").write_text(json.dumps(metrics))
    fold = run.labels.get("fold", 0)
    rows = [{"id": f"i{i}", "iou": score / (i + 1), "group": "wall, north"} for i in range(7) if i % 2 == fold]
    pd.DataFrame(rows).to_csv(path / "per_image.csv", index=False)
    study.write_status(run, RunStatus("finished", seconds=np.random.default_rng().random()))


@pytest.fixture
def study(tmp_path):
    axes = axes_of({"loss": {"a": {"model.loss": "bce"}, "b": {"model.loss": "dice"}}, "seed_everything": [1, 2, 3]})
    return make(tmp_path / "study", "study", axes | {"fold": fold_axis(2, False)})


def test_a_cell_holds_the_statistics_over_seeds_and_folds(study):
    assert aggregate(study) == 12  # 2 losses x 3 seeds x 2 folds
    table = pd.read_csv(study.folder / "summary.csv").set_index(["loss", "metric"])
    content = json.loads((study.folder / "summary.json").read_text())
    assert (content["runs"], content["finished"]) == (12, 12)
    for number, loss in enumerate("ab"):
        values = SCORES[number].ravel()
        row = table.loc[(loss, "test/iou")]
        assert row["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert row["std"] == pytest.approx(values.std(ddof=1), rel=1e-12)
        folds = SCORES[number].mean(0)  # over seeds; test / train = 1 / 1 for two folds
        width = 2 * stats.t.ppf(0.975, 1) * folds.std(ddof=1) * math.sqrt(1 / 2 + 1)
        assert row["high"] - row["low"] == pytest.approx(width, rel=1e-9)
        cell = content["cells"][number]
        assert cell["labels"] == {"loss": loss}
        assert cell["metrics"]["test/iou"]["values"] == values.tolist()
        assert len(cell["runs"]) == 6


@pytest.mark.parametrize(("tests", "ratio"), [([(0, 1), (2, 3), (3, 4)], 2 / 3), ([(0, 1)] * 3, 0)])
def test_summary_and_report_have_the_same_interval_over_splits(tmp_path, tests, ratio):
    study = make(tmp_path / "study", "study", axes_of({"data.split_seed": [1, 2, 3]}))
    for run, images in zip(study.plan.runs, tests, strict=True):
        pd.DataFrame({"id": [f"i{i}" for i in images], "iou": 0.5}).to_csv(
            study.path(run) / "per_image.csv", index=False
        )
    aggregate(study)
    found = json.loads((study.folder / "summary.json").read_text())["cells"][0]["metrics"]["test/iou"]
    half = stats.t.ppf(0.975, 2) * SCORES.flat[:3].std(ddof=1) * math.sqrt(1 / 3 + ratio)
    assert found["high"] - found["mean"] == pytest.approx(half)
    metric = parse_metric("test/iou")
    analysis = Analysis(collect([study.folder], metric), metric)
    assert analysis.interval(analysis.methods[0]).high == pytest.approx(found["high"], rel=1e-12)


def test_every_run_has_a_row_in_the_order_of_the_plan(study):
    aggregate(study)
    rows = list(csv.DictReader((study.folder / "runs.csv").open()))
    assert [row["run"] for row in rows] == [run.name for run in study.plan.runs]
    assert [float(row["test/iou"]) for row in rows] == SCORES.ravel().tolist()
    assert {row["loss"] for row in rows} == {"a", "b"}


def test_unfinished_runs_are_in_no_table(study):
    lost = study.plan.runs[3]
    study.write_status(lost, RunStatus("failed"))
    (study.path(study.plan.runs[4]) / "per_image.csv").unlink()
    assert aggregate(study) == 10
    names = [row["run"] for row in csv.DictReader((study.folder / "runs.csv").open())]
    assert lost.name not in names
    assert len(names) == 10
    assert "10 of 12 runs" in (study.folder / "summary.md").read_text()


def test_without_finished_runs_nothing_is_written(study):
    for run in study.plan.runs:
        shutil.rmtree(study.path(run))
    assert aggregate(study) == 0
    assert not (study.folder / "summary.md").exists()


def test_summary_md_shows_mean_and_deviation_of_every_cell_and_all_runs(study):
    aggregate(study)
    text = (study.folder / "summary.md").read_text()
    heading = next(line for line in text.splitlines() if line.startswith("| loss"))
    assert heading.split(" | ")[:2] == ["| loss", "iou"]
    mean = SCORES[0].mean()
    assert f"| a | {mean:.4f} ± " in text
    assert len([line for line in text.splitlines() if line.startswith("| loss=")]) == 12


def test_intervals_of_summary_md_stay_in_the_range_of_their_metric(study):
    """Two units: an interval of 25 standard errors leaves [0, 1], and the px."""
    aggregate(study)
    content = json.loads((study.folder / "summary.json").read_text())
    rows = [
        line for line in (study.folder / "summary.md").read_text().splitlines() if line.startswith(("| a ", "| b "))
    ]
    ends = {"test/iou": (0, 1), "test/hd95_px": (0, math.inf)}
    for cell, row in zip(content["cells"], rows, strict=True):
        for (name, (smallest, largest)), text in zip(ends.items(), row.split(" | ")[1:], strict=True):
            low, high = (cell["metrics"][name][end] for end in ("low", "high"))
            assert low < smallest  # the files have the interval as it is computed
            shown = [float(number) for number in text[text.index("[") + 1 : text.index("]")].split(", ")]
            assert shown == pytest.approx([smallest, min(high, largest)], abs=1e-4)
    assert any(cell["metrics"]["test/iou"]["high"] > 1 for cell in content["cells"])


def test_tables_depend_on_neither_order_nor_times(study, tmp_path):
    aggregate(study)
    again = tmp_path / "again"
    shutil.copytree(study.folder, again)
    other = Study(again)
    for run in reversed(other.plan.runs):
        other.write_status(run, RunStatus("finished", seconds=99.0, resumed=True))
    for name in ("runs.csv", "summary.json", "summary.csv", "summary.md"):
        (again / name).unlink()
    aggregate(other)
    for name in ("runs.csv", "summary.json", "summary.csv", "summary.md"):
        assert (again / name).read_bytes() == (study.folder / name).read_bytes()


@pytest.fixture
def kfold(tmp_path):
    axes = {"repeat": {r: {"data.split_seed": r} for r in range(2)}, "fold": fold_axis(2, False)}
    return make(tmp_path / "kfold", "kfold", axes)


def test_out_of_fold_rows_come_from_the_run_that_held_out_the_image(kfold):
    aggregate(kfold)
    assert not (kfold.folder / "out_of_fold.csv").exists()
    for repeat in range(2):
        rows = list(csv.DictReader((kfold.folder / f"repeat_{repeat}" / "out_of_fold.csv").open()))
        assert list(rows[0]) == ["id", "fold", "iou", "group"]
        assert [row["id"] for row in rows] == [f"i{i}" for i in range(7)]  # the test image is not among them
        for i, row in enumerate(rows):
            assert int(row["fold"]) == i % 2
            assert float(row["iou"]) == SCORES.flat[2 * repeat + i % 2] / (i + 1)
            assert row["group"] == "wall, north"


def test_out_of_fold_is_written_once_all_folds_are_finished(kfold):
    kfold.write_status(kfold.plan.runs[1], RunStatus("failed"))
    aggregate(kfold)
    assert not (kfold.folder / "repeat_0" / "out_of_fold.csv").exists()
    assert (kfold.folder / "repeat_1" / "out_of_fold.csv").exists()


def test_an_image_scored_twice_or_never_is_an_error(kfold):
    path = kfold.path(kfold.plan.runs[0]) / "per_image.csv"
    path.write_text(path.read_text().replace("i2", "i1"))
    with pytest.raises(RunError, match=r"repeat_0/fold_0.*folds\.json, each once: i2"):
        aggregate(kfold)


def test_runs_that_differ_only_in_repeat_and_fold_are_one_cell(kfold):
    aggregate(kfold)
    content = json.loads((kfold.folder / "summary.json").read_text())
    assert [cell["labels"] for cell in content["cells"]] == [{}]
    assert content["cells"][0]["metrics"]["test/iou"]["n"] == 4  # 2 repeats x 2 folds
    assert math.isclose(content["cells"][0]["metrics"]["test/iou"]["mean"], SCORES.ravel()[:4].mean(), rel_tol=1e-12)
