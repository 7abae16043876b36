"""What a study must find as it left it: its data, and the files of its finished runs."""

import csv
import json
import os
import shutil

import pytest
from support import ROOT
from test_kfold import TABLES, TINY, write_photos

from cracklab import run_folder
from cracklab.cli import main
from cracklab.errors import RunError
from cracklab.study.aggregate import aggregate
from cracklab.study.folder import PlannedRun, RunStatus, Study, StudyPlan
from cracklab.study.integrity import check_finished, kept_files, refuse_changed_data, write_data
from cracklab.study.worker import perform


@pytest.fixture
def study(tmp_path):
    """A study of two finished runs on three photos."""
    write_photos(tmp_path / "data", "wall-")
    found = Study(tmp_path / "study")
    runs = [PlannedRun(name, f"runs/{name}", {"a": name}, {"model.loss": name}) for name in ("bce", "dice")]
    write_data(found, map(str, (tmp_path / "data").rglob("*.png")))
    found.write_plan(StudyPlan("study", {"arguments": []}, {"a": ["bce", "dice"]}, runs), {})
    for run in runs:
        folder = found.path(run)
        (folder / "checkpoints").mkdir(parents=True)
        for name in (run_folder.BEST, run_folder.LAST, run_folder.CONFIG):
            (folder / name).write_text(f"{run.name} {name}")
        (folder / run_folder.TEST_METRICS).write_text('{"test/iou": 0.5}')
        (folder / run_folder.PROTOCOLS).write_text("{}")
        (folder / run_folder.PER_IMAGE).write_text("id,iou\nwall-0,0.5\n")
        found.write_status(run, RunStatus("finished", 5.0, files=kept_files(folder)))
    return found


def test_changed_and_missing_data_is_named_and_a_copy_of_it_is_accepted(study, tmp_path):
    data, original = tmp_path / "data", tmp_path / "original"
    refuse_changed_data(study)
    shutil.copytree(data, original)
    shutil.rmtree(data)
    shutil.copytree(original, data, copy_function=shutil.copyfile)  # equal content, other times
    refuse_changed_data(study, update=True)
    mask, other = data / "masks/wall-1.png", data / "images/wall-2.png"
    content = mask.read_bytes()
    mask.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # of the same size
    other.unlink()
    with pytest.raises(RunError, match=r"images/wall-2\.png gone, .*masks/wall-1\.png changed\): restore these files"):
        refuse_changed_data(study)
    study.write_status(study.plan.runs[0], RunStatus())
    with pytest.raises(RunError, match="the data is not that of the runs"):
        perform(str(study.folder), "bce", {})  # refused before a process is started
    assert not study.log(study.plan.runs[0]).exists()


def test_the_times_of_a_copy_are_kept_so_that_it_is_read_once(study, tmp_path, monkeypatch):
    for path in (tmp_path / "data").rglob("*.png"):
        os.utime(path)
    refuse_changed_data(study, update=True)
    read = []
    monkeypatch.setattr("cracklab.study.fingerprints._digest", read.append)
    refuse_changed_data(study)
    assert read == []


@pytest.mark.parametrize("name", [run_folder.PER_IMAGE, run_folder.TEST_METRICS, run_folder.CONFIG, run_folder.BEST])
def test_a_damaged_file_of_a_finished_run_is_named_and_the_run_is_done_again_on_request(study, name):
    first, second = study.plan.runs
    path = study.path(first) / name
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(RunError, match=rf"runs/bce/{name} changed\).*--redo"):
        check_finished(study, [first, second], redo=False)
    assert study.finished() == [first, second]
    check_finished(study, [first, second], redo=True)
    assert study.finished() == [second]
    # with a damaged checkpoint the run starts over, else it is only tested again
    assert (study.path(first) / run_folder.LAST).exists() == (name != run_folder.BEST)


def test_removed_checkpoints_are_no_damage(study):
    for name in (run_folder.BEST, run_folder.LAST):
        (study.path(study.plan.runs[0]) / name).unlink()
    check_finished(study, study.plan.runs, redo=False)


@pytest.mark.parametrize("text", ["", '{"test/iou": 0.', "[1]", '{"test/iou": "x"}'])
def test_metrics_that_another_process_left_damaged_are_one_message(study, text):
    """Also if the damage comes between the check and the tables, and for runs of cracklab 0.1."""
    run = study.plan.runs[0]
    (study.path(run) / run_folder.TEST_METRICS).write_text(text)
    with pytest.raises(RunError, match=r"test_metrics\.json is damaged"):
        aggregate(study)
    study.write_status(run, RunStatus("finished", 5.0))
    if text != '{"test/iou": "x"}':
        with pytest.raises(RunError, match=r"test_metrics\.json unreadable"):
            check_finished(study, [run], redo=False)


@pytest.mark.slow
def test_a_kfold_with_changed_masks_or_damaged_files_is_refused_until_they_are_whole(tmp_path, monkeypatch, capfd):
    """In real processes: the tables of a repaired study are those of the first one."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
    data, out = tmp_path / "data", tmp_path / "out"
    write_photos(data, "wall-")
    write_photos(data, "pipe-", first=6)
    own = [argument for argument in TINY if not argument.startswith("--data.layout")]
    call = [
        "kfold",
        *own,
        "--data.layout=folders",
        f"--data.root={data}",
        "--data.group=(.+)",
        "--folds=2",
        "--out",
        str(out),
    ]

    def refused(*more: str) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([*call, *more])
        shown = capfd.readouterr().err
        assert end.value.code == 2
        assert "Traceback" not in shown
        assert shown.count("error: ") == 1
        return shown

    assert main([*call, "--shard=1/2"]) == 0
    mask = data / "masks" / "wall-3.png"
    content = mask.read_bytes()
    shutil.copy(data / "masks" / "pipe-3.png", mask)
    assert f"{mask} changed" in refused()
    mask.write_bytes(content)
    assert main(call) == 0
    tables = {name: (out / name).read_bytes() for name in TABLES}
    assert len(list(csv.DictReader((out / "out_of_fold.csv").open()))) == 12
    damaged = out / "fold_0" / run_folder.PER_IMAGE
    damaged.write_text(damaged.read_text()[:200])
    (out / "fold_1" / run_folder.BEST).write_bytes(b"x")
    shown = refused()
    assert f"fold_0/{run_folder.PER_IMAGE} changed" in shown
    assert f"fold_1/{run_folder.BEST} changed" in shown
    assert main([*call, "--redo"]) == 0
    assert tables == {name: (out / name).read_bytes() for name in TABLES}
    assert json.loads((out / "jobs" / "fold_1.json").read_text())["resumed"] is False
    assert json.loads((out / "jobs" / "fold_0.json").read_text())["resumed"] is True
