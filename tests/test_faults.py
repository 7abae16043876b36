"""Interrupts, killed workers and full disks: one message, the right exit code, and no half-written file."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
import torch
from support import QUICKSTART, TINY, InterruptedNet, fit, run_process

from cracklab import run_folder
from cracklab.cli import main
from cracklab.synthetic.draw import draw

TRUST = "--trust=support.TinyNet"
LIMIT = 6000
"""Size of the largest file that can be written, bytes."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of TinyNet; read only."""
    return fit(tmp_path_factory.mktemp("runs") / "small", "--model.net=support.TinyNet", "--trainer.max_epochs=1")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(5):
        cv2.imwrite(str(folder / f"{seed}.png"), draw(seed, (64, 96))[0])
    return folder


def exit_code(arguments):
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code


@contextmanager
def small_files_only():
    """Let every file fail that grows beyond LIMIT, as on a full disk; Python ignores the signal."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def hidden(folder):
    return [path for path in folder.rglob(".*")]


def predict_call(checkpoint, photos, out):
    return ["predict", "--ckpt_path", checkpoint, "--images", photos, "--out", out, "--device=cpu", TRUST]


def one_error(text):
    """Return the only error line of an output."""
    lines = [line for line in text.splitlines() if line.startswith(("error: ", "stopped: "))]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    assert text.rstrip().endswith(lines[0])
    return lines[0]


@pytest.mark.slow  # a process
def test_ctrl_c_ends_predict_with_one_line_and_a_second_start_goes_on(run, photos, tmp_path, monkeypatch):
    content = torch.load(run / run_folder.BEST, weights_only=True)
    content["cracklab"]["config"] = content["cracklab"]["config"].replace("TinyNet", "InterruptedNet")
    torch.save(content, tmp_path / "interrupted.ckpt")
    out, said = tmp_path / "masks", tmp_path / "said.txt"
    call = [*map(str, predict_call(tmp_path / "interrupted.ckpt", photos, out)), "--trust=support.InterruptedNet"]
    assert run_process([*call, "--overlap=0", "--batch_size=1"], output=said) == 130
    assert "finished files are kept" in one_error(said.read_text())
    done = sorted(path.name for path in out.glob("[0-9].png"))
    assert done == ["0.png", "1.png"]
    assert all(cv2.imread(str(out / name), 0).shape == (64, 96) for name in done)
    assert not hidden(out)
    monkeypatch.setattr(InterruptedNet, "calls", 3)
    assert exit_code([*call, "--overlap=0"]) == 0
    assert len(list(out.glob("[0-9].png"))) == 5


@pytest.mark.slow  # a process
def test_ctrl_c_ends_fit_with_the_command_that_goes_on(tmp_path):
    out, said = tmp_path / "run", tmp_path / "said.txt"
    stop = ["--trainer.callbacks+=support.KillAt", "--trainer.callbacks.epoch=1", "--trainer.callbacks.batch=0"]
    call = ["fit", "--config", str(QUICKSTART), *TINY, "--out", str(out), "--model.net=support.TinyNet", *stop]
    assert run_process([*call, f"--trainer.callbacks.by={signal.SIGINT.value}"], output=said) == 130
    config, last = out / run_folder.CONFIG, out / run_folder.LAST
    assert (
        one_error(said.read_text())
        == f"stopped: resume with cracklab fit --config {config} --ckpt_path {last} --out {out}"
    )
    assert torch.load(last, weights_only=True)["epoch"] == 0
    assert not hidden(out)


@pytest.fixture
def small_disk(tmp_path):
    """A real disk of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow  # a process
@pytest.mark.parametrize("command", ["fit", "kfold"])
def test_training_on_a_full_disk_ends_in_one_message_and_leaves_no_half_file(command, small_disk, tmp_path):
    said = tmp_path / "said.txt"
    call = [command, "--config", str(QUICKSTART), *TINY, "--out", str(small_disk / "run")]
    assert run_process([*call, *(["--folds=2"] if command == "kfold" else [])], output=said) == 1
    assert "No space left on device" in said.read_text() or "is full" in said.read_text()
    assert "Traceback" not in said.read_text()
    assert not hidden(small_disk)


@pytest.mark.slow  # a process
def test_a_killed_worker_ends_fit_with_one_line_and_keeps_the_epochs_before(tmp_path):
    out, said = tmp_path / "run", tmp_path / "said.txt"
    call = ["fit", "--config", str(QUICKSTART), *TINY, "--out", str(out), "--model.net=support.TinyNet"]
    workers = ["--data.num_workers=1", "--trainer.callbacks+=support.KillWorker"]
    assert run_process([*call, *workers], output=said) == 1
    assert "DataLoader worker" in one_error(said.read_text())
    assert torch.load(out / run_folder.LAST, weights_only=True)["epoch"] == 0


def test_predict_on_a_disk_without_space_names_each_photo_and_keeps_what_is_whole(run, photos, tmp_path, capsys):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    cv2.imwrite(str(photos / "large.png"), noise)  # its overlay is larger than the limit, those of the others are not
    with small_files_only():
        assert exit_code(predict_call(run / run_folder.BEST, photos, tmp_path / "masks")) == 1
    said = capsys.readouterr().err
    assert "1 failed:" in said
    assert "large_overlay.jpg' cannot be read or written (File too large)" in said
    assert {path.name for path in (tmp_path / "masks").glob("*.png")} == {f"{seed}.png" for seed in range(5)}
    assert not hidden(tmp_path / "masks")


@pytest.mark.slow  # an export, a test and two reports
def test_commands_on_a_full_disk_end_in_one_message_and_leave_no_half_file(run, tmp_path, capsys):
    assert main(["test", "--config", str(run / "config.yaml"), "--ckpt_path", str(run / run_folder.BEST), "--out", str(tmp_path / "run")]) == 0  # fmt: skip
    shutil.copy(run / "config.yaml", tmp_path / "run")
    masks = tmp_path / "masks"
    masks.mkdir()
    for seed in range(12):
        cv2.imwrite(str(masks / f"{'x' * 100}{seed}.png"), draw(seed, (200, 200))[1] * 255)
    calls = {
        "bundle": ["export", TRUST, "--ckpt_path", run / run_folder.BEST, "--out", tmp_path / "bundle"],
        "report": ["report", tmp_path / "run", "--out", tmp_path / "report"],
        "tables": ["measure", masks, "--no_pictures", "--out", tmp_path / "tables"],
    }
    capsys.readouterr()
    for name, call in calls.items():
        with small_files_only():
            assert exit_code(call) == 1, name
        error = one_error(capsys.readouterr().err)
        assert "File too large" in error
        assert name in error
        assert not hidden(tmp_path), name
        if (tmp_path / name).exists():  # complete files alone
            whole = tmp_path / f"{name} whole"
            assert exit_code([*call[:-1], whole]) == 0
            capsys.readouterr()
            for path in (tmp_path / name).rglob("*.*"):
                assert path.read_bytes() == (whole / path.relative_to(tmp_path / name)).read_bytes()
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("command", ["predict", "export", "report", "measure"])
def test_a_file_where_a_folder_is_expected_ends_in_one_message(run, photos, tmp_path, capsys, command):
    (tmp_path / "file").write_text("kept")
    out = tmp_path / "file" / "out"
    call = {
        "predict": predict_call(run / run_folder.BEST, photos, out),
        "export": ["export", TRUST, "--ckpt_path", run / run_folder.BEST, "--out", out],
        "report": ["report", tmp_path / "runs", "--out", out],
        "measure": ["measure", tmp_path / "mask.png", "--out", out, "--no_pictures"],
    }[command]
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((20, 20), np.uint8))
    if command == "report":
        shutil.copytree(run, tmp_path / "runs")
        (tmp_path / "runs" / run_folder.TEST_METRICS).write_text(json.dumps({"test/iou": 0.5}))
    assert exit_code(call) == 2
    error = one_error(capsys.readouterr().err)
    assert f"--out {out} cannot be a folder" in error
    assert f"{tmp_path / 'file'} is a file" in error
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.slow
def test_leftovers_of_a_killed_export_are_removed_by_the_next_one(run, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    dead, alive = tmp_path / f".bundle.{process.pid}", tmp_path / f".bundle.{os.getppid()}"
    own = [tmp_path / ".bundle.old", tmp_path / f".bundle2.{process.pid}", tmp_path / ".bundle.1999999999"]
    for folder in (dead, alive, *own):
        folder.mkdir()
        (folder / "model.onnx").write_text("half")
    (own[-1] / "notes.txt").write_text("of the user, not of an export")
    assert main(["export", TRUST, "--ckpt_path", str(run / run_folder.BEST), "--out", str(tmp_path / "bundle")]) == 0
    assert not dead.exists()
    assert all(folder.exists() for folder in (alive, *own))
    assert {path.name for path in tmp_path.iterdir() if "bundle" in path.name} == {
        "bundle",
        alive.name,
        *(folder.name for folder in own),
    }
