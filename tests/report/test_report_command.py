"""`cracklab report` as a command: output for real and for random runs, and error messages for invalid arguments."""

import json
import re
from html import unescape
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_cases import write_grid, write_run, write_study
from scipy import stats

from cracklab.cli import main
from cracklab.study.folder import PlannedRun, RunStatus, Study, StudyPlan

LEVELS = {"bce": 0.62, "dice": 0.66, "tversky": 0.661, "focal": 0.70}
GONE = "loss=bce,seed_everything=2,fold=4"


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("study") / "losses", LEVELS, leave_out=[GONE], examples=2)
    gone = next(run for run in Study(folder).plan.runs if run.name == GONE)
    Study(folder).write_status(gone, RunStatus("failed", lines=["error: no space left"]))
    assert main(["report", str(folder), "--title", "Four losses"]) == 0
    return folder


@pytest.fixture(scope="session")
def runs(study) -> pd.DataFrame:
    """IoU of every run from test_metrics.json, read without the code under test."""
    rows = []
    for path in study.glob("runs/*/test_metrics.json"):
        labels = dict(part.split("=") for part in path.parent.name.split(","))
        rows.append({**labels, "iou": json.loads(path.read_text())["test/iou"]})
    return pd.DataFrame(rows)


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "report" / "tables" / f"{name}.csv")


def page(folder: Path) -> str:
    return (folder / "report" / "report.html").read_text()


def test_a_report_for_publication_has_no_picture_of_the_data(study, tmp_path):
    """Pictures of an earlier report in the same folder are removed."""
    assert main(["report", str(study), "--out", str(tmp_path)]) == 0
    assert main(["report", str(study), "--no_photos", "--out", str(tmp_path)]) == 0
    drawn = {"paired.png", "learning_curves.png", "critical_difference.png"}
    assert {path.name for path in (tmp_path / "figures").glob("*.png")} == drawn
    shown = (tmp_path / "report.html").read_text()
    assert "The same images across methods" in page(study)
    assert "The same images across methods" not in shown
    assert set(re.findall(r"data:image/(\w+)", shown)) <= {"svg"}
    assert (tmp_path / "tables/worst_images.csv").read_bytes() == (
        study / "report/tables/worst_images.csv"
    ).read_bytes()


def test_a_real_run_gives_the_numbers_of_its_files(tiny_run, tmp_path, capsys):
    assert main(["report", str(tiny_run), "--out", str(tmp_path / "out")]) == 0
    metrics = json.loads((tiny_run / "test_metrics.json").read_text())
    ranking = pd.read_csv(tmp_path / "out/tables/ranking.csv")
    assert ranking["mean"].item() == pytest.approx(metrics["test/iou"])
    assert f"{metrics['test/iou']:.4f} (no interval, n = 1 run)" in capsys.readouterr().out
    environment = pd.read_csv(tmp_path / "out/tables/environment.csv").set_index("item")["value"]
    assert environment["determinism tier"] == "bitwise (CPU)"
    assert environment["torch"] == json.loads((tiny_run / "environment.json").read_text())["packages"]["torch"]
    worst = pd.read_csv(tmp_path / "out/tables/worst_images.csv", dtype={"id": str})
    images = pd.read_csv(tiny_run / "per_image.csv", dtype={"id": str}).sort_values(["iou", "id"])
    assert list(worst["id"]) == list(images["id"])
    assert list(worst["mean"]) == pytest.approx(list(images["iou"]))
    assert {path.name for path in (tmp_path / "out/figures").glob("*.png")} == {
        "paired.png", "learning_curves.png", "same_images.png", "worst_images_panel.png"
    }  # fmt: skip
    assert not (tiny_run / "report").exists()


def test_a_real_run_can_be_ranked_by_a_protocol(tiny_run, tmp_path):
    assert main(["report", str(tiny_run), "--out", str(tmp_path / "native"), "--metric", "native/hd95_px"]) == 0
    images = pd.read_csv(tiny_run / "per_image_native.csv").sort_values(["hd95_px", "id"], ascending=[False, True])
    worst = pd.read_csv(tmp_path / "native/tables/worst_images.csv")
    assert list(worst["mean"]) == pytest.approx(list(images["hd95_px"]))
    assert main(["report", str(tiny_run), "--out", str(tmp_path / "out"), "--metric", "deepcrack_pooled/f1"]) == 0
    values = json.loads((tiny_run / "protocols.json").read_text())["deepcrack_pooled"]["values"]
    assert pd.read_csv(tmp_path / "out/tables/ranking.csv")["mean"].item() == pytest.approx(values["f1"])
    assert "protocol deepcrack_pooled: Counts of all images added up" in (tmp_path / "out/report.md").read_text()


def test_the_ranking_has_mean_ranks_and_wins_of_the_runs(study, runs):
    ranking = table(study, "ranking").set_index("method")
    expected = runs.groupby("loss")["iou"].agg(["std", "count"])
    expected["mean"] = runs.groupby(["loss", "fold"])["iou"].mean().groupby("loss").mean()  # seeds within a fold first
    assert list(ranking.index) == list(expected["mean"].sort_values(ascending=False).index)
    assert ranking["mean"].to_dict() == pytest.approx(expected["mean"].to_dict())
    assert ranking["std"].to_dict() == pytest.approx(expected["std"].to_dict())
    assert ranking["n"].to_dict() == expected["count"].to_dict()
    assert ((ranking["low"] < ranking["mean"]) & (ranking["mean"] < ranking["high"])).all()
    complete = runs.pivot(index=["seed_everything", "fold"], columns="loss", values="iou").dropna()
    assert len(complete) == 9
    folds = complete.groupby(level="fold").mean()
    assert ranking["rank"].to_dict() == pytest.approx(folds.rank(axis=1, ascending=False).mean().to_dict())
    wins = folds.idxmax(axis=1).value_counts()
    assert set(ranking["units"]) == {5}
    assert ranking["wins"].to_dict() == {method: wins.get(method, 0) for method in LEVELS}


def test_comparisons_are_paired_by_fold_and_seed_and_averaged_within_folds(study, runs):
    found = table(study, "comparisons").set_index(["better", "worse"])
    wide = runs.pivot(index=["seed_everything", "fold"], columns="loss", values="iou")
    for (better, worse), row in found.iterrows():
        gain = (wide[better] - wide[worse]).dropna()
        assert row["pairs"] == len(gain) == (9 if "bce" in (better, worse) else 10)
        folds = gain.groupby(level="fold").mean()
        assert row["units"] == len(folds) == 5
        assert row["difference"] == pytest.approx(folds.mean())
        assert row["superiority"] == pytest.approx((folds > 0).mean())
        half = stats.t.ppf(1 - 0.025 / 6, 4) * np.sqrt((1 / 5 + 1 / 4) * folds.var())  # six comparisons, five folds
        assert row["high"] - row["low"] == pytest.approx(2 * half)
    assert found.loc[("focal", "bce"), "shown"] == "yes"
    assert len(found) == 6


def test_comparisons_over_images_pool_the_counts_of_common_blocks(study):
    found = table(study, "comparisons").set_index(["better", "worse"]).loc[("focal", "bce")]
    pooled = {}
    for loss in ("focal", "bce"):
        parts = []
        for path in study.glob(f"runs/loss={loss},*/per_image.csv"):
            if path.parent.name.replace(loss, "bce") != GONE:
                parts.append(pd.read_csv(path))
        means = pd.concat(parts).groupby("id")[["tp", "fp", "fn"]].mean().sum()
        pooled[loss] = means["tp"] / means.sum()
    assert found["images_difference"] == pytest.approx(pooled["focal"] - pooled["bce"])
    assert (found["images"], found["photos"]) == (30, 10)
    assert 0 < found["images_low"] < found["images_difference"] < found["images_high"]


def test_convergence_has_superiority_and_epochs_to_the_target(study):
    curves = {}
    for path in study.glob("runs/*/metrics.csv"):
        labels = dict(part.split("=") for part in path.parent.name.split(","))
        curve = pd.read_csv(path)["val/iou"]
        curves |= {(labels["loss"], labels["seed_everything"], labels["fold"], e): v for e, v in curve.items()}
    wide = pd.Series(curves).unstack(0)
    shares = wide.dropna().idxmax(axis=1).value_counts(normalize=True)
    best = wide.groupby(level=[0, 1]).max()
    target = 0.95 * best.mean().max()
    found = table(study, "convergence").set_index("method")
    for method, row in found.iterrows():
        assert row["superiority"] == pytest.approx(shares.get(method, 0))
        assert row["target"] == pytest.approx(target)
        needed = [
            part[part >= target].index[0][2] + 1
            for _, part in wide[method].dropna().groupby(level=[0, 1])
            if (part >= target).any()
        ]
        assert row["reached"] == len(needed)
        assert row["epochs"] == pytest.approx(np.median(needed) if needed else np.nan, nan_ok=True)


def test_an_unfinished_study_lists_its_missing_runs(study):
    for name in ("report.html", "report.md"):
        text = unescape((study / "report" / name).read_text())
        assert "Unfinished: 1 of 40 runs are missing." in text
        assert f"{GONE} (failed: error: no space left)" in text


def test_the_page_is_self_contained(study):
    text = page(study)
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text) == []
    assert "Four losses" in text
    assert re.findall(r"url\(|@import|fetch\(|XMLHttp", text) == []
    assert len(re.findall(r"<img ", text)) == len(re.findall(r'<img [^>]*alt="[^"]+"', text)) == 4


def test_every_table_and_figure_is_written_in_every_format(study):
    on_page = set(re.findall(r'<table id="table-(\w+)"', page(study)))
    assert on_page == {
        "ranking",
        "comparisons",
        "metrics",
        "convergence",
        "worst_images",
        "costs",
        "environment",
        "runs",
    }
    for ending in ("csv", "tex"):
        assert {path.stem for path in (study / "report/tables").glob(f"*.{ending}")} == on_page
    tex = (study / "report/tables/runs.tex").read_text()
    assert r"seed\_everything=1" in tex
    assert tex.count(r"\\") == 39 + 1
    markdown = (study / "report/report.md").read_text()
    for link in re.findall(r"\]\((figures/[^)]+)\)", markdown):
        assert (study / "report" / link).stat().st_size > 1000
    drawn = {path.stem for path in (study / "report/figures").glob("*.svg")}
    assert drawn == {"paired", "critical_difference", "learning_curves"}


def test_the_page_explains_its_numbers(study):
    text = unescape(page(study))
    assert (
        "IoU (test/iou, higher is better): pooled over all pixels of a run's test images, at the checkpoint's threshold"
        in text
    )
    assert "n = 5 folds x 2 seeds" in text
    assert "Folds share training images" in text


def test_the_same_runs_give_the_same_bytes(study, tmp_path, capsys):
    assert main(["report", str(study), "--title", "Four losses", "--out", str(tmp_path)]) == 0
    assert "Unfinished: 1 of 40 runs are missing." in capsys.readouterr().err
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    for file in files:
        assert (tmp_path / file).read_bytes() == (study / "report" / file).read_bytes(), file


def test_a_kfold_folder_is_one_method_with_an_interval(tmp_path, capsys):
    runs = []
    for fold in range(5):
        write_run(tmp_path / "cv" / f"fold_{fold}", "dice", 0.6 + 0.01 * fold, fold=fold, epochs=2)
        runs.append(PlannedRun(f"fold_{fold}", f"fold_{fold}", {"fold": fold}, {"data.fold": fold}))
    Study(tmp_path / "cv").write_plan(StudyPlan("kfold", {}, {"fold": list(range(5))}, runs), {})
    assert main(["report", str(tmp_path / "cv")]) == 0
    assert re.search(r"cv: IoU 0\.\d+ \(95 % interval 0\.\d+ to 0\.\d+, n = 5 folds\)", capsys.readouterr().out)
    assert not (tmp_path / "cv/report/tables/comparisons.csv").exists()


def test_a_caution_says_that_repeats_divide_the_same_images(tmp_path):
    runs = []
    for repeat in range(2):
        for fold in range(2):
            name = f"repeat_{repeat}/fold_{fold}"
            write_run(tmp_path / name, "dice", 0.6, seed=repeat, fold=fold, epochs=2)
            runs.append(PlannedRun(name, name, {"repeat": repeat, "fold": fold}, {"data.fold": fold}))
    Study(tmp_path).write_plan(StudyPlan("kfold", {}, {"repeat": [0, 1], "fold": [0, 1]}, runs), {})
    assert main(["report", str(tmp_path)]) == 0
    assert "Repeats divide the same photos" in (tmp_path / "report/report.md").read_text()


def test_run_folders_are_named_by_the_differences_of_their_configurations(tmp_path):
    made = [
        write_run(tmp_path / "a", "dice", 0.6, seed=1, epochs=2),
        write_run(tmp_path / "b", "dice", 0.6, seed=2, epochs=2),
        write_run(tmp_path / "c", "tversky", 0.65, seed=1, options={"alpha": 0.3}, epochs=2),
        write_run(tmp_path / "d", "tversky", 0.7, seed=1, options={"alpha": 0.7}, epochs=2),
        write_run(tmp_path / "e", "bce", 0.5, tested=False, epochs=2),
    ]
    assert main(["report", *map(str, made), "--out", str(tmp_path / "out")]) == 0
    ranking = pd.read_csv(tmp_path / "out/tables/ranking.csv").set_index("method")
    assert set(ranking.index) == {"dice", "tversky, alpha=0.3", "tversky, alpha=0.7"}
    assert ranking.loc["dice", ["n", "design"]].tolist() == [2, "2 seeds"]
    assert "e (not tested)" in (tmp_path / "out/report.md").read_text()


@pytest.mark.parametrize(
    ("given", "methods"), [([], {"dice", "bce"}), (["dice"], {"batch_size=8, dice", "batch_size=auto, bce"})]
)
def test_settings_that_followed_from_the_data_make_no_methods(tmp_path, given, methods):
    """Those that were given do."""
    for loss in ("dice", "bce"):
        for fold in range(5):
            folder = write_run(
                tmp_path / loss / f"fold_{fold}", loss, {"dice": 0.6, "bce": 0.5}[loss], fold=fold, epochs=2
            )
            text = (folder / "config.yaml").read_text()
            batch = 8 if loss in given else 2 + fold
            (folder / "config.yaml").write_text(text.replace("folds: 5", f"folds: 5\n  batch_size: {batch}"))
            environment = json.loads((folder / "environment.json").read_text())
            planned = [] if loss in given else ["data.batch_size"]
            (folder / "environment.json").write_text(json.dumps(environment | {"planned": planned}))
    assert main(["report", str(tmp_path / "dice"), str(tmp_path / "bce"), "--out", str(tmp_path / "out")]) == 0
    ranking = pd.read_csv(tmp_path / "out/tables/ranking.csv").set_index("method")
    assert set(ranking.index) == methods
    assert set(ranking["n"]) == {5}


def test_runs_with_equal_configurations_are_named_by_their_folders(tmp_path):
    for name in ("x", "y"):
        write_run(tmp_path / "both" / name, "dice", 0.6, epochs=2)
    assert main(["report", str(tmp_path / "both")]) == 0
    assert set(table(tmp_path / "both", "ranking")["method"]) == {"x", "y"}


def test_runs_with_different_test_images_are_compared_only_image_by_image(tmp_path, capsys):
    """Folds over photos against folds over images: both methods scored every image once, in different folds."""
    for kind, level, images in (("photo", 0.6, 30), ("image", 0.63, 30)):
        for fold in range(5):
            folder = write_run(tmp_path / kind / f"fold_{fold}", "dice", level, fold=fold, images=images, epochs=2)
            text = (folder / "config.yaml").read_text()
            (folder / "config.yaml").write_text(text.replace("folds: 5", f"folds: 5\n  fold_by: {kind}"))
    whole = [pd.read_csv(path) for path in sorted((tmp_path / "image").glob("*/per_image.csv"))]
    mixed = pd.concat(whole).reset_index(drop=True)
    mixed["group"] = mixed["id"]  # folds over images have one group per image
    for fold in range(5):
        mixed.iloc[fold::5].to_csv(tmp_path / "image" / f"fold_{fold}" / "per_image.csv", index=False)
    assert main(["report", str(tmp_path / "photo"), str(tmp_path / "image"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "On the 30 images (10 photos) that both were tested on" in said
    assert "image is" in said
    assert (
        "No block has runs of all methods, so there are no ranks and no wins. Runs of a block have the same repeat, fold, seed and "
        "test images." in (tmp_path / "out/report.md").read_text()
    )
    found = pd.read_csv(tmp_path / "out/tables/comparisons.csv")
    assert (found["pairs"].item(), found["images"].item()) == (0, 30)


def test_folders_with_test_results_only_give_a_shorter_report(tmp_path, capsys):
    made = [write_run(tmp_path / name, "dice", level, epochs=2) for name, level in (("a", 0.6), ("b", 0.7))]
    for folder in made:
        for name in ("config.yaml", "environment.json", "metrics.csv", "resources.csv", "protocols.json"):
            (folder / name).unlink()
        images = pd.read_csv(folder / "per_image.csv")
        images.drop(columns=["group", "tp"]).to_csv(folder / "per_image.csv", index=False)  # as with several classes
    assert main(["report", *map(str, made), "--out", str(tmp_path / "out")]) == 0
    assert "b and a: no difference is shown" in capsys.readouterr().out
    written = {path.stem for path in (tmp_path / "out/tables").glob("*.csv")}
    assert written == {"ranking", "comparisons", "metrics", "runs"}
    assert {path.stem for path in (tmp_path / "out/figures").iterdir()} == {"paired"}


@pytest.mark.parametrize(
    ("name", "key"), [("metrics.csv", "epoch"), ("resources.csv", "epoch"), ("per_image.csv", "id")]
)
def test_another_file_in_place_of_a_table_is_named(name, key, tmp_path, capsys):
    folder = write_run(tmp_path / "run", "dice", 0.6, epochs=2)
    (folder / name).write_text("seed_everything: 42\ntrainer:\n  accelerator: cpu\n")
    with pytest.raises(SystemExit) as end:
        main(["report", str(folder)])
    assert end.value.code == 2
    assert f"{name} cannot be read (ValueError: it has no column '{key}')" in capsys.readouterr().err
    assert not (folder / "report").exists()


def test_a_grid_of_two_numbers_has_a_heat_map(tmp_path):
    folder = write_grid(tmp_path / "grid", (1, 2, 4), (0.1, 0.25))
    assert main(["report", str(folder), "--metric", "test/hd95_px"]) == 0
    grid = table(folder, "grid")
    assert list(grid.columns) == ["beta", "sigma", "mean", "n"]
    assert len(grid) == 6
    best = grid.loc[grid["mean"].idxmin()]
    assert (best["beta"], best["sigma"]) == (2, 0.25)
    assert (folder / "report/figures/heat_map.svg").is_file()
    assert table(folder, "ranking")["method"][0] == "beta=2, sigma=0.25"


def test_axes_that_are_not_compared_become_part_of_the_block(tmp_path):
    runs = []
    for net, loss, seed in [(n, lo, s) for n in ("unet", "segformer", "fpn") for lo in ("dice", "bce") for s in (1, 2)]:
        name = f"net={net},loss={loss},seed_everything={seed}"
        labels = {"model.net": net, "loss": loss, "seed_everything": seed}
        runs.append(PlannedRun(name, f"runs/{name}", labels, labels))
        write_run(tmp_path / "s/runs" / name, loss, {"dice": 0.7, "bce": 0.6}[loss], seed=seed, epochs=2)
    Study(tmp_path / "s").write_plan(StudyPlan("study", {}, {}, runs), {})
    assert main(["report", str(tmp_path / "s"), "--compare", "loss"]) == 0
    ranking = table(tmp_path / "s", "ranking")
    assert list(ranking["method"]) == ["dice", "bce"]
    assert list(ranking["wins"]) == [2, 0]  # two seeds, each averaged over the nets
    assert set(ranking["design"]) == {"3 settings of net x 2 seeds"}


def test_labels_are_escaped_in_every_format(tmp_path):
    evil = "<script>alert(1)</script>|50% & a_b"
    runs = [PlannedRun(f"run{i}", f"runs/{i}", {"loss": label}, {}) for i, label in enumerate((evil, "dice"))]
    for i in range(2):
        write_run(tmp_path / "s/runs" / str(i), "dice", 0.6 + 0.1 * i, epochs=2)
    Study(tmp_path / "s").write_plan(StudyPlan("study", {}, {}, runs), {})
    assert main(["report", str(tmp_path / "s")]) == 0
    assert page(tmp_path / "s").count("<script>") == 1
    assert "alert(1)" in unescape(page(tmp_path / "s"))
    assert r"50\% \& a\_b" in (tmp_path / "s/report/tables/ranking.tex").read_text()
    assert r"\|50% & a_b" in (tmp_path / "s/report/report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: DIR"),
        (["{study}/nowhere"], "nowhere is not a folder"),
        (["{empty}"], "no run with test_metrics.json"),
        (["{study}", "--metric", "test/io"], "did you mean 'test/iou'?"),
        (["{study}", "--metric", "iou"], "give a key of test_metrics.json"),
        (["{study}", "--metric", "krasniqi/iou"], "did you mean 'krasniqi2026'?"),
        (["{study}", "--metric", "test/images"], "describes the images: give a score"),
        (["{study}", "--metric", "test/iou", "--metric", "test/iou"], "names test/iou twice"),
        (["{study}", "--compare", "los"], "did you mean 'loss'?"),
        (["{study}", "{study}"], "--out DIR"),
        (["{study}", "--metrik", "test/iou"], "--metrik"),
        (["{study}", "--target", "much"], "--target"),
        (["{study}", "--out", "{study}/study.yaml"], "is a file"),
        (["{broken}"], "cannot be read"),
    ],
)
def test_invalid_arguments_give_one_message_and_write_nothing(study, tmp_path, capsys, arguments, says):
    (tmp_path / "empty").mkdir()
    broken = write_run(tmp_path / "broken", "dice", 0.6, epochs=2)
    (broken / "test_metrics.json").write_text("{")
    before = sorted(study.rglob("*"))
    places = {"study": study, "empty": tmp_path / "empty", "broken": broken}
    with pytest.raises(SystemExit) as end:
        main(["report", *(argument.format(**places) for argument in arguments)])
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert says in said.err
    assert said.out == ""
    assert sorted(study.rglob("*")) == before
    assert not (broken / "report").exists()


def test_planned_pairs_alone_are_compared_whichever_method_is_best(study, runs, tmp_path, capsys):
    assert main(["report", str(study), "--pairs", "bce:dice", "dice:tversky", "--out", str(tmp_path / "planned")]) == 0
    found = pd.read_csv(tmp_path / "planned/tables/comparisons.csv")
    assert [frozenset(pair) for pair in zip(found["better"], found["worse"], strict=True)] == [
        frozenset({"bce", "dice"}),
        frozenset({"dice", "tversky"}),
    ]
    said = capsys.readouterr().out
    assert "dice beats bce" in said
    assert "of 2 comparisons show a difference" in said
    assert "focal" not in said
    assert "Planned comparisons." in (tmp_path / "planned/report.md").read_text()


def test_further_metrics_are_compared_each_as_a_family_of_its_own(study, tmp_path, capsys):
    """As in a report of that metric alone; its best methods may be others."""
    both, alone = tmp_path / "both", tmp_path / "alone"
    pairs = ["--pairs", "bce:dice", "dice:tversky"]
    assert main(["report", str(study), *pairs, "--metric=test/iou", "--metric=test/hd95_px", "--out", str(both)]) == 0
    said = capsys.readouterr().out
    assert main(["report", str(study), *pairs, "--metric=test/hd95_px", "--out", str(alone)]) == 0
    expected = (alone / "tables/comparisons.csv").read_bytes()
    assert (both / "tables/comparisons_test_hd95_px.csv").read_bytes() == expected
    assert (both / "tables/comparisons.csv").read_bytes() != expected
    shown = pd.read_csv(alone / "tables/comparisons.csv").query("shown == 'yes'")
    beats = [f"{one.better} beats {one.worse} by {one.difference:.1f} px HD95" for one in shown.itertuples()]
    assert beats
    assert f"test/hd95_px, 2 comparisons: {'; '.join(beats)}." in said
    assert not list((alone / "tables").glob("comparisons_*"))


def test_the_comparisons_that_a_study_planned_are_made_without_being_asked_for(tmp_path, capsys):
    """Those of a method without a run count among them; `--pairs` makes others."""
    folder = write_study(
        tmp_path / "s", {"bce": 0.5, "dice": 0.6, "focal": 0.55}, asked={"pairs": ["dice:bce", "dice:combo"]}
    )
    assert main(["report", str(folder)]) == 0
    (row,) = table(folder, "comparisons").itertuples()
    assert (row.better, row.worse) == ("dice", "bce")
    assert row.p_holm == pytest.approx(min(1, 2 * row.p))
    assert (
        "methods without a run, which count in the corrections: dice:combo" in (folder / "report/report.md").read_text()
    )
    assert main(["report", str(folder), "--pairs", "focal:bce"]) == 0
    (row,) = table(folder, "comparisons").itertuples()
    assert (row.better, row.worse, row.p_holm) == ("focal", "bce", row.p)


def test_an_unfinished_study_has_the_names_of_the_finished_one(tmp_path, capsys):
    """All runs of one learning rate are missing: the pair that was planned at the other one is compared by its name."""
    folder, runs = tmp_path / "s", []
    for loss, lr, seed in product(["dice", "bce"], [0.1, 0.01], [1, 2]):
        name, labels = f"{loss}_{lr}_{seed}", {"loss": loss, "lr": lr, "seed_everything": seed}
        runs.append(PlannedRun(name, f"runs/{name}", labels, {}))
        if lr == 0.1:
            write_run(folder / "runs" / name, loss, 0.5 + 0.1 * (loss == "dice") + 0.01 * seed, seed=seed)
    axes = {"loss": ["dice", "bce"], "lr": [0.1, 0.01], "seed_everything": [1, 2]}
    pair = "dice, lr=0.1:bce, lr=0.1"
    Study(folder).write_plan(StudyPlan("study", {"arguments": [], "pairs": [pair]}, axes, runs), {})
    assert main(["report", str(folder)]) == 0
    found = table(folder, "comparisons")
    assert [f"{row['better']}:{row['worse']}" for _, row in found.iterrows()] == [pair]
    assert "without a run" not in page(folder)


def test_planned_comparisons_without_any_run_are_not_replaced_by_others(tmp_path, capsys):
    folder = write_study(tmp_path / "s", {"bce": 0.5, "dice": 0.6}, asked={"pairs": ["combo:focal"]})
    assert main(["report", str(folder)]) == 0
    assert not (folder / "report/tables/comparisons.csv").exists()
    assert "beats" not in capsys.readouterr().out
    assert "without a run, which count in the corrections: combo:focal" in (folder / "report/report.md").read_text()


def test_two_losses_whose_parameters_have_the_same_names_are_no_grid(tmp_path):
    """Each has one pair of values; a grid over two nets has them all."""
    for name, by_text in (("losses", True), ("nets", False)):
        runs = []
        for text, delta, gamma in product("ab", (0.6, 0.7), (0.5, 0.75)):
            if by_text and (delta, gamma) != {"a": (0.6, 0.5), "b": (0.7, 0.75)}[text]:
                continue
            run = f"{text},delta={delta},gamma={gamma}"
            overrides = {"model.loss": text, "model.loss.delta": delta, "model.loss.gamma": gamma}
            runs.append(PlannedRun(run, f"runs/{run}", {"text": text, "delta": delta, "gamma": gamma}, overrides))
            write_run(tmp_path / name / "runs" / run, text, 0.6, epochs=2)
        Study(tmp_path / name).write_plan(StudyPlan("study", {}, {}, runs), {})
        assert main(["report", str(tmp_path / name)]) == 0
        assert (tmp_path / name / "report/tables/grid.csv").exists() != by_text


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (["bce"], "--pairs is 'bce': give two methods with a colon between them"),
        (["bce:dise"], "--pairs names the method 'dise'; did you mean 'dice'?"),
        (["bce:bce"], "--pairs has bce:bce twice, or a method with itself"),
        (["bce:dice", "dice:bce"], "--pairs has bce:dice twice, or a method with itself"),
    ],
)
def test_pairs_that_cannot_be_compared_are_one_message(study, tmp_path, capsys, pairs, expected):
    with pytest.raises(SystemExit) as end:
        main(["report", str(study), "--pairs", *pairs, "--out", str(tmp_path / "planned")])
    assert end.value.code == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "planned").exists()
