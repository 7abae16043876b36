"""Studies in real processes, which takes minutes: random kills, a full disk, missing data, two starts at once, W&B."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from offline_runs import Offline
from support import ROOT
from test_kfold import TABLES, TINY

import cracklab
from cracklab import run_folder
from cracklab.cli import main
from cracklab.study.folder import Study
from cracklab.synthetic.draw import draw

pytestmark = pytest.mark.slow

GRID = """
study:
  grid:
    loss:
      bce: {model.loss: bce}
      dice: {model.loss: dice}
  folds: 2
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
EPOCHS = ["--trainer.max_epochs=6", "--data.layout.train=60"]


def start(*call: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cracklab", *call],
        env=ENVIRONMENT | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def grid(tmp_path) -> str:
    path = tmp_path / "grid.yaml"
    path.write_text(GRID)
    return str(path)


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES if (folder / name).is_file()}


def test_tables_are_the_same_bytes_after_ten_random_kills(tmp_path):
    """SIGKILL hits the study's process, or a run's."""
    call = ["kfold", *TINY, *EPOCHS, "--folds=2", "--jobs=2"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    started = time.monotonic()
    process = start(*call, "--out", str(whole))
    output, _ = process.communicate()
    assert process.returncode == 0, output
    seconds = time.monotonic() - started
    rng, kills = random.Random(7), 0
    while kills < 10:
        cut = tmp_path / f"cut {kills}"
        kills += kill_until_done([*call, "--out", str(cut)], rng, seconds)
        assert tables(whole) == tables(cut)
        assert len(tables(cut)) == len(TABLES)
        assert not list(cut.rglob(".*"))


def kill_until_done(call: list[str], rng: random.Random, seconds: float) -> int:
    """Start and kill a study until it finishes; return the number of kills."""
    for kills in range(100):
        process = start(*call)
        try:
            process.communicate(timeout=rng.uniform(0.05, 0.6) * seconds)
        except subprocess.TimeoutExpired:
            lists = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/children")]
            children = [int(pid) for pid in " ".join(lists).split()]
            # every third kill hits only a run, which then counts as failed until the next start
            only_run = children and kills % 3 == 2
            os.kill(rng.choice(children) if only_run else process.pid, signal.SIGKILL)
            process.communicate()
            if not only_run:
                time.sleep(1)
                assert all("zombie" in status(pid) for pid in children), "runs outlived their study"
        if process.returncode == 0:
            return kills
    pytest.fail("the study did not finish after 100 starts")


def status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "zombie"


def test_two_starts_at_once_perform_every_run_once(tmp_path, grid):
    call = ["study", *TINY, "--config", grid, "--out", str(tmp_path / "study")]
    both = [start(*call), start(*call)]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    study = Study(tmp_path / "study")
    assert len(study.finished()) == 4
    for one in study.plan.runs:
        assert study.log(one).read_text().count("$ cracklab fit") == 1


def test_ctrl_c_ends_the_run_too(tmp_path, grid):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore SIGINT
    call = ["study", *TINY, *EPOCHS, "--config", grid, "--out", str(tmp_path / "study")]
    process = start(*call)
    study = Study(tmp_path / "study")
    while process.poll() is None and not list(study.folder.glob("runs/*/config.yaml")):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130
    assert output.strip().endswith("stopped: run the same command again to resume")
    assert "Traceback" not in output
    with study.lock(study.plan.runs[0].name) as lock:
        assert lock is not None, "the run outlived its study"
    assert study.status(study.plan.runs[0]).state == "new"


def write_folders(root: Path) -> Path:
    """Write ten photos with masks."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for i in range(10):
        image, mask = draw(i, size=(32, 32))
        cv2.imwrite(str(root / "images" / f"p{i}.png"), image)
        cv2.imwrite(str(root / "masks" / f"p{i}.png"), (mask > 0).astype(np.uint8) * 255)
    return root


def test_missing_data_is_one_message_and_the_study_resumes_when_it_is_back(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
    data = write_folders(tmp_path / "data")
    own = [argument for argument in TINY if not argument.startswith("--data.layout")]
    call = ["kfold", *own, "--data.layout=folders", f"--data.root={data}", "--folds=2", "--out", str(tmp_path / "out")]
    assert main([*call, "--shard=1/2"]) == 0
    data.rename(tmp_path / "elsewhere")
    with pytest.raises(SystemExit) as end:
        main(call)
    assert end.value.code == 2
    shown = capfd.readouterr().err
    assert f"{data}/images/p0.png gone" in shown
    assert "restore these files" in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "out" / "fold_1" / run_folder.CONFIG).exists()
    (tmp_path / "elsewhere").rename(data)
    assert main(call) == 0
    assert len(list(csv.DictReader((tmp_path / "out" / "out_of_fold.csv").open()))) == 10


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mount needs root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_one_message_and_no_file_is_half_written(small_disk, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
    out, ballast = small_disk / "out", small_disk / "ballast"
    wide = ["--model.net.width=200"]  # checkpoints of 200 kB
    call = ["kfold", *TINY, *wide, "--folds=2", "--out", str(out)]
    ballast.write_bytes(bytes(1_850_000))
    with pytest.raises(SystemExit) as end:
        main(call)
    assert end.value.code == 1
    shown = capfd.readouterr().err
    assert "No space left on device" in shown
    assert f"the disk of {out} is full: free some space, and run the same command again" in shown
    assert not list(out.rglob(".*"))
    for path in out.rglob("*.csv"):
        assert path.read_text().endswith("\n")
    ballast.unlink()
    assert main(call) == 0
    assert (out / "out_of_fold.csv").is_file()
    shutil.rmtree(out)


def test_a_run_in_two_processes_fits_and_tests_in_both(tmp_path):
    """Lightning starts the same command again for the second process."""
    out = tmp_path / "out"
    call = [
        "kfold",
        *TINY,
        "--folds=2",
        "--shard=1/2",
        "--trainer.devices=2",
        "--trainer.strategy=ddp",
        "--out",
        str(out),
    ]
    process = start(*call)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert '"processes": 2' in (out / "fold_0" / run_folder.ENVIRONMENT).read_text()
    folds = json.loads((out / "folds.json").read_text())["images"]
    ids = [row["id"] for row in csv.DictReader((out / "fold_0" / run_folder.PER_IMAGE).open())]
    assert ids == sorted(name for name, image in folds.items() if image["fold"] == 0)


def test_wandb_shows_one_group_with_a_job_per_fold_and_a_summary(tmp_path):
    free = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("WANDB_")}
    call = ["kfold", *TINY, "--folds=2", "--wandb.mode=offline", "--out", str(tmp_path / "cross")]
    subprocess.run([sys.executable, "-m", "cracklab", *call], env=free | {"NETRC": str(tmp_path / "netrc")}, check=True)
    out, of_all = tmp_path / "cross", f"{tmp_path.name}/cross"
    for fold in range(2):
        found = Offline(out / f"fold_{fold}")
        ((name, group, job_type, tags),) = found.identities
        assert (name, group, job_type) == (f"quickstart combo seed 42 fold {fold}/2", of_all, "fold")
        assert tags == ("combo", "TinyNet", "synthetic", f"cracklab {cracklab.__version__}")
        assert found.config["fold"] == found.summary["fold"] == fold
        assert len(found.curve("val/iou")) == 2
        metrics = json.loads((out / f"fold_{fold}" / run_folder.TEST_METRICS).read_text())
        assert found.curve("test/iou") == pytest.approx([metrics["test/iou"]])
    summary = Offline(out)
    ((name, group, job_type, _),) = summary.identities
    assert (name, group, job_type) == ("cross summary", of_all, "summary")
    rows = {row["metric"]: row for row in csv.DictReader((out / "summary.csv").open())}
    for key in ("mean", "std", "low", "high"):
        assert summary.summary[f"test/iou/{key}"] == pytest.approx(float(rows["test/iou"][key]))
    columns, data, _ = summary.table("summary")
    assert columns == ["metric", "n", "mean", "std", "low", "high"]
    assert len(data) == len(rows)


def test_each_repeat_has_other_folds_and_scores_every_image_once(tmp_path):
    out = tmp_path / "out"
    process = start("kfold", *TINY, "--folds=2", "--repeats=2", "--trainer.max_epochs=1", "--out", str(out))
    output = process.communicate()[0]
    assert process.returncode == 0, output
    held_out = []
    for repeat in range(2):
        rows = list(csv.DictReader((out / f"repeat_{repeat}" / "out_of_fold.csv").open()))
        held_out.append({row["id"]: row["fold"] for row in rows})
        assert len(held_out[repeat]) == len(rows) == 14  # 10 to train and 4 to validate
    assert held_out[0].keys() == held_out[1].keys()
    assert held_out[0] != held_out[1]
    cells = json.loads((out / "summary.json").read_text())["cells"]
    assert [len(cell["runs"]) for cell in cells] == [4]
    assert main(["report", str(out)]) == 0
    assert "Repeats divide the same photos" in (out / "report" / "report.md").read_text()
