"""The run folder: atomic writes, and which folder a command works in."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cracklab import run_folder
from cracklab.errors import RunError
from cracklab.files import atomic_write, remove_leftovers, write_json, write_text


def test_an_error_while_writing_keeps_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")

    def fail():
        with atomic_write(path) as beside:
            beside.write_text("new, but not w")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        fail()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_a_kill_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_text("old")
    program = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from cracklab.files import atomic_write
        with atomic_write(Path({str(path)!r})) as beside:
            beside.write_text("new, but not w")
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    died = subprocess.run([sys.executable, "-c", program], check=False)
    assert died.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_leftovers_of_dead_processes_alone_are_removed(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    for name in (f".bundle.{dead.pid}", f".bundle.{os.getpid()}", ".bundle.v2", f".other.{dead.pid}"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").touch()
    foreign = tmp_path / f".bundle.{10**9 + dead.pid}"  # no process has so high a number
    foreign.mkdir()
    (foreign / "photo.jpg").touch()
    remove_leftovers(tmp_path, "bundle", ["model.onnx"])
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f".bundle.{os.getpid()}", ".bundle.v2", f".other.{dead.pid}", foreign.name}


def test_json_holds_only_finite_numbers_and_null(tmp_path):
    write_json(tmp_path / "m.json", {"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": 2}})
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": None, "b": [1.5, None], "c": {"d": 2}}


def test_default_folders_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = (run_folder.folder_for("fit", None, None, "facade") for _ in range(2))
    assert [first, second] == [tmp_path / "runs/facade/0", tmp_path / "runs/facade/1"]


def used(folder: Path) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").touch()
    return folder


def test_fit_into_a_used_folder_names_the_resume_option(tmp_path):
    folder = used(tmp_path / "a")
    with pytest.raises(RunError, match=r"already holds a run.*--ckpt_path .*a/checkpoints/last.ckpt"):
        run_folder.refuse_used(folder, None, "")
    other = used(tmp_path / "b") / run_folder.LAST
    with pytest.raises(RunError, match="already holds a run"):
        run_folder.refuse_used(folder, str(other), "")


def test_fit_resumes_in_the_folder_of_its_checkpoint(tmp_path):
    folder = used(tmp_path / "a")
    run_folder.refuse_used(folder, str(folder / run_folder.LAST), "")
    assert run_folder.folder_for("fit", str(folder), str(folder / run_folder.LAST), "run") == folder
    assert run_folder.folder_for("fit", None, str(folder / run_folder.LAST), "run") == folder


def test_test_works_in_the_run_of_its_checkpoint(tmp_path):
    folder = used(tmp_path / "a")
    assert run_folder.folder_for("test", None, str(folder / run_folder.BEST), "run") == folder
    assert run_folder.folder_for("test", str(tmp_path / "c"), str(folder / run_folder.BEST), "run") == tmp_path / "c"


def test_a_relative_checkpoint_path_finds_its_run(tmp_path, monkeypatch):
    used(tmp_path / "a")
    monkeypatch.chdir(tmp_path / "a")
    assert run_folder.run_of("checkpoints/last.ckpt") == tmp_path / "a"
    assert run_folder.run_of("last.ckpt") is None
    assert os.path.isabs(run_folder.run_of("checkpoints/last.ckpt"))
