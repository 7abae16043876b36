"""`cracklab kfold` from the command line: killed, started again, and compared with the same runs by hand."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
import yaml
from support import ROOT, SMALLEST, run_process

from cracklab import run_folder
from cracklab.cli import main
from cracklab.study.aggregate import aggregate
from cracklab.study.command import plan_study
from cracklab.study.folder import Study
from cracklab.study.inputs import read_inputs
from cracklab.study.plan import as_arguments
from cracklab.synthetic.draw import draw
from cracklab.training.command import CrackCLI
from cracklab.training.planning import plan_run

TINY = [*SMALLEST, "--panels.images=0"]
TABLES = ("runs.csv", "summary.json", "summary.csv", "summary.md", "out_of_fold.csv")


@pytest.fixture(scope="module")
def kfold(tmp_path_factory):
    """Two folds; the command was killed in the second epoch of the last fold, then started again."""
    out = tmp_path_factory.mktemp("kfold") / "cross"
    marker = out.parent / "killed"
    call = ["kfold", *TINY, "--folds", "2", "--out", str(out), "--trainer.callbacks=support.KillStudyOnce"]
    call += ["--trainer.callbacks.folder=fold_1", f"--trainer.callbacks.marker={marker}"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    assert run_process(call, environment) == -signal.SIGKILL
    states = [Study(out).status(one).state for one in Study(out).plan.runs]
    assert states == ["finished", "new"]
    assert not (out / "summary.json").exists()
    first = (out / "fold_0" / run_folder.TEST_METRICS).stat().st_mtime_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", environment["PYTHONPATH"])
        assert main(call) == 0
    assert (out / "fold_0" / run_folder.TEST_METRICS).stat().st_mtime_ns == first, "a finished fold ran again"
    assert marker.exists(), "the run survived the kill of its parent"
    return out, call


@pytest.fixture(scope="module")
def by_hand(kfold, tmp_path_factory):
    """The same folds as ordinary runs, without folds.json, never killed; their folder has the study's other files."""
    out, _ = kfold
    other = tmp_path_factory.mktemp("by hand") / "cross"
    for fold in range(2):
        folder = other / f"fold_{fold}"
        fold_of = [f"--data.fold={fold}", "--data.folds=2"]
        assert main(["fit", *TINY, *fold_of, "--out", str(folder)]) == 0
        assert (
            main(["test", "--config", str(folder / run_folder.CONFIG), "--ckpt_path", str(folder / run_folder.BEST)])
            == 0
        )
    for name in ("study.yaml", "folds.json", "jobs"):
        copy = shutil.copytree if (out / name).is_dir() else shutil.copy
        copy(out / name, other / name)
    aggregate(Study(other))
    return other


@pytest.mark.slow
def test_a_fold_by_hand_gives_the_same_numbers(kfold, by_hand):
    for fold in range(2):
        for name in (run_folder.TEST_METRICS, run_folder.PER_IMAGE, run_folder.PROTOCOLS):
            assert (kfold[0] / f"fold_{fold}" / name).read_bytes() == (by_hand / f"fold_{fold}" / name).read_bytes()


@pytest.mark.slow
def test_tables_are_the_same_bytes_as_without_a_kill(kfold, by_hand):
    for name in TABLES:
        assert (kfold[0] / name).read_bytes() == (by_hand / name).read_bytes()


def test_the_killed_run_resumed_from_its_last_epoch(kfold):
    log = (kfold[0] / "jobs" / "fold_1.log").read_text()
    assert [line.count("--ckpt_path") for line in log.splitlines() if line.startswith("$ cracklab fit")] == [0, 1]
    assert [row["epoch"] for row in csv.DictReader((kfold[0] / "fold_1" / run_folder.METRICS).open())] == ["0", "1"]


def test_no_half_written_file_is_left(kfold):
    assert not [path for path in kfold[0].rglob(".*")]


def test_out_of_fold_rows_hold_every_image_once_without_the_test_set(kfold):
    out, _ = kfold
    rows = list(csv.DictReader((out / "out_of_fold.csv").open()))
    ids = [row["id"] for row in rows]
    assert next(iter(rows[0])) == "id"
    assert ids == sorted([f"train-{i:05d}" for i in range(10)] + [f"val-{i:05d}" for i in range(4)])
    folds = json.loads((out / "folds.json").read_text())["images"]
    assert all(int(row["fold"]) == folds[row["id"]]["fold"] for row in rows)
    assert folds["test-00000"]["fold"] is None
    text = (out / "out_of_fold.csv").read_text() + "".join((out / name).read_text() for name in TABLES)
    assert str(out) not in text
    assert os.uname().nodename not in text


def test_every_fold_is_an_ordinary_run(kfold):
    for fold in range(2):
        config = yaml.safe_load((kfold[0] / f"fold_{fold}" / run_folder.CONFIG).read_text())
        assert config["data"]["fold"] == fold
        assert config["data"]["folds"] == 2


def test_a_finished_study_runs_nothing_again_and_does_not_import_pytorch(kfold, capsys):
    out, call = kfold
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and "fold_" in str(path)}
    program = "import sys; from cracklab.cli import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program, *call], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 finished, 0 to do" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_other_arguments_for_the_same_folder_are_refused(kfold, capsys):
    out, call = kfold
    before = (out / "study.yaml").read_bytes()
    with pytest.raises(SystemExit) as end:
        main([*call, "--model.loss=dice"])
    assert end.value.code == 2
    assert re.search(r"\+arguments: \d+: --model\.loss=dice\n", capsys.readouterr().err)
    assert (out / "study.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model.loss", "distance_awre"], ["distance_awre", "distance_aware"]),
        (["--model.loss", "distance_aware", "--model.loss.sigma", "-1"], ["sigma", "-1"]),
        (["--data.batch_sise=4"], ["'data.batch_sise'", "'data.batch_size'"]),  # nearest to an option of fit
        (["--jbos=2"], ["'jbos'", "did you mean 'jobs'"]),  # nearest to an option of kfold
        (["--fold", "3"], ["'fold'", "did you mean 'folds'"]),
        (["--cpus-per-jobs=2"], ["'cpus_per_jobs'", "did you mean 'cpus_per_job'"]),
        (["--data.layout=folders", "--data.root=/nowhere/at/all"], ["/nowhere/at/all"]),
        (["--folds", "20"], ["14 photos", "20"]),
        (["--folds", "sources"], ["at least two sources"]),
        (["--data.fold=1"], ["--data.fold"]),
    ],
)
def test_an_invalid_call_is_one_message_before_anything_is_written(capsys, tmp_path, arguments, words):
    with pytest.raises(SystemExit) as end:
        main(["kfold", *TINY, *arguments, "--out", str(tmp_path / "out")])
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert message.count("error: ") == 1
    assert "Traceback" not in message
    assert all(word in message for word in words), message
    assert not list(tmp_path.iterdir())


def test_each_source_is_held_out_once(capsys, tmp_path, monkeypatch):
    for number, source in enumerate(("north", "south", "west")):
        write_photos(tmp_path / source, source, 6 * number)
    monkeypatch.chdir(tmp_path)
    sources = [{"name": name, "root": name, "layout": "folders"} for name in ("north", "south", "west")]
    layout = {"class_path": "sources", "init_args": {"sources": sources}}
    config = tmp_path / "sources.yaml"
    config.write_text(yaml.safe_dump({"data": {"layout": layout, "root": str(tmp_path)}}))
    own = [argument for argument in TINY if not argument.startswith("--data.layout")]
    call = ["kfold", *own, "--config", str(config), "--folds=sources", "--out", str(tmp_path / "out"), "--dry-run"]
    assert main(call) == 0
    assert "3 folds = 3 runs" in capsys.readouterr().out
    planner = plan_study("kfold", read_inputs("kfold", call[1:-4], "sources"))
    planner.fold_writers["folds.json"](tmp_path / "folds.json")
    images = json.loads((tmp_path / "folds.json").read_text())["images"]
    assert {name.rstrip("012345"): one["fold"] for name, one in images.items()} == {"north": 0, "south": 1, "west": 2}
    assert planner.plan.runs[2].overrides == {
        "data.fold": 2,
        "data.folds": 3,
        "data.fold_by": "source",
        "data.folds_file": "folds.json",
    }


def test_an_axis_that_changes_the_photos_gets_its_own_folds(tmp_path):
    write_photos(tmp_path / "data", "wall-")
    grid = {"data.group": ["(.+)", "wall-(.)"], "data.batch_size": [2, 4], "seed_everything": [1, 2]}
    config = tmp_path / "grid.yaml"
    config.write_text(yaml.safe_dump({"study": {"grid": grid, "folds": 2}}, sort_keys=False))
    own = [argument for argument in TINY if not argument.startswith("--data.layout")]
    call = [*own, "--config", str(config), "--data.layout=folders", f"--data.root={tmp_path / 'data'}"]
    planner = plan_study("study", read_inputs("study", call))
    files = [run.overrides["data.folds_file"] for run in planner.plan.runs]
    assert files == ["folds_data.group=.+.json"] * 8 + ["folds_data.group=wall-_..json"] * 8
    assert sorted(planner.fold_writers) == sorted(set(files))


def write_photos(root, stem: str, first: int = 0) -> None:
    """Write six photos with masks."""
    for i in range(6):
        write_photo(root, f"{stem}{i}", first + i)


def write_photo(root, name: str, number: int, size: tuple[int, int] = (32, 32)) -> None:
    """Write a photo with its mask."""
    image, mask = draw(number, size=size)
    for kind, picture in (("images", image), ("masks", (mask > 0).astype(np.uint8) * 255)):
        (root / kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / kind / f"{name}.png"), picture)


KEYS = ("data.batch_size", "data.train_crop", "data.repeat", "trainer.max_epochs")


def planned_settings(call, runs):
    """The settings that follow from the data in each run, which fit chooses by itself."""
    found = []
    cli = CrackCLI("fit", call)
    for run in runs:
        assert not run.overrides.keys() & set(KEYS)
        own = {key: value for key, value in run.overrides.items() if key != "data.folds_file"}
        cli.build([*call, *as_arguments(own)])
        cli.datamodule.setup("fit")
        plan_run(cli.config["fit"], cli.config_init["fit"].trainer, cli.datamodule)
        found.append(tuple(cli.config["fit"][key] for key in KEYS))
    return found


AUTO = [
    *(argument for argument in TINY if not argument.startswith(("--data.layout", "--trainer.max_epochs"))),
    "--data.batch_size=auto",
    "--trainer.max_epochs=null",
]


def test_settings_that_follow_from_the_data_are_the_same_in_all_folds_of_all_repeats(tmp_path):
    """The fold that holds out the only large photo would choose a larger batch, and the fold of four photos more repetitions."""
    write_photos(tmp_path, "wall-")
    write_photo(tmp_path, "wide", 9, (448, 448))
    call = [*AUTO, "--data.layout=folders", f"--data.root={tmp_path}", "--data.group=(.+)", "--data.train_crop=null"]
    runs = plan_study("kfold", read_inputs("kfold", call, 2, repeats=2)).plan.runs
    assert len(runs) == 4
    # of 7 photos half, less a fifth for validation: 2 in training, for 30 batches of 2
    assert planned_settings(call, runs) == [(2, None, 30, 50)] * 4


@pytest.mark.parametrize("given", [[], ["--data.repeat=2"]])
def test_a_fold_that_is_left_with_few_images_takes_as_many_steps_as_the_others(tmp_path, given):
    """Eighteen of the 24 images are of one photo: a training without them has three images, the others eighteen."""
    for number in range(24):
        write_photo(tmp_path, f"wall-{number}" if number < 18 else f"photo{chr(97 + number)}", number)
    call = [
        *AUTO,
        *given,
        "--data.layout=folders",
        f"--data.root={tmp_path}",
        "--data.group=(wall|.+)",
        "--data.batch_size=4",
    ]
    runs = plan_study("kfold", read_inputs("kfold", call, 3)).plan.runs
    images, steps = [], []
    cli = CrackCLI("fit", call)
    for run in runs:
        cli.build([*call, f"--data.fold={run.overrides['data.fold']}", "--data.folds=3"])
        cli.datamodule.setup("fit")
        plan_run(cli.config["fit"], cli.config_init["fit"].trainer, cli.datamodule)
        images.append(len(cli.datamodule.splits.train))
        steps.append(cli.config["fit"].trainer.max_epochs * len(cli.datamodule.train_dataloader()))
    assert min(images) <= 3
    assert max(images) >= 18
    assert all(number >= 1500 for number in steps)


@pytest.mark.parametrize("length", [["--trainer.max_epochs=7"], [], ["--data.repeat=2"]])
def test_the_printed_plan_of_uneven_folds_holds_for_each_of_them(tmp_path, capsys, length):
    """Ten of fifteen images are of one photo. The oracle is the plan that `fit` makes of each fold by itself."""
    for number in range(15):
        write_photo(tmp_path, f"wall-{number}" if number < 10 else f"photo{chr(97 + number)}", number, (32, 32))
    call = [*AUTO, "--data.layout=folders", f"--data.root={tmp_path}", "--data.group=(wall|.+)", *length]
    plan_study("kfold", read_inputs("kfold", call, 3))
    first, second, *_ = capsys.readouterr().out.splitlines()
    cli, plans = CrackCLI("fit", call), []
    for fold in range(3):
        cli.build([*call, f"--data.fold={fold}", "--data.folds=3"])
        cli.datamodule.setup("fit")
        plans.append(plan_run(cli.config["fit"], cli.config_init["fit"].trainer, cli.datamodule))
    train, steps = (sorted({getattr(plan, key) for plan in plans}) for key in ("train", "steps"))
    assert len(train) > 1
    assert first.startswith(f"plan: {train[0]} to {train[-1]} training images of 32 x 32 px")
    assert second.startswith(
        "  " + " to ".join(f"{number:,}" for number in dict.fromkeys((steps[0], steps[-1]))) + " steps in "
    )


def test_folds_by_source_follow_from_their_own_data(tmp_path, capsys):
    """With fold 0, the net is trained on the large photos alone, with fold 1 on the small ones."""
    write_photos(tmp_path / "small", "s")
    for number in range(3):
        write_photo(tmp_path / "south", f"t{number}", 20 + number, (384, 352))
    sources = [{"name": name, "root": name, "layout": "folders"} for name in ("small", "south")]
    layout = json.dumps({"class_path": "sources", "init_args": {"sources": sources}})
    call = [*AUTO, f"--data.layout={layout}", f"--data.root={tmp_path}"]
    runs = plan_study("kfold", read_inputs("kfold", call, "sources")).plan.runs
    (batch, crop, *_), small = planned_settings(call, runs)
    assert (batch, crop) == (2, 256)
    assert small == (4, None, 30, 50)
    lines = capsys.readouterr().out.splitlines()
    few = "only 1 to 2 validation images to choose the epoch and the threshold by: raise data.val_fraction for more"
    assert [line for line in lines if line.startswith(("plan", "  "))] == [
        "plan: 2 to 4 training images of 32 x 32 to 352 x 384 px, random crops of 256 px or none, batches of 2 to 4",
        "  1,500 steps in 50 epochs of 30 times each image, validated 50 times",
        f"  {few}",
    ]


def test_a_dry_run_prints_the_plan_and_writes_nothing(capsys, tmp_path):
    assert main(["kfold", *TINY, "--folds=3", "--repeats=2", "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "2 repeats x 3 folds = 6 runs; 0 finished, 6 to do" in shown
    assert "repeat_1/fold_2 new" in shown
    assert not list(tmp_path.iterdir())
